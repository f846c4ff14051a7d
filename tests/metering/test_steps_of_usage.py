"""Steps of the wall clock, either way."""

from __future__ import annotations

from itertools import pairwise

import pytest

from metering.device import Device, MakeDevice, after, devrev, uom

DAY_S = 86_400
NOON = after(DAY_S / 2)


def increasing(device: Device, name: str) -> bool:
    return all(earlier < later for earlier, later in pairwise(device.times_s(name)))


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S, 30, -30, 0.5, -0.5])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_step_loses_and_repeats_nothing(make_device: MakeDevice, step_s: float, *, restarts: bool) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(*range(1, 10))

    device.clock.step(step_s)
    if restarts:
        device.restart()
    device.samples(*range(10, 20))
    device.pass_s(60)

    assert sum(device.values("litres")) == sum(range(20))


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S, 30, -30, 0.5, -0.5])
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("kind", ["latest", "oldest", "duration"])
def test_times_of_a_group_increase_over_a_step(
    make_device: MakeDevice, step_s: float, kind: str, *, restarts: bool
) -> None:
    device = make_device(uom("state", kind))  # type: ignore[arg-type]  # one of three literals
    device.samples(*range(1, 10))

    device.clock.step(step_s)
    if restarts:
        device.restart()
    device.samples(*range(10, 20))
    device.pass_s(60)

    assert increasing(device, "state")


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S, 30, -30])
def test_what_was_measured_later_stays_later_over_a_step(make_device: MakeDevice, step_s: float) -> None:
    device = make_device(uom("state", "duration"))
    device.samples(*range(1, 10))

    device.clock.step(step_s)
    device.samples(*range(10, 20))
    device.pass_s(60)

    by_time = [record.point.value for record in sorted(device.records("state"), key=lambda record: record.point.at)]
    assert by_time == list(range(1, 20))


def test_what_was_measured_later_stays_later_over_a_step_within_one_commit(make_device: MakeDevice) -> None:
    device = make_device(uom("state", "latest"))
    device.sample(1)
    device.clock.advance(5)
    device.clock.step(-7)

    device.sample(2)
    device.pass_s(120)

    assert device.values("state")[-1] == 2


def test_a_window_that_a_step_back_has_put_into_the_future_does_not_wait_for_it(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2, 3)

    device.clock.step(-DAY_S)
    device.pass_s(60)

    assert device.values("litres") == [6]


def test_a_late_sample_keeps_the_time_that_it_says(make_device: MakeDevice) -> None:
    device = make_device(uom("state", "latest"))
    device.samples(1, 2, 3, 4, 5, 6)

    device.sample(0, at=after(25))
    device.pass_s(10)

    assert device.times_s("state") == [50, 25]


def test_a_late_sample_keeps_the_time_that_it_says_after_a_restart(make_device: MakeDevice) -> None:
    device = make_device(uom("state", "latest"))
    device.samples(1, 2, 3, 4, 5, 6)
    device.restart()

    device.sample(0, at=after(25))
    device.pass_s(10)

    assert device.times_s("state") == [50, 25]


def test_samples_of_one_instant_get_times_of_their_own_in_their_order(make_device: MakeDevice) -> None:
    device = make_device(uom("state", "duration"))
    for value in (1, 2, 3):
        device.sample(value)

    device.pass_s(60)

    assert list(zip(device.values("state"), device.times_s("state"), strict=True)) == [(1, 0), (2, 0.001), (3, 0.002)]


def test_a_forgotten_group_of_many_only_loses_its_protection_against_steps(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmeter.metering.times.GROUPS_LIMIT", 2)
    device = make_device(settings=devrev(uom("state", "latest")))
    for site in ("a", "b", "c"):
        device.sample(1, site=site)

    device.pass_s(60)

    assert device.values("state") == [1, 1, 1]


def test_a_sample_that_says_a_time_in_the_future_gets_the_present_one(make_device: MakeDevice) -> None:
    device = make_device(uom("state", "latest"))
    device.sample(1, at=after(90 * DAY_S))

    device.pass_s(60)

    assert (device.times_s("state"), device.counts()["usage_samples_ahead"]) == ([0], 1)


def test_an_hour_stays_an_hour_behind_a_step_back_of_a_day(make_device: MakeDevice) -> None:
    device = make_device(uom("state", "duration"))
    device.clock.step(DAY_S - 60)
    device.samples(0)
    device.clock.step(60 - DAY_S)

    device.samples(1)
    device.pass_s(3590)
    device.samples(0)
    device.pass_s(60)

    off, on, off_again = device.times_s("state")
    assert off < on
    assert off_again - on == 3600
