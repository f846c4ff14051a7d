"""The Device Defender report as data, and its four encodings: JSON or CBOR, long or short names. Pure.

What is unknown is left out; what is known to be none is an empty list. The same report is the same bytes. Source of
the field names: AWS IoT Device Defender developer guide, "Sending metrics from devices".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Any, Literal, TypeAlias

import cbor2
import msgspec

from thingmeter.metrics import Connection, Listener

MAXIMUM_BYTES = 128 * 1024  # the largest MQTT payload of AWS IoT Core. Source: AWS IoT Core endpoints and quotas
SIGNIFICANT_DIGITS = 15  # of a number. Source: device_defender sample of the AWS IoT Device SDK for C++ v2
LARGEST = 1.79769313486231e308  # of 15 digits in a float
VERSION = "1.0"

CustomMetricType: TypeAlias = Literal["number", "number-list", "string-list", "ip-address-list"]
TYPE_KEYS: Mapping[CustomMetricType, str] = {
    "number": "number",
    "number-list": "number_list",
    "string-list": "string_list",
    "ip-address-list": "ip_list",
}  # have no short form, and neither have metric names

SHORT_NAMES = {
    "header": "hed",
    "metrics": "met",
    "custom_metrics": "cmet",
    "report_id": "rid",
    "version": "v",
    "tcp_connections": "tc",
    "established_connections": "ec",
    "connections": "cs",
    "total": "t",
    "remote_addr": "rad",
    "local_port": "lp",
    "local_interface": "li",
    "listening_tcp_ports": "tp",
    "listening_udp_ports": "up",
    "ports": "pts",
    "port": "pt",
    "interface": "if",
    "network_stats": "ns",
    "bytes_in": "bi",
    "bytes_out": "bo",
    "packets_in": "pi",
    "packets_out": "po",
}
LONG_NAMES = {name: name for name in SHORT_NAMES}


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """One custom metric's value: a number, or a tuple of numbers, of strings or of addresses as text."""

    type: CustomMetricType
    value: int | float | tuple[int | float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One report. None leaves a block out; the totals are true also where a tuple was cut.

    ``network_stats`` holds bytes_in, bytes_out, packets_in and packets_out as increases since the last report.
    """

    report_id: int
    network_stats: Mapping[str, int | float] | None = None
    listening_tcp_ports: tuple[Listener, ...] | None = None
    listening_tcp_ports_total: int = 0
    listening_udp_ports: tuple[Listener, ...] | None = None
    listening_udp_ports_total: int = 0
    tcp_connections: tuple[Connection, ...] | None = None
    tcp_connections_total: int = 0
    custom_metrics: Mapping[str, CustomMetric] | None = None


def encode(report: Report, *, format: Literal["json", "cbor"], names: Literal["long", "short"]) -> bytes:
    """Return the report's bytes, at most MAXIMUM_BYTES: longer lists are cut, totals stay true.

    The longest lists are halved until all fits, never to nothing, since an empty list would clear an alarm. A custom
    metric whose single value is too long is left out.
    """
    words = SHORT_NAMES if names == "short" else LONG_NAMES
    limit = _longest_list(report)
    while True:
        payload = _dump(_document(_cut(report, limit), words), format)
        if len(payload) <= MAXIMUM_BYTES:
            return payload
        if limit <= 1:
            report = replace(report, custom_metrics=_without_largest(report.custom_metrics or {}))
        limit = max(1, limit // 2)


def decode(payload: bytes, *, format: Literal["json", "cbor"]) -> Any:
    """Return what ``encode()`` put into ``payload``, in the names it used."""
    return msgspec.json.decode(payload) if format == "json" else cbor2.loads(payload)


def number(value: float) -> int | float:
    """Return ``value``, which is finite, with at most 15 significant digits; an integer while 64 bits hold it."""
    if isinstance(value, int) and abs(value) < 10**SIGNIFICANT_DIGITS:
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        whole = round(value, SIGNIFICANT_DIGITS - len(str(abs(value))))  # exact; by way of a float it would not be
        return whole if abs(whole) < 2**63 else float(whole)
    rounded = float(f"{value:.{SIGNIFICANT_DIGITS - 1}e}")
    if math.isinf(rounded):  # the largest floats, rounded up
        return math.copysign(LARGEST, value)
    return rounded


def is_reportable(value: float) -> bool:
    """Return whether there is a JSON number for ``value``: not for NaN, infinities or what overflows a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _document(report: Report, words: Mapping[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        words["header"]: {words["report_id"]: report.report_id, words["version"]: VERSION},
    }
    if metrics := _metrics(report, words):
        document[words["metrics"]] = metrics
    custom = {
        name: [{TYPE_KEYS[metric.type]: _custom_value(metric)}]
        for name, metric in (report.custom_metrics or {}).items()
    }
    if custom:
        document[words["custom_metrics"]] = custom
    return document


def _metrics(report: Report, words: Mapping[str, str]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    if report.tcp_connections is not None:
        established = {
            words["connections"]: [_connection(connection, words) for connection in report.tcp_connections],
            words["total"]: report.tcp_connections_total,
        }
        metrics[words["tcp_connections"]] = {words["established_connections"]: established}
    for block, listeners, total in (
        ("listening_tcp_ports", report.listening_tcp_ports, report.listening_tcp_ports_total),
        ("listening_udp_ports", report.listening_udp_ports, report.listening_udp_ports_total),
    ):
        if listeners is not None:
            ports = [_port(listener, words) for listener in listeners]
            metrics[words[block]] = {words["ports"]: ports, words["total"]: total}
    if report.network_stats:
        metrics[words["network_stats"]] = {words[name]: number(value) for name, value in report.network_stats.items()}
    return metrics


def _connection(connection: Connection, words: Mapping[str, str]) -> dict[str, Any]:
    address: object = connection.remote_address
    host = f"[{address}]" if isinstance(address, IPv6Address) else address
    member: dict[str, Any] = {
        words["remote_addr"]: f"{host}:{connection.remote_port}",
        words["local_port"]: connection.local_port,
    }
    if connection.interface:
        member[words["local_interface"]] = connection.interface
    return member


def _port(listener: Listener, words: Mapping[str, str]) -> dict[str, Any]:
    member: dict[str, Any] = {words["port"]: listener.port}
    if listener.interface:
        member[words["interface"]] = listener.interface
    return member


def _custom_value(metric: CustomMetric) -> Any:
    if not isinstance(metric.value, tuple):
        return number(metric.value)
    return [item if isinstance(item, str) else number(item) for item in metric.value]


def _longest_list(report: Report) -> int:
    lists: list[Sequence[object]] = [
        report.tcp_connections or (),
        report.listening_tcp_ports or (),
        report.listening_udp_ports or (),
        *(metric.value for metric in (report.custom_metrics or {}).values() if isinstance(metric.value, tuple)),
    ]
    return max(map(len, lists))


def _cut(report: Report, limit: int) -> Report:
    custom = {
        name: replace(metric, value=metric.value[:limit]) if isinstance(metric.value, tuple) else metric
        for name, metric in (report.custom_metrics or {}).items()
    }
    return replace(
        report,
        tcp_connections=report.tcp_connections and report.tcp_connections[:limit],
        listening_tcp_ports=report.listening_tcp_ports and report.listening_tcp_ports[:limit],
        listening_udp_ports=report.listening_udp_ports and report.listening_udp_ports[:limit],
        custom_metrics=custom,
    )


def _without_largest(custom_metrics: Mapping[str, CustomMetric]) -> dict[str, CustomMetric]:
    largest = max(custom_metrics, key=lambda name: len(str(custom_metrics[name].value)))
    return {name: metric for name, metric in custom_metrics.items() if name != largest}


def _dump(document: dict[str, Any], format: Literal["json", "cbor"]) -> bytes:
    if format == "json":
        return msgspec.json.encode(document)
    payload: bytes = cbor2.dumps(document)
    return payload
