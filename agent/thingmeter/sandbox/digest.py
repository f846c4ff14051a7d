"""A valid report in a few words, for one line: the values of its custom metrics, then what its blocks count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from thingmeter.sandbox.defender.tree import Node

NUMBER_DIGITS = 4
BLOCKS = (
    ("tcp", ("listening_tcp_ports", "tp"), ("total", "t")),
    ("udp", ("listening_udp_ports", "up"), ("total", "t")),
)
TRAFFIC = (("in", ("bytes_in", "bi")), ("out", ("bytes_out", "bo")))


def digest(report: Node) -> str:
    """Return ``cpu_usage 5.27, peers 3 values; tcp 2, udp 1, connections 7, in 1204 B``, or nothing for no report."""
    if not isinstance(report, Mapping):
        return ""
    custom = _member(report, "custom_metrics", "cmet")
    values = ", ".join(f"{name} {_value(value)}" for name, value in custom.items())
    counts = ", ".join(_counts(_member(report, "metrics", "met")))
    return "; ".join(part for part in (values, counts) if part)


def _counts(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name, block, total in BLOCKS:
        counted = _member(metrics, *block)
        if counted:
            yield f"{name} {_first(counted, *total)}"
    established = _member(_member(metrics, "tcp_connections", "tc"), "established_connections", "ec")
    if established:
        yield f"connections {_first(established, 'total', 't')}"
    traffic = _member(metrics, "network_stats", "ns")
    for name, spellings in TRAFFIC:
        if (amount := _first(traffic, *spellings)) is not None:
            yield f"{name} {amount} B"


def _value(value: Any) -> str:
    """Return a number as it is, and how many values a list has."""
    only = next(iter(value[0].values()))
    if isinstance(only, list):
        return f"{len(only)} value{'' if len(only) == 1 else 's'}"
    return str(only) if isinstance(only, int) else f"{float(only):.{NUMBER_DIGITS}g}"


def _member(parent: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    member = _first(parent, *names)
    return cast("Mapping[str, Any]", member) if isinstance(member, Mapping) else {}


def _first(parent: Mapping[str, Any], *names: str) -> Any:
    return next((parent[name] for name in names if name in parent), None)
