from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.destinations.devrev.points import Group
from thingmeter.metering.measured import Moment
from thingmeter.metering.parts import PARTS_LIMIT, Parts
from thingmeter.metering.times import GROUPS_LIMIT, Times

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = Moment("boot-1", 1000.0, START)
GROUP = Group("state", "ACC-1")


def test_the_first_part_of_a_window_is_number_0() -> None:
    assert Parts().of(60, "litres") == 0


def test_each_part_counts_for_its_window_and_uom_alone() -> None:
    parts = Parts().plus([(60, "litres")]).plus([(60, "litres"), (120, "litres")])

    assert [parts.of(*place) for place in ((60, "litres"), (120, "litres"), (60, "state"))] == [2, 1, 0]


def test_parts_are_what_they_were_after_a_restart() -> None:
    parts = Parts.read(Parts().plus([(60, "litres"), (60, "state")]).plus([(60, "state")]).state())

    assert (parts.of(60, "litres"), parts.of(60, "state")) == (1, 2)


def test_the_windows_that_were_frozen_longest_ago_are_forgotten() -> None:
    parts = Parts().plus([(window, "litres") for window in range(PARTS_LIMIT + 1)])

    assert (parts.of(0, "litres"), parts.of(1, "litres")) == (0, 1)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(-100_000, 100_000)), max_size=30))
def test_times_increase_by_a_millisecond_at_least_whatever_the_clock_does(waits: list[tuple[int, int]]) -> None:
    times, uptime_s, wall = Times(NOW), 1000.0, START
    stamped = []
    for wait_ms, step_ms in waits:
        uptime_s += wait_ms / 1000
        wall += timedelta(milliseconds=wait_ms + step_ms)
        stamped.append(times.stamp(GROUP, wall, uptime_s))

    assert all(later - earlier >= timedelta(milliseconds=1) for earlier, later in pairwise(stamped))


@given(st.lists(st.integers(1, 5000), max_size=30))
def test_times_stay_as_they_are_where_the_clock_does_not_step(waits: list[int]) -> None:
    times, wall = Times(NOW), START
    for wait_ms in waits:
        wall += timedelta(milliseconds=wait_ms)
        assert times.stamp(GROUP, wall, 1000 + (wall - START).total_seconds()) == wall


@pytest.mark.parametrize("boot_id", ["boot-1", "boot-2"])
def test_times_increase_over_a_restart(boot_id: str) -> None:
    times = Times(NOW)
    times.stamp(GROUP, START, 1000.0)
    restarted = Times(Moment(boot_id, 1001.0, START), times.state(NOW))

    at = restarted.stamp(GROUP, START - timedelta(days=1), 1001.0)

    assert at > START


def test_a_step_back_leaves_what_lies_between_two_samples_as_long_as_it_was() -> None:
    times = Times(NOW)
    times.stamp(GROUP, START, 1000.0)

    at = times.stamp(GROUP, START - timedelta(hours=20), 1010.0, keeps_lengths=True)

    assert at == START + timedelta(seconds=10)


def test_the_wall_clock_catches_up_where_lengths_do_not_count() -> None:
    times = Times(NOW)
    times.stamp(GROUP, START, 1000.0)
    times.stamp(GROUP, START - timedelta(seconds=15), 1010.0)

    at = times.stamp(GROUP, START + timedelta(seconds=5), 1030.0)

    assert at == START + timedelta(seconds=5)


def test_a_last_time_of_more_than_a_day_ahead_is_given_up() -> None:
    times = Times(NOW)
    times.stamp(GROUP, START + timedelta(days=2), 1000.0)

    stamped = [times.stamp(GROUP, START + timedelta(seconds=second), 1000.0 + second) for second in (1, 2)]

    assert (stamped[0], stamped[1] - stamped[0]) == (START + timedelta(seconds=1), timedelta(seconds=1))


def test_last_times_that_are_given_up_are_counted_once() -> None:
    times = Times(NOW)
    times.stamp(GROUP, START + timedelta(days=2), 1000.0)
    times.stamp(GROUP, START, 1001.0)

    assert (times.take_given_up(), times.take_given_up()) == (1, 0)


@pytest.mark.parametrize("boot_id", ["boot-1", "boot-2"])
def test_a_sample_from_before_a_restart_keeps_its_time(boot_id: str) -> None:
    times = Times(NOW)
    times.stamp(GROUP, START, 1000.0)
    restarted = Times(Moment(boot_id, 1001.0, START), times.state(NOW))

    at = restarted.stamp(GROUP, START - timedelta(days=1), -80_000.0)

    assert at == START - timedelta(days=1)


def test_groups_have_times_of_their_own() -> None:
    times = Times(NOW)
    times.stamp(GROUP, START, 1000.0)

    assert times.stamp(Group("state", "ACC-2"), START, 1000.0) == START


def test_as_many_groups_are_known_as_the_bound_says() -> None:
    times = Times(NOW)

    for number in range(GROUPS_LIMIT + 5):
        times.stamp(Group("state", str(number)), START, 1000.0)

    assert times.known() == GROUPS_LIMIT
