"""The configuration as a JSON Schema, for editors that complete and check TOML; ``load()`` neither needs nor reads it.

It describes the main file (a file in conf.d may leave out what the main one says) and what each value may be; that two
settings must agree, and that files must exist, only ``load()`` knows.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from thingmeter.config.fields import Field, Kind, extra, fields_of
from thingmeter.config.rules import COLLECTOR_NAME
from thingmeter.config.settings import (
    Aws,
    Clock,
    Collector,
    CustomMetric,
    Defender,
    DevRev,
    Mqtt,
    Outbox,
    Registration,
    Thing,
    Tls,
    Topic,
    Unit,
    Uom,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_STRUCTS: tuple[type[Struct], ...] = (
    Thing,
    Tls,
    Mqtt,
    Aws,
    Clock,
    Registration,
    CustomMetric,
    Defender,
    Unit,
    Uom,
    DevRev,
    Topic,
    Outbox,
    Collector,
)
_TABLES: dict[str, type[Struct]] = {
    "thing": Thing,
    "mqtt": Mqtt,
    "aws": Aws,
    "clock": Clock,
    "registration": Registration,
    "defender": Defender,
    "devrev": DevRev,
    "topic": Topic,
    "outbox": Outbox,
}
_NOT_IN_TOML = {"name", "options"}  # fields of a Collector: the table's name, and its keys that are not settings
_REFERENCE = {"type": "string", "pattern": r"\$\{"}  # what ${NAME} stands for is known on the device only


def schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12: descriptions, defaults, choices and bounds; unknown keys are refused."""
    _, definitions = msgspec.json.schema_components(_STRUCTS, ref_template="#/$defs/{name}")
    for struct in _STRUCTS:
        _complete(definitions[struct.__name__], struct)
    properties: dict[str, Any] = {name: {"$ref": f"#/$defs/{kind.__name__}"} for name, kind in _TABLES.items()}
    properties["collectors"] = {
        "description": "the collectors that run; without this table every built-in one",
        "type": "object",
        "propertyNames": {"pattern": f"^{COLLECTOR_NAME.pattern}$"},
        "additionalProperties": {"$ref": "#/$defs/Collector"},
    }
    return {
        "$schema": DIALECT,
        "title": "thingmeter.toml",
        "type": "object",
        "properties": properties,
        "dependentRequired": {"defender": ["mqtt"], "topic": ["mqtt"]},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _complete(definition: dict[str, Any], struct: type[Struct]) -> None:
    """Turn msgspec's schema of a struct into that of a table."""
    definition["description"] = (struct.__doc__ or "").partition("\n")[0]
    properties = definition["properties"]
    for field in fields_of(struct):
        if struct is Collector and field.name in _NOT_IN_TOML:
            del properties[field.key]
            continue
        properties[field.key] = _property(properties[field.key], field)
    if struct is Collector:
        definition["additionalProperties"] = True
        definition["required"] = [key for key in definition["required"] if key not in _NOT_IN_TOML]


def _property(made: dict[str, Any], field: Field) -> dict[str, Any]:
    made = _in_order(_without_null(made), field.kind)
    if made.get("default") == "" or extra(field.kind.meta, "default"):
        made.pop("default", None)  # worked out by the loader: the description says how
    if isinstance(made.get("default"), tuple):
        made["default"] = list(made["default"])
    notes: dict[str, Any] = {key: made.pop(key) for key in ("description", "default", "examples") if key in made}
    worked_out = extra(field.kind.meta, "default")
    if worked_out:
        notes["description"] = f"{notes['description']} (default: {worked_out})"
    for inner in ("items", "additionalProperties"):
        if isinstance(made.get(inner), dict):
            made[inner] = _or_reference(_in_order(made[inner], field.kind.item))
    return {**notes, **_or_reference(made)}


def _without_null(made: dict[str, Any]) -> dict[str, Any]:
    """Return ``made`` without the choice of null, which TOML has no word for: what is not set is left out."""
    (option,) = (one for one in made.get("anyOf", ({},)) if one.get("type") != "null")
    return {**option, **{key: value for key, value in made.items() if key != "anyOf"}}


def _in_order(made: dict[str, Any], kind: Kind | None) -> dict[str, Any]:
    """Return ``made`` with its choices as the settings list them; msgspec sorts them and keeps the empty one."""
    return {**made, "enum": list(kind.choices)} if kind is not None and "enum" in made else made


def _or_reference(made: dict[str, Any]) -> dict[str, Any]:
    """Return ``made``, and for strings with bounds also whatever holds a ``${``."""
    is_string = made.get("type") == "string" or "enum" in made
    bounds = {"enum", "pattern", "minLength", "maxLength"} & set(made)
    return {"anyOf": [made, _REFERENCE]} if is_string and bounds else made
