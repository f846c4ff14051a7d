"""The template of the cloud side as a document, and the function in it as one that can be called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

TEMPLATE = Path(__file__).parents[2] / "config" / "aws" / "thingmeter-cloud.yaml"
Handler = Callable[[dict[str, Any], None], dict[str, Any]]


def template() -> dict[str, Any]:
    """Return the template with its functions in their long form: {"Fn::Sub": ...}."""
    document: dict[str, Any] = cfn_yaml.load(str(TEMPLATE))
    return document


def resource(name: str) -> dict[str, Any]:
    """Return the properties of one resource."""
    properties: dict[str, Any] = template()["Resources"][name]["Properties"]
    return properties


def function_source() -> str:
    return str(resource("UsageFunction")["Code"]["ZipFile"])


def function() -> Handler:
    """Return the function's handler, made anew: nothing is remembered of earlier calls."""
    names: dict[str, Any] = {}
    exec(compile(function_source(), "index.py", "exec"), names)
    handler: Handler = names["handler"]
    return handler


def texts_in(part: object) -> Iterator[str]:
    """Yield every text in a part of the template."""
    if isinstance(part, dict):
        for value in part.values():
            yield from texts_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from texts_in(value)
    elif isinstance(part, str):
        yield str(part)
