"""DevRev bills the same for what the agent folds as for every sample sent on its own, however the samples are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from math import ulp
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrev.usage_judge import CUT, NAME, START, Judge, Raw, frames_of, sent_in_batches, sent_one_by_one, uom_of
from thingmeter.config.settings import AggregationType, Unit
from thingmeter.destinations.devrev.usage import at_of
from thingmeter.sandbox.devrev.totals import Group as BilledGroup

QUARTER_S = 900
HOURS = 2
END_S = HOURS * 3600
BOUNDARIES = [START + timedelta(seconds=second) for second in range(0, END_S + 1, QUARTER_S)]
WINDOWS = st.one_of(
    st.just(QUARTER_S), st.sampled_from([each for each in range(1, QUARTER_S) if QUARTER_S % each == 0])
)
Events = list[Raw | None]

# Mostly a few instants of one group, so that windows hold several samples and several samples share an instant.
MILLISECONDS = st.one_of(
    st.sampled_from([0, 500, 1_000, 450_000, 899_950, 900_000]),
    st.integers(0, END_S * 20 - 1).map(lambda tick: tick * 50),
)
HERE = (("customer", "ACC-1"), ("line", "1"), ("serial", "a"), ("site", "north"))
DIMENSIONS = st.one_of(
    st.just(HERE),
    st.tuples(
        st.sampled_from(["ACC-1", "ACC-2"]).map(lambda account: ("customer", account)),
        st.sampled_from(["1", "2"]).map(lambda line: ("line", line)),
        st.sampled_from(["a", "b"]).map(lambda serial: ("serial", serial)),
        st.sampled_from(["north", "south"]).map(lambda site: ("site", site)),
    ),
)
INTEGERS = st.one_of(st.integers(-3, 3), st.integers(-(2**40), 2**40), st.booleans())
SAMPLES = st.builds(Raw, MILLISECONDS, INTEGERS, DIMENSIONS)
STATES = st.builds(Raw, MILLISECONDS, st.one_of(st.integers(-3, 3), st.integers(0, 1000), st.booleans()), DIMENSIONS)


def events_of(samples: st.SearchStrategy[Raw]) -> st.SearchStrategy[Events]:
    """Return samples in any order with cuts between them."""
    event = st.one_of(samples, samples, samples, st.just(CUT))
    return st.one_of(st.lists(event, max_size=5), st.lists(event, min_size=10, max_size=30))


@dataclass(frozen=True, slots=True)
class Route:
    """How frames go out: the sizes of the requests, and how many times which are sent again."""

    sizes: list[int]
    repeated: dict[int, int]


ROUTES = st.builds(
    Route,
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.dictionaries(st.integers(0, 5), st.integers(1, 2), max_size=3),
)
PERIODS = st.tuples(st.sampled_from(BOUNDARIES), st.sampled_from(BOUNDARIES)).map(sorted)


def samples_in(events: Sequence[Raw | None]) -> list[Raw]:
    return [event for event in events if event is not None]


def in_order_of_time(events: Sequence[Raw | None]) -> Events:
    """Return the same events, their samples sorted by time."""
    ordered = iter(sorted(samples_in(events), key=lambda sample: sample.millisecond))
    return [CUT if event is CUT else next(ordered) for event in events]


def off_the_first_instant(events: Sequence[Raw | None]) -> Events:
    """Return the same events, but for samples at the first instant of a second: they are 7 ms later.

    On and off in the first millisecond of a window become two points a millisecond apart, and the second is then later
    than a sample that a further part has at that instant.
    """
    return [
        CUT if event is CUT else replace(event, millisecond=event.millisecond + 7 * (event.millisecond % 1000 == 0))
        for event in events
    ]


def judges_of(
    aggregation_type: AggregationType, events: Events, window_s: int, route: Route, unit: Literal["number", "boolean"]
) -> tuple[Judge, Judge]:
    """Return who was told every sample, and who was told what the agent made of them."""
    uom = uom_of(aggregation_type, unit=Unit(name="l", type=unit))
    if aggregation_type == "running_total":
        events = off_the_first_instant(events)
    told_all, told_folded = Judge(uom, END_S), Judge(uom, END_S)
    sent_one_by_one(told_all, samples_in(events))
    sent_in_batches(told_folded, frames_of(uom, events, window_s), route.sizes, route.repeated)
    return told_all, told_folded


@pytest.mark.parametrize("aggregation_type", [kind for kind in get_args(AggregationType) if kind != "duration"])
@given(
    events=events_of(SAMPLES),
    window_s=WINDOWS,
    route=ROUTES,
    billing=st.tuples(PERIODS, st.sampled_from(["ever active", "active in the period"])),
)
def test_any_period_is_billed_as_if_every_sample_had_been_sent(
    aggregation_type: AggregationType,
    events: Events,
    window_s: int,
    route: Route,
    billing: tuple[list[datetime], Literal["ever active", "active in the period"]],
) -> None:
    period, past = billing
    told_all, told_folded = judges_of(aggregation_type, events, window_s, route, "number")
    told_all.devrev.switches.running_total = told_folded.devrev.switches.running_total = past

    assert told_folded.bills(*period) == told_all.bills(*period)
    assert told_folded.bills() == told_all.bills()


@given(
    events=events_of(
        st.builds(Raw, st.integers(0, 9).map(lambda tick: tick * 500), st.booleans(), st.just(HERE)),
    )
)
def test_what_is_on_at_the_end_of_a_window_is_so_at_devrev_whatever_its_parts_hold(events: Events) -> None:
    told_all, told_folded = judges_of("running_total", events, QUARTER_S, Route([100], {}), "number")
    told_all.devrev.switches.running_total = told_folded.devrev.switches.running_total = "active in the period"

    assert told_folded.bills(BOUNDARIES[1]) == told_all.bills(BOUNDARIES[1])


@given(events=events_of(STATES).map(in_order_of_time), window_s=WINDOWS, route=ROUTES, period=PERIODS)
def test_a_duration_is_billed_as_if_every_sample_had_been_sent_when_no_part_is_older_than_the_one_before(
    events: Events, window_s: int, route: Route, period: list[datetime]
) -> None:
    told_all, told_folded = judges_of("duration", events, window_s, route, "number")

    assert close(told_folded.bills(*period), told_all.bills(*period))
    assert close(told_folded.bills(), told_all.bills())


@given(events=events_of(STATES), window_s=WINDOWS, period=PERIODS)
def test_a_duration_needs_no_order_within_a_part(events: Events, window_s: int, period: list[datetime]) -> None:
    uncut: Events = [*samples_in(events)]

    told_all, told_folded = judges_of("duration", uncut, window_s, Route([100], {}), "number")

    assert close(told_folded.bills(*period), told_all.bills(*period))


@given(events=events_of(STATES).map(in_order_of_time), window_s=WINDOWS, count=st.integers(0, 60))
def test_what_is_still_to_be_sent_is_missing_from_a_duration_as_if_it_had_not_been_sampled(
    events: Events, window_s: int, count: int
) -> None:
    """At any moment: windows that are frozen and delivered count, the state at their end goes on until now."""
    uom = uom_of("duration")
    until = START + timedelta(seconds=count * window_s)
    early: Events = [event for event in events if event is CUT or event.at < until]
    told_all, told_folded = Judge(uom, END_S), Judge(uom, END_S)

    sent_one_by_one(told_all, samples_in(early))
    delivered = [frame for frame in frames_of(uom, events, window_s) if is_before(frame, until)]
    sent_in_batches(told_folded, delivered, [100], {})

    assert close(told_folded.bills(), told_all.bills())


@pytest.mark.parametrize("aggregation_type", [kind for kind in get_args(AggregationType) if kind != "sum"])
@given(
    events=events_of(st.builds(Raw, MILLISECONDS, st.booleans(), DIMENSIONS)).map(in_order_of_time),
    window_s=WINDOWS,
    route=ROUTES,
)
def test_booleans_are_billed_as_if_every_sample_had_been_sent(
    aggregation_type: AggregationType, events: Events, window_s: int, route: Route
) -> None:
    told_all, told_folded = judges_of(aggregation_type, events, window_s, route, "boolean")

    assert close(told_folded.bills(), told_all.bills())


FLOATS = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.1, 0.2, 0.3, 1e15, -1e15]))


@given(events=events_of(st.builds(Raw, MILLISECONDS, FLOATS, DIMENSIONS)), window_s=WINDOWS)
def test_a_sum_of_floats_is_off_by_at_most_one_rounding_of_each_part(events: Events, window_s: int) -> None:
    uom = uom_of("sum")
    frames = frames_of(uom, events, window_s)
    judge = Judge(uom, END_S)

    sent_in_batches(judge, frames, [100], {})

    exact: dict[BilledGroup, Fraction] = {}
    roundings: dict[BilledGroup, Fraction] = {}
    for sample in samples_in(events):
        exact[billed(sample)] = exact.get(billed(sample), Fraction()) + Fraction(sample.value)
    for point in judge.devrev.points(NAME):
        group = BilledGroup(point.account_ref, dimensions=point.dimensions)
        roundings[group] = roundings.get(group, Fraction()) + Fraction(ulp(point.value)) / 2
    for group, total in judge.bills().items():
        assert abs(Fraction(total) - exact[group]) <= roundings[group] + Fraction(ulp(total)) / 2


def billed(sample: Raw) -> BilledGroup:
    """Return what a sample is billed as where no dimension is a unique one."""
    found = dict(sample.dimensions)
    return BilledGroup(found["customer"], dimensions=(("line", found["line"]), ("site", found["site"])))


def is_before(frame: bytes, until: datetime) -> bool:
    return at_of(frame) < until


def close(ours: dict[BilledGroup, float], theirs: dict[BilledGroup, float]) -> bool:
    """Return whether durations are equal but for the rounding of value times seconds: a repeat splits a product."""
    return ours.keys() == theirs.keys() and all(
        ours[group] == pytest.approx(theirs[group], rel=1e-9, abs=1e-6) for group in ours
    )
