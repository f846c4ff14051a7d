"""The spread: every device has its place, and a fleet fills the time evenly."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.registration.spread import Timing, backoff, share

LOOKED_AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY_S = 86_400


class Highest(Random):
    """Draws the highest number there is."""

    def random(self) -> float:
        return 1 - 2**-53


def largest_gap(shares: list[float]) -> float:
    return max(later - earlier for earlier, later in pairwise([0.0, *sorted(shares), 1.0]))


@given(st.text(max_size=128))
def test_a_share_is_at_least_zero_and_below_one(thing: str) -> None:
    assert 0 <= share(thing) < 1


def test_a_share_depends_on_the_name_alone() -> None:
    assert share("pump-0001") == pytest.approx(0.4039217, abs=1e-7)


def test_numbered_things_leave_no_gap() -> None:
    shares = [share(f"pump-{number:04}") for number in range(1, 10_000)]

    assert largest_gap(shares) < 3 / len(shares)


def test_any_second_of_two_hours_has_its_share_of_a_numbered_fleet() -> None:
    seconds = Counter(int(share(f"pump-{number:05}") * 7200) for number in range(10_000))

    assert max(seconds.values()) <= 3


def test_a_part_of_a_numbered_fleet_is_spread_as_evenly() -> None:
    shares = [share(f"pump-{number}") for number in range(5000, 5100)]

    assert largest_gap(shares) < 3 / len(shares)


def test_fleets_of_other_names_begin_elsewhere() -> None:
    assert abs(share("pump-1") - share("valve-1")) > 0.001


def test_names_without_a_number_are_spread_by_chance() -> None:
    shares = [share(f"pump-{number}-north") for number in range(1000)]

    assert 0.4 < sum(shares) / len(shares) < 0.6


def test_numbers_longer_than_any_serial_number_are_taken() -> None:
    assert share("9" * 128) != share("9" * 127 + "8")


@pytest.mark.parametrize(("failures", "limit_s"), [(1, 10), (2, 20), (5, 160), (30, 900), (10**6, 900)])
def test_the_limit_of_the_back_off_doubles_to_its_cap(failures: int, limit_s: float) -> None:
    assert backoff(failures, 900, Highest()) == pytest.approx(limit_s)


@given(st.integers(1, 100), st.integers())
def test_the_back_off_has_full_jitter(failures: int, seed: int) -> None:
    assert 0 <= backoff(failures, 900, Random(seed)) <= 900


def test_the_back_off_is_capped_by_twice_the_spread() -> None:
    assert Timing("pump-7", 7200, DAY_S).retry_s(50, Highest()) == pytest.approx(14400)


@pytest.mark.parametrize("failures", [1, 2, 50])
def test_a_fleet_that_is_throttled_spreads_anew(failures: int) -> None:
    assert Timing("pump-7", 7200, DAY_S).throttled_s(failures, Highest()) == pytest.approx(7200)


def test_without_a_spread_throttling_backs_off_as_ever() -> None:
    assert Timing("pump-7", 0, DAY_S).throttled_s(3, Highest()) == pytest.approx(40)


def test_a_short_spread_does_not_cap_the_back_off() -> None:
    assert Timing("pump-7", 0, DAY_S).retry_s(50, Highest()) == pytest.approx(900)


def test_what_was_waited_before_is_not_waited_again() -> None:
    timing = Timing("pump-7", 7200, DAY_S)

    assert timing.delay_s(0) - timing.delay_s(120) == pytest.approx(120)


def test_no_delay_is_below_zero() -> None:
    assert Timing("pump-7", 7200, DAY_S).delay_s(7200) == 0


def test_without_a_spread_nothing_waits() -> None:
    assert Timing("pump-7", 0, DAY_S).delay_s() == 0


@pytest.mark.parametrize(
    ("age_s", "left_s"),
    [(0, DAY_S), (3600, DAY_S - 3600), (10 * DAY_S, 0)],
    ids=["just looked", "an hour ago", "overdue"],
)
def test_the_next_look_is_planned_within_bounds(age_s: float, left_s: float) -> None:
    timing = Timing("pump-7", 7200, DAY_S)

    planned_s = timing.until_look_s(LOOKED_AT, LOOKED_AT + timedelta(seconds=age_s))

    assert planned_s is not None
    assert left_s <= planned_s <= left_s + (7200 * share("pump-7") if planned_s else 0)


def test_a_clock_before_the_last_look_tells_nothing_of_the_next() -> None:
    assert Timing("pump-7", 7200, DAY_S).until_look_s(LOOKED_AT, LOOKED_AT - timedelta(seconds=1)) is None


@pytest.mark.parametrize(("denials", "limit_s"), [(1, 900), (2, 1800), (4, 7200), (50, DAY_S)])
def test_after_a_denial_the_wait_doubles_up_to_the_interval(denials: int, limit_s: float) -> None:
    assert Timing("pump-7", 7200, DAY_S).denied_s(denials, Highest()) == pytest.approx(limit_s)


@given(st.integers(1, 30), st.integers())
def test_after_a_denial_half_the_limit_is_waited_at_least(denials: int, seed: int) -> None:
    timing = Timing("pump-7", 7200, DAY_S)

    assert timing.denied_s(denials, Random(seed)) >= timing.denied_s(denials, Highest()) / 2


def test_looks_drift_apart_by_up_to_a_twentieth() -> None:
    timing = Timing("pump-7", 7200, DAY_S)

    looks = [timing.next_look_s(Random(seed)) for seed in range(50)]

    assert all(DAY_S <= look_s <= 1.05 * DAY_S for look_s in looks)
