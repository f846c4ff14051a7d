from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from config.test_example_file import SHOWN, UNCOMMENTED
from thingmeter.config.schema import schema

SCHEMA = schema()
MISTAKES = Path(__file__).parent / "thirty_mistakes.toml"
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
    "boolean": bool,
}


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """Tell whether ``value`` keeps ``rule``: as much of JSON Schema as our own schema uses."""
    if "$ref" in rule:
        return fits(value, SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]])
    if "anyOf" in rule and not any(fits(value, option) for option in rule["anyOf"]):
        return False
    if "type" in rule and (
        isinstance(value, bool) != (rule["type"] == "boolean") or not isinstance(value, TYPES[rule["type"]])
    ):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if isinstance(value, str):
        return bool(re.search(rule.get("pattern", ""), value)) and len(value) >= rule.get("minLength", 0)
    if isinstance(value, dict):
        return fits_object(value, rule)
    if isinstance(value, list):
        return len(value) <= rule.get("maxItems", 1000) and all(fits(item, rule["items"]) for item in value)
    above = rule.get("exclusiveMinimum")
    return bool(rule.get("minimum", value) <= value <= rule.get("maximum", value)) and (above is None or value > above)


def fits_object(value: dict[str, Any], rule: dict[str, Any]) -> bool:
    rest = rule.get("additionalProperties", True)
    return (
        set(rule.get("required", ())) <= set(value)
        and all(fits(key, rule.get("propertyNames", {})) for key in value)
        and all(
            fits(item, rule["properties"][key])
            if key in rule.get("properties", {})
            else rest is True or (rest is not False and fits(item, rest))
            for key, item in value.items()
        )
    )


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_the_schema_names_its_dialect() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_example_keeps_the_schema() -> None:
    assert fits(tomllib.loads(UNCOMMENTED), SCHEMA)


@pytest.mark.parametrize("table", ["thing", "outbox", "defender", "mqtt"])
def test_a_table_with_mistakes_does_not_keep_the_schema(table: str) -> None:
    mistakes = tomllib.loads(MISTAKES.read_text(encoding="utf-8"))

    assert not fits({table: mistakes[table]}, SCHEMA)


def test_an_unknown_table_does_not_keep_the_schema() -> None:
    assert not fits({"statsd": {}}, SCHEMA)


def test_a_collector_may_have_options_of_its_own() -> None:
    assert fits({"collectors": {"pump": {"gpio": 17}}}, SCHEMA)


def test_a_variable_keeps_the_schema() -> None:
    assert fits({"thing": {"name": "${NAME:-my pump}"}}, SCHEMA)


def test_a_choice_is_never_empty() -> None:
    assert not fits({"name": "x", "type": "number", "aggregate": ""}, SCHEMA["$defs"]["CustomMetric"])


def test_an_increase_may_be_a_fraction() -> None:
    assert fits(0.5, SCHEMA["$defs"]["Uom"]["properties"]["maximum_increase"])


@pytest.mark.parametrize("increase", [0, -1, None, "5"])
def test_an_increase_is_above_nothing(increase: object) -> None:
    assert not fits(increase, SCHEMA["$defs"]["Uom"]["properties"]["maximum_increase"])


@pytest.mark.parametrize("table", ["defender", "topic"])
def test_what_is_published_needs_a_broker(table: str) -> None:
    assert SCHEMA["dependentRequired"][table] == ["mqtt"]


@pytest.mark.parametrize(("struct", "table", "field"), SHOWN)
def test_every_setting_is_described_for_editors(struct: type[Struct], table: dict[str, Any], field: Any) -> None:
    del table

    assert SCHEMA["$defs"][struct.__name__]["properties"][field.key]["description"]
