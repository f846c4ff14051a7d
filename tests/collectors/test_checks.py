from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.collectors.checks import (
    DIMENSION_CHARACTERS,
    TEXT_CHARACTERS,
    by_name,
    checked,
    declared_problem,
)
from thingmeter.metrics import Connection, Listener, Metric, Sample

NUMBER = Metric("number", unit="1", dimensions=("line", "site"))
FLAG = Metric("flag", unit="1", type="boolean")
TEXT = Metric("text", unit="1", type="text")
ADDRESS = Metric("address", unit="1", type="address")
CONNECTIONS = Metric("connections", unit="1", type="connections")
LISTENERS = Metric("listeners", unit="1", type="listeners")
DECLARED = by_name((NUMBER, FLAG, TEXT, ADDRESS, CONNECTIONS, LISTENERS))

HOST = IPv4Address("10.0.0.1")
CONNECTION = Connection(HOST, 443, HOST, 50000, "eth0")
LISTENER = Listener(22, IPv6Address("::"))


class Level(enum.IntEnum):
    HIGH = 3


class Exact(float):
    """As numpy.float64: a float that is not one exactly."""


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (NUMBER, 0),
        (NUMBER, -1.5),
        (NUMBER, 2**64 - 1),
        (FLAG, True),
        (TEXT, ""),
        (TEXT, "pumpe süd\u00a07"),
        (ADDRESS, HOST),
        (ADDRESS, IPv6Address("fe80::1")),
        (CONNECTIONS, ()),
        (CONNECTIONS, (CONNECTION,)),
        (LISTENERS, (LISTENER,)),
    ],
)
def test_a_value_of_its_metrics_type_passes(metric: Metric, value: Any) -> None:
    sample = metric.sample(value)

    assert checked(sample, DECLARED) is sample


@pytest.mark.parametrize(
    ("metric", "value", "reason"),
    [
        (NUMBER, True, "type bool does not fit its metric's type number"),
        (NUMBER, "3", "type str"),
        (NUMBER, None, "type NoneType"),
        (NUMBER, [3], "type list"),
        (NUMBER, float("nan"), "not a finite number"),
        (NUMBER, float("-inf"), "not a finite number"),
        (NUMBER, 2**64, "more than 64 bits"),
        (NUMBER, -(10**400), "more than 64 bits"),
        (FLAG, 1, "type int does not fit its metric's type boolean"),
        (TEXT, b"x", "type bytes"),
        (TEXT, "x" * (TEXT_CHARACTERS + 1), "longer than 1024"),
        (TEXT, "two\nlines", "control characters"),
        (TEXT, "red\x1b[31m", "control characters"),
        (TEXT, "\ud800", "lone surrogates"),
        (ADDRESS, "10.0.0.1", "type str"),
        (CONNECTIONS, [CONNECTION], "type list"),
        (CONNECTIONS, (LISTENER,), "does not fit its metric's type connections"),
        (CONNECTIONS, (Connection("10.0.0.1", 1, HOST, 2),), "does not fit"),  # type: ignore[arg-type]
        (LISTENERS, (Listener("22", HOST),), "does not fit"),  # type: ignore[arg-type]
        (LISTENERS, (Listener(22, HOST, 3),), "does not fit"),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_another_type_is_refused(metric: Metric, value: Any, reason: str) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        checked(metric.sample(value), DECLARED)


@pytest.mark.parametrize(("value", "plain"), [(Level.HIGH, 3), (Exact(1.5), 1.5)])
def test_numbers_come_out_plain(value: float, plain: float) -> None:
    sample = checked(NUMBER.sample(value), DECLARED)

    assert (sample.value, type(sample.value)) == (plain, type(plain))


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (3, "a int is not a Sample"),
        (None, "a NoneType is not a Sample"),
        (Sample("number", 3), "not a Metric"),  # type: ignore[arg-type]
        (Metric("other", unit="1").sample(3), "not declared"),
        (Metric("number", unit="By").sample(3), "not declared"),
        (Metric("number", unit="1", dimensions=["line"]).sample(3), "not declared"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_sample_of_a_declared_metric_is_refused(sample: object, reason: str) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        checked(sample, DECLARED)


def test_an_equal_metric_counts_as_declared() -> None:
    sample = Metric("flag", unit="1", type="boolean").sample(value=True)

    assert checked(sample, DECLARED) is sample


def test_some_of_the_declared_dimensions_are_enough() -> None:
    sample = NUMBER.sample(3, {"line": "1"})

    assert checked(sample, DECLARED) is sample


@pytest.mark.parametrize(
    ("dimensions", "reason"),
    [
        ({"line": "1"}, "not a tuple of pairs"),
        ((("pump", "1"),), "does not declare"),
        ((("line", 1),), "not pairs of str"),
        ((("line",),), "not pairs of str"),
        (("line",), "not pairs of str"),
        ((("site", "a"), ("line", "1")), "not sorted"),
        ((("line", "1"), ("line", "2")), "each key once"),
        ((("line", "a\x00"),), "control characters"),
        ((("line", "x" * (DIMENSION_CHARACTERS + 1)),), "longer than 256"),
    ],
)
def test_wrong_dimensions_are_refused(dimensions: Any, reason: str) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        checked(Sample(NUMBER, 3, None, dimensions), DECLARED)


def test_a_time_in_another_zone_comes_out_in_utc() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    sample = checked(NUMBER.sample(3, at=at), DECLARED)

    assert (sample.at, sample.at and sample.at.tzinfo) == (at, UTC)


class Nowhere(tzinfo):
    """A zone that doesn't say what it is."""

    def utcoffset(self, _time: datetime | None, /) -> None:
        return None

    def dst(self, _time: datetime | None, /) -> None:
        return None

    def tzname(self, _time: datetime | None, /) -> None:
        return None


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (datetime(2026, 1, 1), "no time zone"),  # noqa: DTZ001
        (datetime(2026, 1, 1, tzinfo=Nowhere()), "no time zone"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), "beyond all dates"),
        (1767225600, "not a datetime"),
    ],
)
def test_a_wrong_time_is_refused(at: Any, reason: str) -> None:
    with pytest.raises((TypeError, ValueError), match=reason):
        checked(NUMBER.sample(3, at=at), DECLARED)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.ip_addresses(),
    st.lists(st.integers()),
    st.tuples(st.text(), st.text()),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.just(CONNECTION),
    st.just((CONNECTION,)),
)


@given(st.sampled_from(list(DECLARED.values())), ANYTHING, ANYTHING, st.lists(ANYTHING).map(tuple) | ANYTHING)
def test_whatever_comes_is_passed_or_refused(metric: Metric, value: Any, at: Any, dimensions: Any) -> None:
    try:
        sample = checked(Sample(metric, value, at, dimensions), DECLARED)
    except (TypeError, ValueError):
        return

    assert checked(sample, DECLARED) is sample


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        ([NUMBER], "must be a tuple of Metric, not list"),
        ((), "declares no metrics"),
        ((NUMBER, "text"), "one is str"),
        ((NUMBER, Metric("number", unit="By")), "number is declared twice"),
        ((Metric("pump.litres", unit="l"),), "no dot"),
        ((Metric("litres", unit="l", dimensions=["line"]),), "tuple of names"),  # type: ignore[arg-type]
        ((Metric("litres", unit="l", dimensions=("a line",)),), "tuple of names"),
    ],
)
def test_a_wrong_declaration_is_named(metrics: object, problem: str) -> None:
    assert problem in (declared_problem(metrics) or "")


def test_a_sound_declaration_has_no_problem() -> None:
    assert declared_problem(tuple(DECLARED.values())) is None
