"""The pace of publishes: below the limits of a connection, whatever waits."""

from __future__ import annotations

from thingmeter.destinations.topic.pace import Pace
from thingmeter.testing import ManualClock


def publishes_in(clock: ManualClock, seconds: float, size: int) -> int:
    """Publish as fast as the pace allows, each taking no time at all; return how often that was."""
    pace, end, count = Pace(clock), clock.monotonic() + seconds, 0
    while clock.monotonic() < end:
        pace.publishing(size)
        count += 1
        clock.advance(pace.wait_s())
    return count


def test_the_first_sample_need_not_wait(clock: ManualClock) -> None:
    assert Pace(clock).wait_s() == 0


def test_no_second_has_a_hundred_publishes(clock: ManualClock) -> None:
    assert 70 < publishes_in(clock, 10, size=150) / 10 < 90


def test_no_second_has_512_kb(clock: ManualClock) -> None:
    assert 250_000 < publishes_in(clock, 10, size=100_000) * 100_000 / 10 < 450_000


def test_a_slow_broker_is_not_slowed_down_further(clock: ManualClock) -> None:
    pace = Pace(clock)
    pace.publishing(150)

    clock.advance(0.6)  # by satellite

    assert pace.wait_s() == 0


def test_a_clock_that_is_set_changes_nothing(clock: ManualClock) -> None:
    pace = Pace(clock)
    pace.publishing(150)

    clock.step(-86_400)

    assert 0 < pace.wait_s() < 0.1
