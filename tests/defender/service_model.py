"""What the AWS SDK for Python knows of the four calls: its service model, and the requests it would send itself."""

from __future__ import annotations

import functools
import json
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from thingmeter.destinations.https import Request

OPERATIONS = ("CreateCustomMetric", "DescribeCustomMetric", "UpdateCustomMetric", "ListCustomMetrics")


@functools.cache
def service_model() -> Any:
    """The model of AWS IoT."""
    return ServiceModel(Loader().load_service_model("iot", "service-2"), "iot")


def mistakes_in(request: Request, url: str) -> list[str]:
    """Return everything in which ``request`` differs from the model; ``url`` is the control plane's."""
    path = request.url.removeprefix(url)
    operation = _operation(request.method, urlsplit(path).path)
    if operation is None:
        return [f"no operation has {request.method} {path}"]
    parameters = _parameters(request, path, operation)
    if unknown := parameters.keys() - operation.input_shape.members.keys():
        return [f"{operation.name} has no {unknown}"]
    report = ParamValidator().validate(parameters, operation.input_shape)
    mistakes = [report.generate_report()] if report.has_errors() else []
    mistakes += _wrong_values(parameters, operation.input_shape, operation.name)
    serializer = create_serializer(service_model().metadata["protocol"], include_validation=False)
    expected = serializer.serialize_to_request(parameters, operation)
    if expected["url_path"] != urlsplit(path).path:
        mistakes.append(f"the path is {path}, not {expected['url_path']}")
    if {name: str(value) for name, value in expected["query_string"].items()} != dict(_query(path)):
        mistakes.append(f"the query is {urlsplit(path).query}, not {expected['query_string']}")
    if json.loads(expected["body"] or b"null") != json.loads(request.body or b"null"):
        mistakes.append(f"the body is {request.body!r}, not {expected['body']!r}")
    return mistakes


def _operation(method: str, path: str) -> Any:
    for name in OPERATIONS:
        operation = service_model().operation_model(name)
        template = re.sub(r"\{\w+\}", "[^/]+", operation.http["requestUri"])
        if operation.http["method"] == method and re.fullmatch(template, path):
            return operation
    return None


def _parameters(request: Request, path: str, operation: Any) -> dict[str, Any]:
    """Return the request's members by the place where each one belongs; numbers of the query as such."""
    parameters: dict[str, Any] = json.loads(request.body or b"{}")
    members = operation.input_shape.members
    for name, value in _query(path):
        assert members[name].serialization["location"] == "querystring"
        parameters[name] = int(value) if members[name].type_name == "integer" else value
    for name, member in members.items():
        location = member.serialization.get("location", "body")
        if location == "uri":
            assert name not in parameters
            parameters[name] = unquote(urlsplit(path).path.rpartition("/")[2])
    return parameters


def _query(path: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(path).query, keep_blank_values=True, strict_parsing=bool(urlsplit(path).query))


def _wrong_values(value: Any, shape: Shape, place: str) -> list[str]:
    """Return what the SDK leaves to the service to check: lengths, patterns, enums, ranges."""
    if isinstance(shape, StructureShape):
        return [
            mistake
            for name, item in value.items()
            if name in shape.members
            for mistake in _wrong_values(item, shape.members[name], f"{place}.{name}")
        ]
    if isinstance(shape, ListShape):
        return [mistake for item in value for mistake in _wrong_values(item, shape.member, f"{place}[]")]
    mistakes = []
    limits: Mapping[str, Any] = shape.metadata
    size = len(value) if isinstance(shape, StringShape) else value
    if not limits.get("min", 0) <= size <= limits.get("max", sys.maxsize):
        mistakes.append(f"{place} is {value!r}")
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        mistakes.append(f"{place} is {value!r}, none of {shape.enum}")
    if isinstance(shape, StringShape) and "pattern" in limits and not _pattern(limits["pattern"]).fullmatch(value):
        mistakes.append(f"{place} is {value!r}, not as {limits['pattern']}")
    return mistakes


@functools.cache
def _pattern(java: str) -> re.Pattern[str]:
    r"""Return a pattern of the model in Python's words, which have no ``\p{...}``; of Unicode its first plane."""
    java = java.replace(r"\p{Graph}", "!-~")
    return re.compile(re.sub(r"\\p\{([LZN])\}", lambda found: _characters(found[1]), java))


@functools.cache
def _characters(category: str) -> str:
    of_category = (chr(code) for code in range(0x10000) if unicodedata.category(chr(code))[0] == category)
    return "".join(re.escape(character) for character in of_category)
