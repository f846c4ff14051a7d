"""What a Device Defender metrics report must look like: strict, and written from AWS's documents alone.

Shares no code with the agent. Source: AWS IoT Device Defender developer guide, "Sending metrics from devices" and
"Troubleshooting"; device_defender sample of the AWS IoT Device SDK for C++ v2 (digits, characters of strings).
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from end_to_end import cbor_text

MAXIMUM_BYTES = 131_072
MAXIMUM_DIGITS = 15
METRIC_NAME = re.compile(r"(?!aws:)[a-zA-Z0-9:_-]{1,128}")
KEPT_STRING = re.compile(r"[A-Za-z0-9:_/.-]+")
SHORT = {
    "header": "hed",
    "report_id": "rid",
    "version": "v",
    "metrics": "met",
    "custom_metrics": "cmet",
    "tcp_connections": "tc",
    "established_connections": "ec",
    "connections": "cs",
    "remote_addr": "rad",
    "local_port": "lp",
    "local_interface": "li",
    "total": "t",
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

Check = Callable[[object, str], Iterator[str]]


class Refused(Exception):
    """The payload is not even a map in the format of its topic."""


def read(payload: bytes, encoding: str) -> dict[str, object]:
    """Return the report, its keys spelled long whichever way they came; custom metrics keep their names.

    Raises:
        Refused: as above, or the two spellings are mixed.
    """
    if len(payload) > MAXIMUM_BYTES:
        raise Refused(f"{len(payload)} bytes")
    try:
        document = _read_json(payload) if encoding == "json" else cbor_text.read(payload)
    except (ValueError, cbor_text.Malformed) as error:
        raise Refused(f"not {encoding}: {error}") from error
    if not isinstance(document, dict):
        raise Refused("not a map")
    if "header" in document:
        return document
    return _spelled_long(document)


def problems(report: Mapping[str, object]) -> list[str]:
    """Return everything that is wrong with a report that ``read()`` returned."""
    found = list(_map(report, "", {"header": _header}, {"metrics": _metrics, "custom_metrics": _custom_metrics}))
    if not report.keys() & {"metrics", "custom_metrics"}:
        found.append("neither metrics nor custom_metrics")
    return found


def _read_json(payload: bytes) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise ValueError("a key stands twice")
        return members

    def refuse(constant: str) -> object:
        raise ValueError(constant)

    return json.loads(payload.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)


def _spelled_long(document: Mapping[str, object]) -> dict[str, object]:
    long = {short: name for name, short in SHORT.items()}

    def spell(item: object) -> object:
        if isinstance(item, list):
            return [spell(member) for member in item]
        if not isinstance(item, dict):
            return item
        for key in item:
            if key not in long:
                raise Refused(f"{key!r} is no short name")
        return {long[key]: spell(value) for key, value in item.items()}

    custom = document.get("cmet")
    spelled = spell({key: value for key, value in document.items() if key != "cmet"})
    assert isinstance(spelled, dict)
    return spelled if custom is None else {**spelled, "custom_metrics": custom}


def _map(item: object, where: str, required: Mapping[str, Check], optional: Mapping[str, Check]) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"{where} is no map"
        return
    for key in sorted(required.keys() - item.keys()):
        yield f"{where} lacks {key}"
    for key, value in item.items():
        check = required.get(key) or optional.get(key)
        if check is None:
            yield f"{where} has {key!r}"
        else:
            yield from check(value, f"{where}.{key}")


def _each(check: Check) -> Check:
    def check_list(item: object, where: str) -> Iterator[str]:
        if not isinstance(item, list):
            yield f"{where} is no list"
            return
        for place, member in enumerate(item):
            yield from check(member, f"{where}[{place}]")

    return check_list


def _integer(lowest: int, highest: float = math.inf) -> Check:
    def check_integer(item: object, where: str) -> Iterator[str]:
        if not isinstance(item, int) or isinstance(item, bool) or not lowest <= item <= highest:
            yield f"{where} = {item!r}"

    return check_integer


def _number(item: object, where: str) -> Iterator[str]:
    if not isinstance(item, int | float) or isinstance(item, bool) or not math.isfinite(item):
        yield f"{where} = {item!r} is no number"
    elif len(Decimal(repr(item)).normalize().as_tuple().digits) > MAXIMUM_DIGITS:
        yield f"{where} = {item!r} has more than {MAXIMUM_DIGITS} digits"


def _text(item: object, where: str) -> Iterator[str]:
    if not isinstance(item, str) or not item:
        yield f"{where} = {item!r} is no text"


def _kept_string(item: object, where: str) -> Iterator[str]:
    if not isinstance(item, str) or not KEPT_STRING.fullmatch(item):
        yield f"{where} = {item!r} would not be retained"


def _address(item: object, where: str) -> Iterator[str]:
    try:
        address = ipaddress.ip_address(item if isinstance(item, str) else "")
    except ValueError:
        yield f"{where} = {item!r} is no address"
    else:
        if getattr(address, "scope_id", None):
            yield f"{where} = {item!r} has a zone"


def _remote_address(item: object, where: str) -> Iterator[str]:
    host, _, port = str(item).rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 0x10000:
        yield f"{where} = {item!r} has no port"
    bracketed = host.startswith("[") and host.endswith("]")
    yield from _address(host[1:-1] if bracketed else host, where)
    if bracketed != (":" in host):
        yield f"{where} = {item!r}: brackets belong around IPv6"


def _version(item: object, where: str) -> Iterator[str]:
    if item != "1.0":
        yield f"{where} = {item!r}"


def _header(item: object, where: str) -> Iterator[str]:
    return _map(item, where, {"report_id": _integer(1), "version": _version}, {})


def _counted(item: object, where: str, members: str, check: Check) -> Iterator[str]:
    yield from _map(item, where, {}, {members: _each(check), "total": _integer(0)})
    if isinstance(item, Mapping):
        listed, total = item.get(members), item.get("total")
        if isinstance(listed, list) and isinstance(total, int) and total < len(listed):
            yield f"{where}.total = {total}, but {len(listed)} are listed"


def _connection(item: object, where: str) -> Iterator[str]:
    ports = {"local_port": _integer(0, 0xFFFF), "local_interface": _text}
    return _map(item, where, {"remote_addr": _remote_address}, ports)


def _established(item: object, where: str) -> Iterator[str]:
    return _counted(item, where, "connections", _connection)


def _tcp_connections(item: object, where: str) -> Iterator[str]:
    return _map(item, where, {}, {"established_connections": _established})


def _port(item: object, where: str) -> Iterator[str]:
    return _map(item, where, {"port": _integer(1, 0xFFFF)}, {"interface": _text})


def _ports(item: object, where: str) -> Iterator[str]:
    return _counted(item, where, "ports", _port)


def _network_stats(item: object, where: str) -> Iterator[str]:
    return _map(item, where, {}, dict.fromkeys(("bytes_in", "bytes_out", "packets_in", "packets_out"), _integer(0)))


def _metrics(item: object, where: str) -> Iterator[str]:
    blocks = {
        "tcp_connections": _tcp_connections,
        "listening_tcp_ports": _ports,
        "listening_udp_ports": _ports,
        "network_stats": _network_stats,
    }
    return _map(item, where, {}, blocks)


VALUES: Mapping[str, Check] = {
    "number": _number,
    "number_list": _each(_number),
    "string_list": _each(_kept_string),
    "ip_list": _each(_address),
}


def _custom_metrics(item: object, where: str) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"{where} is no map"
        return
    for name, value in item.items():
        if not METRIC_NAME.fullmatch(name):
            yield f"{where} has a metric {name!r}"
        yield from _custom_metric(value, f"{where}.{name}")


def _custom_metric(item: object, where: str) -> Iterator[str]:
    if not isinstance(item, Sequence) or isinstance(item, str) or len(item) != 1:
        yield f"{where} is no list of one map"
        return
    yield from _map(item[0], where, {}, VALUES)
    if not isinstance(item[0], Mapping) or len(item[0]) != 1:
        yield f"{where} has not exactly one type"
