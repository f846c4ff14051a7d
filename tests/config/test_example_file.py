from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from config.device import Device
from thingmeter.config.fields import extra, fields_of
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

EXAMPLE = Path(__file__).parents[2] / "config" / "thingmeter.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"(?m)^#(?=[a-z\[])", "", TEXT)
WHOLE = tomllib.loads(UNCOMMENTED)
TABLES: list[tuple[type[Struct], dict[str, Any]]] = [
    (Thing, WHOLE["thing"]),
    (Mqtt, WHOLE["mqtt"]),
    (Tls, WHOLE["mqtt"]["tls"]),
    (Aws, WHOLE["aws"]),
    (Clock, WHOLE["clock"]),
    (Registration, WHOLE["registration"]),
    (Defender, WHOLE["defender"]),
    (CustomMetric, WHOLE["defender"]["custom_metric"][0]),
    (DevRev, WHOLE["devrev"]),
    (Uom, WHOLE["devrev"]["uom"][1] | WHOLE["devrev"]["uom"][0]),  # which exclude each other in part
    (Unit, WHOLE["devrev"]["uom"][0]["unit"]),
    (Topic, WHOLE["topic"]),
    (Outbox, WHOLE["outbox"]),
    (Collector, {**WHOLE["collectors"]["cpu"], "use": WHOLE["collectors"]["pump"]["use"]}),
]
NOT_IN_TOML = {"name", "options"}
SHOWN = [
    pytest.param(struct, table, field, id=f"{struct.__name__}.{field.key}")
    for struct, table in TABLES
    for field in fields_of(struct)
    if not (struct is Collector and field.name in NOT_IN_TOML)
]


def with_files_of(device: Device, text: str) -> str:
    return text.replace("/etc/thingmeter/", f"{device.folder}/")


def test_the_example_loads_when_its_files_are_there(device: Device) -> None:
    assert device.problems(with_files_of(device, TEXT)) == []


def test_the_example_loads_with_every_line_uncommented(device: Device) -> None:
    assert device.problems(with_files_of(device, UNCOMMENTED)) == []


@pytest.mark.parametrize(("struct", "table", "field"), SHOWN)
def test_every_setting_is_in_the_example(struct: type[Struct], table: dict[str, Any], field: Any) -> None:
    assert field.key in table, struct


@pytest.mark.parametrize(("struct", "table", "field"), SHOWN)
def test_a_setting_in_the_example_has_its_default(struct: type[Struct], table: dict[str, Any], field: Any) -> None:
    is_example = field.is_required or extra(field.kind.meta, "default") or field.key in {"custom_metric", "uom"}
    default = list(field.default) if isinstance(field.default, tuple) else field.default

    assert is_example or table[field.key] == default, struct


@pytest.mark.parametrize(("struct", "table"), TABLES[:-1])
def test_every_key_of_the_example_is_a_setting(struct: type[Struct], table: dict[str, Any]) -> None:
    assert set(table) == {field.key for field in fields_of(struct)}


def test_only_what_must_be_given_is_not_commented_out() -> None:
    given = tomllib.loads(TEXT)

    assert given == {
        "thing": {},
        "mqtt": {"host": WHOLE["mqtt"]["host"], "tls": WHOLE["mqtt"]["tls"]},
        "clock": {},
        "registration": {},
        "defender": {},
        "outbox": {},
    }


def test_every_setting_is_explained_in_the_line_before_it_where_it_first_stands() -> None:
    table, explained, unexplained = "", set(), []

    for before, line in itertools.pairwise(TEXT.splitlines()):
        if header := re.match(r"#?\[+([a-z_.]+)", line):
            table = header[1]
        elif setting := re.match(r"#?([a-z_]+) = ", line):
            key = (table, setting[1])
            explained |= {key} if before.startswith("# ") else set()
            unexplained += [line] if key not in explained else []

    assert unexplained == []
