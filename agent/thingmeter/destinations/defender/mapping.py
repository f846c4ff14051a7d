"""Which samples feed which part of a report, and the report that a period's data points make."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address
from typing import cast

from thingmeter.config.settings import Block, Defender
from thingmeter.config.settings import CustomMetric as CustomMetricSettings
from thingmeter.destinations.defender.report import CustomMetric, Report, is_reportable
from thingmeter.metrics import Connection, DataPoint, Listener, Metric
from thingmeter.window import Aggregation, Rule

logger = logging.getLogger(__name__)

STRING = re.compile(r"[A-Za-z0-9:_\-/.]+")  # others are accepted and not retained. Source: as SIGNIFICANT_DIGITS

NETWORK_STATS = {
    "bytes_in": "network.received_bytes",
    "bytes_out": "network.sent_bytes",
    "packets_in": "network.received_packets",
    "packets_out": "network.sent_packets",
}
LISTS: Mapping[Block, tuple[str, str]] = {
    "listening_tcp_ports": ("sockets.tcp_listeners", "sockets.listening_tcp_port_count"),
    "listening_udp_ports": ("sockets.udp_listeners", "sockets.listening_udp_port_count"),
    "tcp_connections": ("sockets.connections", "sockets.connection_count"),
}
FITTING_TYPES = {
    "number": ("number",),
    "number-list": ("number",),
    "string-list": ("text", "address"),
    "ip-address-list": ("address",),
}
CUSTOM = "custom:"  # before a custom metric's name among the rules: blocks and custom metrics may share a name


def collectors_of(settings: Defender) -> set[str]:
    """Return the names of the collectors that the report's blocks are made of."""
    return {"network" if block == "network_stats" else "sockets" for block in settings.blocks}


def rules_of(settings: Defender) -> list[Rule]:
    """Return one rule for each value that a report of these settings can hold."""
    rules = []
    if "network_stats" in settings.blocks:
        rules += [Rule(name, source, "increase") for name, source in NETWORK_STATS.items()]
    for block, (source, total) in LISTS.items():
        if block in settings.blocks:
            rules += [Rule(block, source, "last"), Rule(f"{block} total", total, "last")]
    for metric in settings.custom_metric:
        where = tuple(sorted(metric.where.items()))
        rules.append(Rule(CUSTOM + metric.name, metric.from_, cast("Aggregation", metric.aggregate), where))
    return rules


def mistake_in(metric: CustomMetricSettings, known: Mapping[str, Metric]) -> str:
    """Return what keeps a custom metric from ever having a value, or nothing.

    ``known`` holds every metric that a configured collector declares, by its full name. A ``from`` without a dot names
    no collector: values handed to the agent feed it.
    """
    if "." not in metric.from_:
        return ""
    source = known.get(metric.from_)
    if source is None:
        collector = metric.from_.partition(".")[0]
        if collector not in {name.partition(".")[0] for name in known}:
            return f"no collector {collector} runs; a table [collectors.{collector}] starts one"
        near = get_close_matches(metric.from_, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"collector {collector} has no metric {metric.from_.partition('.')[2]}{hint}"
    fitting = FITTING_TYPES[metric.type]
    if source.type not in fitting:
        return f"{metric.from_} is of type {source.type}; {metric.type} takes {' or '.join(fitting)}"
    if metric.aggregate == "increase" and source.kind != "counter":
        return f"{metric.from_} is a gauge; aggregate increase takes a counter"
    if strange := sorted(set(metric.where) - set(source.dimensions)):
        has = ", ".join(source.dimensions) or "none"
        return f"{metric.from_} has no dimension {strange[0]}; its dimensions: {has}"
    return ""


def report_of(
    settings: Defender, points: Iterable[DataPoint], report_id: int, refused: Callable[[str], None]
) -> Report:
    """Return the report of one period.

    ``refused`` is called with the custom metric's name for each value that the service would not keep: a number that
    JSON lacks, a string with other characters than letters, digits and ``:_-/.``, an address with a zone.
    """
    found = {point.metric: point.value for point in points}
    custom = {}
    for metric in settings.custom_metric:
        value = found.get(CUSTOM + metric.name)
        if value is not None:
            kept = _custom_metric(metric, value, refused)
            if kept is not None:
                custom[metric.name] = kept
    ports = settings.maximum_ports
    tcp, tcp_total = _list(found, "listening_tcp_ports", ports)
    udp, udp_total = _list(found, "listening_udp_ports", ports)
    connections, connections_total = _list(found, "tcp_connections", settings.maximum_connections)
    return Report(
        report_id=report_id,
        network_stats={name: cast("float", found[name]) for name in NETWORK_STATS if name in found} or None,
        listening_tcp_ports=cast("tuple[Listener, ...] | None", tcp),
        listening_tcp_ports_total=tcp_total,
        listening_udp_ports=cast("tuple[Listener, ...] | None", udp),
        listening_udp_ports_total=udp_total,
        tcp_connections=cast("tuple[Connection, ...] | None", connections),
        tcp_connections_total=connections_total,
        custom_metrics=custom or None,
    )


def is_empty(report: Report) -> bool:
    """Return whether the report says nothing: the service takes none without a block or a custom metric."""
    blocks = (report.listening_tcp_ports, report.listening_udp_ports, report.tcp_connections)
    return not (report.network_stats or report.custom_metrics) and all(block is None for block in blocks)


def _list(found: Mapping[str, object], block: str, limit: int) -> tuple[tuple[object, ...] | None, int]:
    members, total = found.get(block), found.get(f"{block} total")
    if not isinstance(members, tuple):  # unknown, or of a plugin that stands in for the built-in collector
        return None, 0
    return members[:limit], total if isinstance(total, int) else len(members)


def _custom_metric(metric: CustomMetricSettings, value: object, refused: Callable[[str], None]) -> CustomMetric | None:
    if not isinstance(value, tuple):
        if isinstance(value, int | float) and is_reportable(value):
            return CustomMetric(metric.type, value)
        refused(metric.name)
        return None
    kept = tuple(item for item in value if _is_kept(item))
    for _ in range(len(value) - len(kept)):
        refused(metric.name)
    if value and not kept:  # an empty list would say "none"
        return None
    return CustomMetric(
        metric.type, tuple(str(item) if isinstance(item, IPv4Address | IPv6Address) else item for item in kept)
    )


def _is_kept(item: object) -> bool:
    if isinstance(item, str):
        return STRING.fullmatch(item) is not None
    if isinstance(item, int | float):
        return is_reportable(item)
    return getattr(item, "scope_id", None) is None
