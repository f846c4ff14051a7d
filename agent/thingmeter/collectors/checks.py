"""What a collector must declare and yield. Pure; used where collectors are loaded, run and tested.

Nothing that a plugin hands over is trusted: its types, its sizes and its text are looked at once, here, so that windows
and encoders need not. Numbers come out as plain ``int`` and ``float`` (numpy's float64 is a float, an IntEnum an int).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from thingmeter.metrics import NAME, Connection, Listener, Metric, Sample, Value

TEXT_CHARACTERS = 1024
DIMENSION_CHARACTERS = 256
ADDRESSES = (IPv4Address, IPv6Address)
NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # breaks a log line, or isn't UTF-8
WHOLE_NUMBER_BOUND = 2**64  # the widest integer of CBOR, and of the kernel's counters


def declared_problem(metrics: object) -> str | None:
    """Return what is wrong with a collector's ``metrics``, None when nothing is."""
    if not isinstance(metrics, tuple):
        return f"its metrics must be a tuple of Metric, not {type(metrics).__name__}"
    if not metrics:
        return "it declares no metrics"
    names = set()
    for metric in metrics:
        if not isinstance(metric, Metric):
            return f"its metrics must be a tuple of Metric, and one is {type(metric).__name__}"
        if not NAME.fullmatch(metric.name):
            return f"metric {metric.name}: the collector's name comes before it, so no dot"
        if metric.name in names:
            return f"metric {metric.name} is declared twice"
        names.add(metric.name)
        if not _are_names(metric.dimensions):
            return (
                f"metric {metric.name}: its dimensions must be a tuple of names: letters, digits, _, no leading digit"
            )
    return None


def by_name(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """Return the declared ``metrics`` as ``checked`` wants them."""
    return {metric.name: metric for metric in metrics}


def checked(sample: object, declared: Mapping[str, Metric]) -> Sample:
    """Return ``sample`` with its value as a plain one and ``at``, when it has one, in UTC.

    Raises:
        TypeError, ValueError: it is not a sample of one of the ``declared`` metrics, as that metric says. The message
            has no value in it: equal mistakes have equal messages.
    """
    if not isinstance(sample, Sample):
        raise TypeError(f"a {type(sample).__name__} is not a Sample")
    metric = sample.metric
    if not isinstance(metric, Metric):
        raise TypeError("its metric is not a Metric")
    if declared.get(metric.name) != metric:
        raise ValueError("its metric is not declared in metrics")
    _check_dimensions(sample.dimensions, metric)
    value, at = _checked_value(sample.value, metric), _checked_at(sample.at)
    return sample if value is sample.value and at is sample.at else replace(sample, value=value, at=at)


def _are_names(dimensions: object) -> bool:
    return isinstance(dimensions, tuple) and all(isinstance(key, str) and NAME.fullmatch(key) for key in dimensions)


def _check_dimensions(dimensions: object, metric: Metric) -> None:
    if dimensions == ():
        return
    if not isinstance(dimensions, tuple):
        raise TypeError("its dimensions are not a tuple of pairs; metric.sample() makes one of a mapping")
    last = ""
    for pair in dimensions:
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):  # noqa: PLR2004
            raise TypeError("its dimensions are not pairs of str")
        key, text = pair
        if key not in metric.dimensions:
            raise ValueError("it has a dimension that its metric does not declare")
        if key <= last:
            raise ValueError("its dimensions are not sorted by key, each key once")
        last = key
        _check_text(text, DIMENSION_CHARACTERS, "a dimension")


def _check_text(text: str, characters: int, what: str) -> None:
    if len(text) > characters:
        raise ValueError(f"{what} is longer than {characters} characters")
    if not text.isprintable() and NOT_TEXT.search(text):
        raise ValueError(f"{what} has control characters or lone surrogates")


def _checked_value(value: Value, metric: Metric) -> Value:
    match metric.type:
        case "number":
            return _checked_number(value)
        case "boolean":
            fits = isinstance(value, bool)
        case "text":
            fits = isinstance(value, str)
            if isinstance(value, str):
                _check_text(value, TEXT_CHARACTERS, "its value")
        case "address":
            fits = isinstance(value, ADDRESSES)
        case "connections":
            fits = isinstance(value, tuple) and all(map(_is_connection, value))
        case "listeners":
            fits = isinstance(value, tuple) and all(map(_is_listener, value))
        case _:
            assert_never(metric.type)
    if not fits:
        raise TypeError(f"a value of type {type(value).__name__} does not fit its metric's type {metric.type}")
    return value


def _is_connection(item: object) -> bool:
    return (
        isinstance(item, Connection)
        and _is_endpoint(item.remote_address, item.remote_port, None)
        and _is_endpoint(item.local_address, item.local_port, item.interface)
    )


def _is_listener(item: object) -> bool:
    return isinstance(item, Listener) and _is_endpoint(item.address, item.port, item.interface)


def _is_endpoint(address: object, port: object, interface: object) -> bool:
    return isinstance(address, ADDRESSES) and type(port) is int and (interface is None or isinstance(interface, str))


def _checked_number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a value of type {type(value).__name__} does not fit its metric's type number")
    if isinstance(value, int):
        whole = value if type(value) is int else int(value)
        if abs(whole) >= WHOLE_NUMBER_BOUND:
            raise ValueError("its value needs more than 64 bits")
        return whole
    if not math.isfinite(value):
        raise ValueError("its value is not a finite number")
    return value if type(value) is float else float(value)


def _checked_at(at: datetime | None) -> datetime | None:
    if at is None or (type(at) is datetime and at.tzinfo is UTC):
        return at
    if not isinstance(at, datetime):
        raise TypeError("its time is not a datetime")
    if at.utcoffset() is None:
        raise ValueError("its time has no time zone")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("its time is beyond all dates") from None
