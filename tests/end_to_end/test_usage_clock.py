"""Steps of the wall clock, and one that is not set at boot, cost no usage and repeat none."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from end_to_end.clock_shim import ClockShim, clock_shim
from end_to_end.usage_device import BACK_S, Device, Meters, cloud, devices, meters
from end_to_end.usage_settings import LEVELS, Meter

__all__ = ["clock_shim", "cloud", "devices", "meters"]  # fixtures

pytestmark = pytest.mark.needs_compiler

DAY_S = 86_400
NEWEST = Meter("newest", "handed.level", "latest")
SLACK = timedelta(milliseconds=1)  # times are cut to the millisecond


def follow(device: Device, clock_shim: ClockShim) -> None:
    """Let the agent go by a clock that can be stepped."""
    device.agent.environment = {
        **device.agent.environment,
        "LD_PRELOAD": str(clock_shim.shim),
        "CLOCK_SHIM_FILE": str(clock_shim.file),
    }


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S], ids=["a day on", "a day back"])
def test_a_step_of_the_clock_loses_and_repeats_nothing(meters: Meters, clock_shim: ClockShim, step_s: int) -> None:
    device = meters.numbered()
    follow(device, clock_shim)
    device.agent.start()
    meters.billed.points("pieces", 50)

    for shift_s in (step_s, 0):
        clock_shim.step_to(shift_s)
        meters.billed.points("pieces", len(meters.billed.points("pieces")) + 50)
    device.silence()
    device.wait_until_settled(meters.billed)
    device.agent.stop()

    totals = device.totals()
    assert (device.lost(meters.billed), meters.billed.repeats()) == ([], [])
    assert totals.points("delivered") == totals.points("measured")


def test_what_was_measured_later_stays_later_when_the_clock_steps_back(meters: Meters, clock_shim: ClockShim) -> None:
    device = meters.make(NEWEST, LEVELS)
    follow(device, clock_shim)
    device.agent.start()

    for number, shift_s in enumerate((0, DAY_S, 0), start=1):
        clock_shim.step_to(shift_s)
        device.hand_over("level", number)
        meters.billed.points("newest", number)

    points = meters.billed.points("newest")
    assert [point.value for point in points] == [1, 2, 3]
    assert [point.at for point in points] == sorted({point.at for point in points})


def test_samples_from_before_the_clock_was_set_get_their_right_time(meters: Meters, clock_shim: ClockShim) -> None:
    device = meters.make(NEWEST, LEVELS)
    follow(device, clock_shim)
    clock_shim.step_to(-time.time())
    before = datetime.now(UTC)
    device.hand_over("level", 5)
    device.agent.start()
    device.wait_until_taken()
    after = datetime.now(UTC)

    clock_shim.step_to(0)
    (point,) = meters.billed.points("newest", 1)

    assert before - SLACK <= point.at <= after


def test_a_kill_before_the_clock_is_set_leaves_the_right_times(meters: Meters, clock_shim: ClockShim) -> None:
    device = meters.make(NEWEST, LEVELS)
    follow(device, clock_shim)
    clock_shim.step_to(-time.time())
    before = datetime.now(UTC)
    device.hand_over("level", 5)
    device.agent.start()
    device.wait_until_taken()
    after = datetime.now(UTC)
    device.agent.stop()
    device.agent.start()
    device.agent.wait_for("the clock is not set")
    device.agent.kill()

    clock_shim.step_to(0)
    device.agent.start()
    meters.billed.until_total("levels", 5, BACK_S)

    assert before - SLACK <= meters.billed.points("newest", 1)[0].at <= after
