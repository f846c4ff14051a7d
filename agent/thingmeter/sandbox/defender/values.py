"""The rules for single values in a report. Each check yields what is wrong with a value, nothing when it is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import TypeGuard

from thingmeter.sandbox.defender.breach import Breach
from thingmeter.sandbox.defender.tree import Node, show

MAXIMUM_DIGITS = 15
LARGEST_DOUBLE = Decimal("1.7976931348623157e308")
LARGEST_PORT = 65_535
METRIC_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
RETAINED_CHARACTERS = re.compile(r"[A-Za-z0-9:_\-/.]*")
ENDPOINT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<v4>[^:]*)):(?P<port>0|[1-9][0-9]{0,4})")


def check_report_id(node: Node, path: str) -> Iterator[Breach]:
    """A positive integer."""
    if not _is_integer(node) or node < 1:
        yield Breach("report-id", path, f"{show(node)} is not a positive integer")
    else:
        yield from check_digits(node, path)


def check_version(node: Node, path: str) -> Iterator[Breach]:
    """The one version there is."""
    if node != "1.0":
        yield Breach("version", path, f'{show(node)} is not "1.0"')


def check_count(node: Node, path: str) -> Iterator[Breach]:
    """A total."""
    yield from _check_natural(node, path, "total")


def check_delta(node: Node, path: str) -> Iterator[Breach]:
    """An increase since the last report."""
    yield from _check_natural(node, path, "delta")


def check_port(node: Node, path: str) -> Iterator[Breach]:
    """A port of TCP or UDP."""
    if not _is_integer(node):
        yield Breach("type", path, f"{show(node)} is not an integer")
    elif not 1 <= node <= LARGEST_PORT:
        yield Breach("port", path, f"{node} is not between 1 and {LARGEST_PORT}")


def check_interface(node: Node, path: str) -> Iterator[Breach]:
    """The name of an interface."""
    if not isinstance(node, str):
        yield Breach("type", path, f"{show(node)} is not text")
    elif not node or node != node.strip():
        yield Breach("interface", path, f"{show(node)} is not the name of an interface")


def check_address(node: Node, path: str) -> Iterator[Breach]:
    """An address with a port."""
    if not isinstance(node, str):
        yield Breach("type", path, f"{show(node)} is not text")
        return
    found = ENDPOINT.fullmatch(node)
    if found is None:
        yield Breach("address", path, f"{show(node)} is not ip:port, nor [ip]:port for IPv6")
        return
    if not 1 <= int(found["port"]) <= LARGEST_PORT:
        yield Breach("port", path, f"{found['port']} is not between 1 and {LARGEST_PORT}")
    try:
        _ = IPv4Address(found["v4"]) if found["v6"] is None else _ipv6(found["v6"])
    except ValueError:
        yield Breach("address", path, f"{show(node)} holds no valid address of its kind")


def check_custom_metrics(node: Node, path: str) -> Iterator[Breach]:
    """All custom metrics; their names and type keys have one spelling only."""
    if not isinstance(node, dict):
        yield Breach("type", path, f"{show(node)} is not a map")
        return
    for name, metric in node.items():
        shown = name if METRIC_NAME.fullmatch(name) else show(name)
        here = f"{path}.{shown}"
        if shown != name or name.startswith("aws:"):
            yield Breach("metric-name", here, "not a name that a custom metric can have")
        yield from _check_custom_metric(metric, here)


def _check_custom_metric(node: Node, path: str) -> Iterator[Breach]:
    if not isinstance(node, list) or len(node) != 1 or not isinstance(node[0], dict):
        found = f"a list of {len(node)}" if isinstance(node, list) and len(node) != 1 else show(node)
        yield Breach("custom-list", path, f"{found} is not a list of exactly one map")
        return
    entry = node[0]
    if len(entry) != 1 or next(iter(entry)) not in CUSTOM_TYPES:
        keys = ", ".join(show(key) for key in list(entry)[:4]) or "nothing"
        yield Breach("custom-type", f"{path}[0]", f"{keys} is not exactly one of {', '.join(CUSTOM_TYPES)}")
        return
    key, content = next(iter(entry.items()))
    yield from CUSTOM_TYPES[key](content, f"{path}[0].{key}")


def check_number(node: Node, path: str) -> Iterator[Breach]:
    """A number, which a boolean is not."""
    if isinstance(node, bool) or not isinstance(node, int | Decimal):
        yield Breach("type", path, f"{show(node)} is not a number")
    elif Decimal(node).copy_abs() > LARGEST_DOUBLE:
        yield Breach("finite", path, f"{show(node)} is more than a number can hold")
    else:
        yield from check_digits(node, path)


def check_digits(node: int | Decimal, path: str) -> Iterator[Breach]:
    """Not more digits than are kept."""
    digits = str(abs(node)) if isinstance(node, int) else "".join(map(str, node.as_tuple().digits))
    significant = len(digits.strip("0"))
    if significant > MAXIMUM_DIGITS:
        yield Breach("digits", path, f"{show(node)} has {significant} significant digits, more than {MAXIMUM_DIGITS}")


def _check_string(node: Node, path: str) -> Iterator[Breach]:
    if not isinstance(node, str):
        yield Breach("type", path, f"{show(node)} is not text")
    elif not RETAINED_CHARACTERS.fullmatch(node):
        yield Breach("characters", path, f"{show(node)} holds characters that the service silently drops")


def _check_ip(node: Node, path: str) -> Iterator[Breach]:
    if not isinstance(node, str):
        yield Breach("type", path, f"{show(node)} is not text")
        return
    try:
        _ = _ipv6(node) if ":" in node else IPv4Address(node)
    except ValueError:
        yield Breach("ip", path, f"{show(node)} is not an IPv4 or IPv6 address")


def _list(check: Callable[[Node, str], Iterator[Breach]]) -> Callable[[Node, str], Iterator[Breach]]:
    def check_list(node: Node, path: str) -> Iterator[Breach]:
        if not isinstance(node, list):
            yield Breach("type", path, f"{show(node)} is not a list")
            return
        for index, each in enumerate(node):
            yield from check(each, f"{path}[{index}]")

    return check_list


CUSTOM_TYPES: dict[str, Callable[[Node, str], Iterator[Breach]]] = {
    "number": check_number,
    "number_list": _list(check_number),
    "string_list": _list(_check_string),
    "ip_list": _list(_check_ip),
}


def _check_natural(node: Node, path: str, rule: str) -> Iterator[Breach]:
    if not _is_integer(node):
        yield Breach("type", path, f"{show(node)} is not an integer")
    elif node < 0:
        yield Breach(rule, path, f"{node} is negative")
    else:
        yield from check_digits(node, path)


def _is_integer(node: Node) -> TypeGuard[int]:
    return isinstance(node, int) and not isinstance(node, bool)


def _ipv6(text: str) -> IPv6Address:
    address = IPv6Address(text)
    if address.scope_id is not None:
        raise ValueError("a zone identifier")
    return address
