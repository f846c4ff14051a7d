"""Frames and requests: final bytes, numbers that read as they were, sizes known beforehand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.config.settings import AggregationType
from thingmeter.destinations.devrev.points import Group, UsagePoint
from thingmeter.destinations.devrev.usage import (
    UsageRecord,
    amount_of,
    at_of,
    body,
    describe,
    encode,
    fitting,
    is_ambiguous_costly,
    read,
    size_of,
)

GOLDEN = Path(__file__).parents[1] / "golden"
AT = datetime(2026, 1, 1, 0, 7, 30, tzinfo=UTC)
SITE = (("line", "1"), ("site", "Zürich"))
LITRES = Group("pumped_litres", "ACC-1", dimensions=SITE)
FULL = Group("pump_hours", 'don:identity:dvrv-us-1:devo/0:account/"1"', "REVO-1", "REVU-1")
FRAMES = [
    encode(UsagePoint(LITRES, 12.5, AT), "pump-7.5f3c.9a41.1", "sum"),
    encode(UsagePoint(LITRES, 2**53 + 1, AT + timedelta(milliseconds=1)), "pump-7.5f3c.9a41.2", "sum"),
    encode(UsagePoint(FULL, 1.0, AT), "pump-7.5f3c.9a41.3", "duration"),
    encode(UsagePoint(LITRES, -0.1, AT), "pump-7.5f3c.9a41.4", "sum"),
]


def frame(value: float = 1, at: datetime = AT, aggregation_type: AggregationType = "sum", **group: Any) -> bytes:
    named: dict[str, Any] = {"metric_name": "m", "account_ref": "a"}
    return encode(UsagePoint(Group(**named | group), value, at), "id", aggregation_type)


def value_in(usage: bytes) -> str:
    return usage.partition(b'"value":')[2].decode().removesuffix("}")


def test_frames_are_the_golden_bytes() -> None:
    assert b"\n\n".join(FRAMES) + b"\n" == (GOLDEN / "usage-frames.txt").read_bytes()


def test_a_request_is_the_golden_bytes() -> None:
    assert body(FRAMES) + b"\n" == (GOLDEN / "usage-request.json").read_bytes()


def test_neighbours_under_one_head_share_an_entry_and_the_order_stays() -> None:
    metrics = json.loads(body(FRAMES))["metrics"]

    ids = [[point["id"][-1] for point in entry["data_points"]] for entry in metrics]
    assert ids == [["1", "2"], ["3"], ["4"]]


def test_a_request_has_the_bytes_of_each_point_as_they_were_frozen() -> None:
    request = body(FRAMES)

    assert all(each.split(b"\n")[2] in request for each in FRAMES)


def test_empty_references_and_dimensions_are_left_out() -> None:
    _, head, point = frame().split(b"\n")

    assert json.loads(head).keys() == {"account_ref", "name"}
    assert json.loads(point).keys() == {"id", "timestamp", "value"}


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (1, "1"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e22, "1e+22"),
        (5e-324, "5e-324"),
        (True, "1.0"),
        (False, "0.0"),
        (2**64, "18446744073709551616"),
        (10**300, "1" + "0" * 300),
    ],
)
def test_a_number_is_spelled_exactly(value: float, spelled: str) -> None:
    assert value_in(frame(value)) == spelled


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_what_no_double_can_hold_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no number that a double can hold"):
        frame(value)


def test_what_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        frame(account_ref="\ud800")


def test_a_time_is_sent_in_utc_to_the_millisecond_before() -> None:
    at = datetime(2026, 1, 1, 1, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))

    assert b'"timestamp":"2026-01-01T00:00:00.999Z"' in frame(at=at)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
GROUPS = st.builds(
    Group,
    TEXTS,
    st.sampled_from(["ACC-1", "ACC-2", "a\nb"]),
    st.sampled_from(["", "ORG"]),
    st.sampled_from(["", "USER"]),
    st.dictionaries(TEXTS, TEXTS, max_size=3).map(lambda found: tuple(sorted(found.items()))),
)
VALUES = st.one_of(st.integers(-(10**300), 10**300), st.floats(allow_nan=False, allow_infinity=False))
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  # bounds
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
RECORDS = st.builds(
    UsageRecord, TEXTS, st.builds(UsagePoint, GROUPS, VALUES, TIMES), st.sampled_from(get_args(AggregationType))
)


def encoded(record: UsageRecord) -> bytes:
    return encode(record.point, record.id, record.aggregation_type)


@given(RECORDS)
def test_a_frame_reads_as_what_was_frozen(record: UsageRecord) -> None:
    found = read(encoded(record))

    assert found == record
    assert repr(found.point.value) == repr(record.point.value)


@given(st.lists(RECORDS, min_size=1, max_size=12))
def test_a_request_says_what_its_frames_say(records: list[UsageRecord]) -> None:
    sent = [
        (entry["account_ref"], entry.get("org_ref", ""), entry.get("user_ref", ""), entry["name"], point["id"])
        for entry in json.loads(body([encoded(record) for record in records]))["metrics"]
        for point in entry["data_points"]
    ]

    groups = [(record.point.group, record.id) for record in records]
    assert sent == [(one.account_ref, one.org_ref, one.user_ref, one.metric_name, id_) for one, id_ in groups]


FRAME_LISTS = st.lists(st.sampled_from(FRAMES), min_size=1, max_size=12)


@given(FRAME_LISTS)
def test_the_size_of_a_request_is_known_without_making_it(frames: list[bytes]) -> None:
    assert size_of(frames) == len(body(frames))


@given(FRAME_LISTS, st.integers(1, 12), st.integers(0, 2000))
def test_as_many_frames_fit_as_keep_both_limits(frames: list[bytes], maximum_points: int, maximum_bytes: int) -> None:
    count = fitting(frames, maximum_points=maximum_points, maximum_bytes=maximum_bytes)

    assert count <= maximum_points
    assert size_of(frames[:count]) <= maximum_bytes
    assert count == min(len(frames), maximum_points) or size_of(frames[: count + 1]) > maximum_bytes


def test_without_frames_there_is_no_request() -> None:
    assert size_of([]) == 0
    assert fitting([], maximum_points=1, maximum_bytes=1) == 0


@pytest.mark.parametrize("aggregation_type", get_args(AggregationType))
def test_a_second_copy_costs_where_values_or_times_add_up(aggregation_type: AggregationType) -> None:
    costly = is_ambiguous_costly(frame(aggregation_type=aggregation_type))

    assert costly is (aggregation_type in {"sum", "duration"})


@pytest.mark.parametrize(("aggregation_type", "amount"), [("sum", 2.5), ("maximum", 0), ("duration", 0)])
def test_only_sums_amount_to_something(aggregation_type: AggregationType, amount: float) -> None:
    assert amount_of(frame(2.5, aggregation_type=aggregation_type)) == amount


def test_the_time_of_a_frame_is_that_of_its_point() -> None:
    assert at_of(frame()) == AT


def test_a_frame_is_described_in_one_line() -> None:
    assert describe(FRAMES[0]) == (
        "pumped_litres 12.5 at 2026-01-01T00:07:30.000Z, account ACC-1, line=1, site=Zürich "
        "(sum, id pump-7.5f3c.9a41.1)"
    )


def test_a_record_without_account_is_described_as_such() -> None:
    assert "account unknown" in describe(frame(account_ref=""))


def test_a_description_escapes_what_does_not_print() -> None:
    assert describe(frame(dimensions=(("k", "a\x1b[31m\nb"),))).isprintable()


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"{}",
        b"1 sum\n{}\n{}",
        b"1 sum\n[]\n[]",
        FRAMES[0].replace(b"1 sum", b"2 sum"),
        FRAMES[0].replace(b"1 sum", b"1 mean"),
        FRAMES[0].replace(b"2026", b"year"),
        FRAMES[0] + b"\n",
        b"\xff\n\xff\n\xff",
    ],
)
def test_what_is_no_frame_is_said_to_be_none(other: bytes) -> None:
    assert describe(other) == "not a usage record of this version of thingmeter"
