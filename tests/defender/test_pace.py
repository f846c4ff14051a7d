"""The pace: at least the minimum interval between two publishes, over restarts, reboots and clock steps."""

import pytest

from thingmeter.destinations.defender.pace import Pace
from thingmeter.testing import ManualClock


def test_the_first_publish_of_all_waits_for_nothing(clock: ManualClock) -> None:
    assert Pace(300, clock).wait_s() == 0


def test_the_next_publish_waits_for_the_rest_of_the_interval(clock: ManualClock) -> None:
    pace = Pace(300, clock)
    pace.mark()

    clock.advance(100)

    assert pace.wait_s() == 200


def test_a_restart_remembers_the_publish(clock: ManualClock) -> None:
    stored = Pace(300, clock).mark()
    clock.advance(100)

    assert Pace(300, clock, stored).wait_s() == 200


@pytest.mark.parametrize("step_s", [-10_800, 10_800])
def test_a_clock_step_within_a_boot_changes_nothing(clock: ManualClock, step_s: float) -> None:
    stored = Pace(300, clock).mark()
    clock.advance(100)
    clock.step(step_s)

    assert Pace(300, clock, stored).wait_s() == 200


def test_after_a_reboot_the_wall_clock_tells(clock: ManualClock) -> None:
    stored = Pace(300, clock).mark()
    clock.advance(100)
    clock.reboot()

    assert Pace(300, clock, stored).wait_s() == 200


def test_a_wall_clock_that_went_back_delays_by_no_more_than_the_interval(clock: ManualClock) -> None:
    stored = Pace(300, clock).mark()
    clock.reboot()
    clock.step(-10 * 365 * 86_400)

    assert Pace(300, clock, stored).wait_s() == 300


def test_the_interval_once_over_allows_a_publish(clock: ManualClock) -> None:
    pace = Pace(300, clock)
    pace.mark()

    clock.advance(300)

    assert pace.wait_s() == 0


def test_a_wall_clock_that_stays_behind_silences_no_thing(clock: ManualClock) -> None:
    stored = Pace(300, clock).mark()
    clock.reboot()
    clock.step(-10 * 86_400)
    pace = Pace(300, clock, stored)

    clock.advance(300)

    assert pace.wait_s() == 0


@pytest.mark.parametrize("stored", [b"\xff\x00", b"[]", b"{}", b'{"wall": null, "boottime": 1, "boot_id": "b"}'])
def test_a_mark_that_the_disk_has_damaged_is_as_none(clock: ManualClock, stored: bytes) -> None:
    assert Pace(300, clock, stored).wait_s() == 0
