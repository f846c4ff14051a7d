from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.devrev_caller import Caller, Points, caller_on
from thingmeter.sandbox.devrev.points import Point
from thingmeter.sandbox.devrev.totals import Group, Period, fold
from thingmeter.testing import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS_S = 3600.0
Sent = tuple[int, str, str, int]


@pytest.fixture
def point() -> Points:
    return Points()


def caller_for(clock: ManualClock, aggregation_type: str, unique_dimension: str = "") -> Caller:
    """Return a caller whose DevRev has the UOM "litres" of a type."""
    caller = caller_on(clock)
    detail = {"aggregation_type": aggregation_type}
    caller.create(aggregation_detail=detail | ({"unique_dimension": unique_dimension} if unique_dimension else {}))
    return caller


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("aggregation_type", "expected"), [("sum", 6), ("maximum", 4), ("minimum", -1), ("latest", 3), ("oldest", 4)]
)
def test_the_plain_types_fold_the_values(
    clock: ManualClock, point: Points, aggregation_type: str, expected: float
) -> None:
    caller = caller_for(clock, aggregation_type)
    late, early, middle = point(3, text(at(3))), point(4, text(at(1))), point(-1, text(at(2)))

    caller.ingest(late, early, middle)

    assert caller.devrev.totals("litres") == {Group("ACC-1"): expected}


@pytest.mark.parametrize(("aggregation_type", "expected"), [("latest", 2), ("oldest", 1)])
def test_of_two_points_at_one_instant_the_order_of_arrival_decides(
    clock: ManualClock, point: Points, aggregation_type: str, expected: float
) -> None:
    caller = caller_for(clock, aggregation_type)

    caller.ingest(point(1, text(START)), point(2, text(START)))

    assert caller.devrev.totals("litres") == {Group("ACC-1"): expected}


def test_a_sum_loses_nothing_between_large_and_small(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "sum")

    caller.ingest(*map(point, [1e16, 1.0, -1e16, 0.1, 0.2, -0.3]))

    assert caller.devrev.totals("litres")[Group("ACC-1")] == float(1 + Fraction(0.1) + Fraction(0.2) - Fraction(0.3))


def test_a_sum_beyond_the_largest_double_is_infinite(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "sum")

    caller.ingest(point(1.7e308), point(1.7e308))

    assert caller.devrev.totals("litres") == {Group("ACC-1"): float("inf")}


def test_each_account_org_user_and_set_of_dimensions_is_billed_apart(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "sum")

    caller.ingest(point(1), point(2, site="n"), point(4, site="n", line="1"))
    caller.ingest(point(8), account_ref="ACC-2")
    caller.ingest(point(16), org_ref="ORG")
    caller.ingest(point(32), user_ref="USER")

    assert caller.devrev.totals("litres") == {
        Group("ACC-1"): 1,
        Group("ACC-1", dimensions=(("site", "n"),)): 2,
        Group("ACC-1", dimensions=(("line", "1"), ("site", "n"))): 4,
        Group("ACC-2"): 8,
        Group("ACC-1", org_ref="ORG"): 16,
        Group("ACC-1", user_ref="USER"): 32,
    }


def test_a_period_has_its_beginning_but_not_its_end(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "sum")

    caller.ingest(*(point(10**hour, text(at(hour))) for hour in range(4)))

    assert caller.devrev.totals("litres", at(1), at(3)) == {Group("ACC-1"): 110}


def test_a_group_without_points_in_the_period_has_no_total(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "sum")

    caller.ingest(point(1, text(at(0))))

    assert caller.devrev.totals("litres", since=at(1)) == {}


def test_a_unique_count_counts_the_values_of_its_dimension(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "unique_count", "site")

    caller.ingest(point(1, site="a", line="1"), point(1, site="b", line="1"), point(5, site="a", line="1"))

    assert caller.devrev.totals("litres") == {Group("ACC-1", dimensions=(("line", "1"),)): 2}


def test_a_unique_count_forgets_the_period_before(clock: ManualClock, point: Points) -> None:
    """The example of the reference: VM0 in January; VM1, VM2 and VM1 in February; 2."""
    caller = caller_for(clock, "unique_count", "site")
    january = point(1, "2026-01-10T00:00:00Z", site="VM0")
    february = [point(1, f"2026-02-1{day}T00:00:00Z", site=vm) for day, vm in enumerate(["VM1", "VM2", "VM1"])]

    caller.ingest(january, *february)

    assert caller.devrev.totals("litres", since=datetime(2026, 2, 1, tzinfo=UTC)) == {Group("ACC-1"): 2}


def test_a_point_without_the_unique_dimension_counts_for_nothing(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "unique_count", "site")

    caller.ingest(point(1, line="1"))

    assert caller.devrev.totals("litres") == {}


def test_without_a_unique_dimension_all_dimensions_stand_for_it(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "unique_count")

    caller.ingest(point(1, site="a", line="1"), point(1, site="a", line="2"), point(1, site="a", line="2"), point(1))

    assert caller.devrev.totals("litres") == {Group("ACC-1"): 3}


@pytest.mark.parametrize(("past", "expected"), [("ever active", 3), ("active in the period", 2)])
def test_a_running_total_counts_by_the_example_or_by_the_words(
    clock: ManualClock, point: Points, past: Any, expected: float
) -> None:
    """VM0 on and off in January; VM2 on and off and VM3 on in February; the reference says 3."""
    caller = caller_for(clock, "running_total", "site")
    caller.switches.running_total = past
    january = [point(1, "2026-01-10T00:00:00Z", site="VM0"), point(0, "2026-01-11T00:00:00Z", site="VM0")]
    february = [
        point(1, "2026-02-10T00:00:00Z", site="VM2"),
        point(0, "2026-02-11T00:00:00Z", site="VM2"),
        point(1, "2026-02-12T00:00:00Z", site="VM3"),
    ]

    caller.ingest(*january, *february)

    assert caller.devrev.totals("litres", since=datetime(2026, 2, 1, tzinfo=UTC)) == {Group("ACC-1"): expected}


@pytest.mark.parametrize("past", ["ever active", "active in the period"])
def test_a_running_total_counts_what_is_still_active_from_before(clock: ManualClock, point: Points, past: Any) -> None:
    caller = caller_for(clock, "running_total", "site")
    caller.switches.running_total = past

    caller.ingest(point(1, text(at(0)), site="a"))

    assert caller.devrev.totals("litres", at(5), at(6)) == {Group("ACC-1"): 1}


def test_a_duration_counts_the_time_between_on_and_off(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "duration", "site")
    clock.advance(10 * HOURS_S)

    caller.ingest(point(1, text(at(1)), site="a"), point(0, text(at(3)), site="a"))

    assert caller.devrev.totals("litres") == {Group("ACC-1"): 2 * HOURS_S}


def test_a_duration_is_weighted_by_its_value(clock: ManualClock, point: Points) -> None:
    """The example of the reference: 4 from January 15 for thirty days, 5 from February 18 for ten days."""
    caller = caller_for(clock, "duration", "site")
    clock.advance((datetime(2026, 2, 28, tzinfo=UTC) - START).total_seconds())
    vm0 = [point(4, "2026-01-15T00:00:00Z", site="VM0"), point(0, "2026-02-14T00:00:00Z", site="VM0")]

    caller.ingest(*vm0, point(5, "2026-02-18T00:00:00Z", site="VM1"))

    assert caller.devrev.totals("litres") == {Group("ACC-1"): (30 * 4 + 10 * 5) * 24 * HOURS_S}


def test_a_duration_that_has_not_ended_lasts_until_now(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "duration", "site")
    caller.ingest(point(1, text(at(0)), site="a"))

    clock.advance(90)

    assert caller.devrev.totals("litres", until=at(50)) == {Group("ACC-1"): 90}


def test_a_duration_from_before_goes_on_in_the_period(clock: ManualClock, point: Points) -> None:
    caller = caller_for(clock, "duration", "site")
    clock.advance(10 * HOURS_S)

    caller.ingest(point(2, text(at(0)), site="a"), point(0, text(at(5)), site="a"))

    assert caller.devrev.totals("litres", at(4), at(8)) == {Group("ACC-1"): 2 * HOURS_S}


SITES = ["a", "b", "c"]
LINES = ["1", "2"]
END = 24
SENT = st.lists(
    st.tuples(st.integers(0, END), st.sampled_from(SITES), st.sampled_from(LINES), st.integers(0, 3)), max_size=12
)
PERIODS = st.tuples(st.integers(0, END), st.integers(0, END)).map(sorted)


@dataclass(slots=True)
class Walk:
    """What a walk through every hour sees of one group; written without a look at the fold."""

    state: dict[str, int] = field(default_factory=dict)
    ever_on: set[str] = field(default_factory=set)
    sites: set[str] = field(default_factory=set)
    values: list[int] = field(default_factory=list)
    hours: int = 0

    def take(self, site: str, value: int, *, counts: bool) -> None:
        self.state[site] = value
        if value:
            self.ever_on.add(site)
        if counts:
            self.values.append(value)
            self.sites.add(site)

    def total(self, aggregation_type: str) -> float | None:
        if aggregation_type in {"duration", "running_total"}:
            total = self.hours * HOURS_S if aggregation_type == "duration" else len(self.ever_on)
            return total if self.state else None
        if not self.values:
            return None
        ordered = sorted(self.values)
        return {
            "unique_count": len(self.sites),
            "sum": sum(ordered),
            "maximum": ordered[-1],
            "minimum": ordered[0],
            "latest": self.values[-1],
            "oldest": self.values[0],
        }[aggregation_type]


def walked(sent: Sequence[Sent], since: int, until: int) -> Walk:
    """Walk through the hours before ``until``."""
    walk = Walk()
    for hour in range(until):
        for at_hour, site, _, value in sent:
            if at_hour == hour:
                walk.take(site, value, counts=hour >= since)
        if hour >= since:
            walk.hours += sum(walk.state.values())
    return walk


@pytest.mark.parametrize(
    "aggregation_type",
    ["duration", "latest", "maximum", "minimum", "oldest", "running_total", "sum", "unique_count"],
)
@given(sent=SENT, period=PERIODS)
def test_totals_are_those_of_a_walk_through_every_hour(
    aggregation_type: str, sent: list[Sent], period: list[int]
) -> None:
    clock = ManualClock(START)
    caller = caller_for(clock, aggregation_type, "site")
    clock.advance(END * HOURS_S)
    make = Points()
    if sent:
        caller.ingest(*(make(value, text(at(hour)), site=site, line=line) for hour, site, line, value in sent))
    since, until = period
    groups: defaultdict[Group, list[Sent]] = defaultdict(list)
    for each in sent:
        own = (
            {"line": each[2]}
            if aggregation_type in {"duration", "running_total", "unique_count"}
            else {
                "line": each[2],
                "site": each[1],
            }
        )
        groups[Group("ACC-1", dimensions=tuple(own.items()))].append(each)

    totals = caller.devrev.totals("litres", at(since), at(until))

    expected = {group: walked(own, since, until).total(aggregation_type) for group, own in groups.items()}
    assert totals == {group: value for group, value in expected.items() if value is not None}


@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    kind=st.sampled_from(["sum", "duration"]),
)
def test_any_values_have_a_total(values: list[float], kind: str) -> None:
    caller = caller_for(ManualClock(START), kind)
    [uom] = caller.devrev.uoms
    points = [Point("litres", "ACC-1", "", "", str(index), at(index), value, ()) for index, value in enumerate(values)]

    totals = fold(uom, points, Period(None, None, now=at(len(values))))

    assert totals.keys() == {Group("ACC-1")}
