"""Where each effective value comes from, for ``check`` to list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from thingmeter.config.fields import fields_of
from thingmeter.config.places import KeyPath
from thingmeter.config.settings import Config
from thingmeter.config.wording import MASK, is_secret, show


@dataclass(frozen=True, slots=True)
class Source:
    """One effective value.

    Attributes:
        table: dotted, an item of an array by its number: ``defender.custom_metric.0``.
        key: in that table.
        value: as TOML writes it, cut; secrets are masked. What is set to nothing by default is ``""``.
        origin: ``FILE:LINE``, with ``, environment NAME`` where variables made it; ``environment NAME``; ``default``.
    """

    table: str
    key: str
    value: str
    origin: str


def sources(config: Config) -> tuple[Source, ...]:
    """Return every effective value, in the order of config/thingmeter.toml."""
    tables: list[tuple[KeyPath, Struct | None]] = [
        (("thing",), config.thing),
        (("mqtt",), config.mqtt),
        (("aws",), config.aws),
        (("clock",), config.clock),
        (("registration",), config.registration),
        (("defender",), config.defender),
        (("devrev",), config.devrev),
        (("topic",), config.topic),
        (("outbox",), config.outbox),
        *((("collectors", collector.name), collector) for collector in config.collectors),
    ]
    return tuple(source for path, struct in tables if struct is not None for source in _sources(config, path, struct))


def _sources(config: Config, table: KeyPath, struct: Struct) -> Iterator[Source]:
    is_collector = table[0] == "collectors"
    nested: list[tuple[KeyPath, Struct]] = []
    for field in fields_of(type(struct)):
        path, value = (*table, field.key), getattr(struct, field.name)
        if is_collector and field.name in {"name", "options"}:
            continue
        if isinstance(value, Struct):
            nested.append((path, value))
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            nested.extend(((*path, index), item) for index, item in enumerate(value))
        else:
            yield _source(config, path, list(value) if isinstance(value, tuple) else value)
    if is_collector:
        for key, value in getattr(struct, "options", {}).items():
            yield _source(config, (*table, key), value)
    for path, inner in nested:
        yield from _sources(config, path, inner)


def _source(config: Config, path: KeyPath, value: Any) -> Source:
    *table, key = map(str, path)
    variables = config.places.environment.get(path, ())
    shown = MASK if any(map(is_secret, variables)) else show("" if value is None else value, key=key)
    return Source(".".join(table), key, shown, config.places.origin(path))
