"""Every rule for the shape of a report, as one walk over what it decodes to. Pure; knows nothing of the agent.

A field has a long and a short name; the table of a map says, for each field, both names and what checks its value.
Source: docs.aws.amazon.com/iot-device-defender/latest/devguide/detect-device-side-metrics.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from thingmeter.sandbox.defender.breach import Breach
from thingmeter.sandbox.defender.tree import Node, show
from thingmeter.sandbox.defender.values import (
    check_address,
    check_count,
    check_custom_metrics,
    check_delta,
    check_interface,
    check_port,
    check_report_id,
    check_version,
)

Check: TypeAlias = Callable[["Walk", Node, str], Iterator[Breach]]


@dataclass(slots=True)
class Walk:
    """What is found on the way: the fields seen under their long and under their short names, as paths."""

    long: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a map."""

    short: str
    check: Check
    required: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """Checks a map with these fields, by their long names; ``listed`` is the field whose length ``total`` bounds."""

    fields: Mapping[str, Field]
    listed: str = ""

    def __call__(self, walk: Walk, node: Node, path: str) -> Iterator[Breach]:
        """Yield what is wrong with the map at ``path``."""
        if not isinstance(node, dict):
            yield Breach("type", path, f"{show(node)} is not a map")
            return
        longs = {each.short: name for name, each in self.fields.items()}
        found: dict[str, Node] = {}
        for key, value in node.items():
            name = longs.get(key, key)
            here = f"{path}.{key}" if path else key
            if name not in self.fields:
                yield Breach("unknown-field", path, f"{show(key)} is not a field")
                continue
            (walk.long if name == key else walk.short).append(here)
            if name in found:
                yield Breach("spelling", here, "the same field stands there under its other name as well")
            found[name] = value
            yield from self.fields[name].check(walk, value, here)
        for name, each in self.fields.items():
            if each.required and name not in found:
                yield Breach("required", path, f"{name} (or {each.short}) is missing")
        yield from _check_total(found, self.listed, path)


@dataclass(frozen=True, slots=True)
class ListOf:
    """Checks a list whose elements pass one check."""

    element: Check

    def __call__(self, walk: Walk, node: Node, path: str) -> Iterator[Breach]:
        """Yield what is wrong with the list at ``path``."""
        if not isinstance(node, list):
            yield Breach("type", path, f"{show(node)} is not a list")
            return
        for index, each in enumerate(node):
            yield from self.element(walk, each, f"{path}[{index}]")


def value(check: Callable[[Node, str], Iterator[Breach]]) -> Check:
    """Return the check of a value, which cares for no names."""
    return lambda _walk, node, path: check(node, path)


CONNECTION = Map(
    {
        "remote_addr": Field("rad", value(check_address), required=True),
        "local_port": Field("lp", value(check_port)),
        "local_interface": Field("li", value(check_interface)),
    }
)
ESTABLISHED = Map(
    {"connections": Field("cs", ListOf(CONNECTION)), "total": Field("t", value(check_count))}, listed="connections"
)
PORT = Map({"port": Field("pt", value(check_port), required=True), "interface": Field("if", value(check_interface))})
PORTS = Map({"ports": Field("pts", ListOf(PORT)), "total": Field("t", value(check_count))}, listed="ports")
NETWORK = Map(
    {
        "bytes_in": Field("bi", value(check_delta)),
        "bytes_out": Field("bo", value(check_delta)),
        "packets_in": Field("pi", value(check_delta)),
        "packets_out": Field("po", value(check_delta)),
    }
)
METRICS = Map(
    {
        "tcp_connections": Field("tc", Map({"established_connections": Field("ec", ESTABLISHED)})),
        "listening_tcp_ports": Field("tp", PORTS),
        "listening_udp_ports": Field("up", PORTS),
        "network_stats": Field("ns", NETWORK),
    }
)
HEADER = Map(
    {
        "report_id": Field("rid", value(check_report_id), required=True),
        "version": Field("v", value(check_version), required=True),
    }
)
REPORT = Map(
    {
        "header": Field("hed", HEADER, required=True),
        "metrics": Field("met", METRICS),
        "custom_metrics": Field("cmet", value(check_custom_metrics)),
    }
)


def check_report(report: Node) -> tuple[Breach, ...]:
    """Return every rule that a decoded report breaks, in the order of its fields."""
    walk = Walk()
    breaches = list(REPORT(walk, report, ""))
    if walk.long and walk.short:
        breaches.append(Breach("spelling", "", f"long and short names are mixed: {walk.long[0]} and {walk.short[0]}"))
    if isinstance(report, dict) and not any(report.get(key) for key in ("metrics", "met", "custom_metrics", "cmet")):
        breaches.append(Breach("content", "", "neither metrics nor custom_metrics holds anything"))
    return tuple(breaches)


def _check_total(found: Mapping[str, Node], listed: str, path: str) -> Iterator[Breach]:
    entries, total = found.get(listed), found.get("total")
    if isinstance(entries, list) and isinstance(total, int) and 0 <= total < len(entries):
        yield Breach("total", f"{path}.total", f"{total} is less than the {len(entries)} that are listed")
