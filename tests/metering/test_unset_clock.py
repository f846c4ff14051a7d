"""Samples from before the clock was set: 1970, or the plausible time of the last shutdown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from metering.device import LITRES, START, Device, MakeDevice, after, limits, uom
from thingmeter.metrics import Metric, Resets
from thingmeter.testing import ManualClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIER = after(-86_400)  # the last shutdown, a day before


@pytest.fixture(params=[EPOCH, EARLIER], ids=["1970", "plausible"])
def booted(request: pytest.FixtureRequest, make_device: MakeDevice) -> Device:
    """A device that booted at START, with a clock that says something else."""
    clock = ManualClock(request.param, uptime_s=0)
    clock.is_synchronised = False
    made: Device = make_device(
        uom("state", "duration"), uom("litres", "sum"), window_s=60, clock=clock, sync_wait_s=300
    )
    return made


def set_clock(device: Device, now: datetime) -> None:
    """Let a time server answer."""
    device.clock.step((now - device.clock.now()).total_seconds())
    device.clock.is_synchronised = True


def test_samples_get_their_time_when_the_clock_is_set(booted: Device) -> None:
    booted.samples(1, 2, 3)

    set_clock(booted, after(30))
    booted.pass_s(60)

    assert booted.times_s("state") == [0, 10, 20]


def test_nothing_is_frozen_before_the_clock_is_set(booted: Device) -> None:
    booted.samples(*range(20))

    assert booted.values("litres") == []


def test_samples_before_and_after_the_clock_was_set_share_a_window(booted: Device) -> None:
    booted.samples(1, 2, 3)
    set_clock(booted, after(30))

    booted.samples(4, 5, 6)

    assert booted.values("litres") == [21]


def test_samples_survive_a_restart_before_the_clock_is_set(booted: Device) -> None:
    booted.samples(1, 2, 3)
    booted.restart()

    set_clock(booted, after(30))
    booted.pass_s(60)

    assert booted.times_s("state") == [0, 10, 20]


def test_samples_get_their_time_once_over_restarts(booted: Device) -> None:
    booted.samples(1, 2, 3)
    set_clock(booted, after(30))
    booted.metering.turn()
    booted.restart()

    booted.pass_s(60)
    booted.restart()
    booted.pass_s(60)

    assert booted.values("litres") == [6]


def test_a_crash_between_getting_a_time_and_clearing_up_repeats_nothing(booted: Device) -> None:
    booted.samples(1, 2, 3)
    unstamped = [row for row in booted.outbox.journal() if row.window == -1]
    set_clock(booted, after(30))
    booted.metering.turn()
    booted.outbox.append_journal(unstamped, state={"usage.unset_spent": b"3"})  # as it was in between
    booted.restart()

    booted.pass_s(60)

    assert booted.values("litres") == [6]


def test_rows_that_were_cleared_up_late_take_no_newer_ones_with_them(booted: Device) -> None:
    booted.samples(1, 2, 3)
    unstamped = [row for row in booted.outbox.journal() if row.window == -1]
    set_clock(booted, after(30))
    booted.metering.turn()
    booted.outbox.append_journal(unstamped, state={"usage.unset_spent": b"3"})
    booted.clock.is_synchronised = False
    booted.restart()

    booted.samples(4)
    booted.restart()
    set_clock(booted, after(40))
    booted.pass_s(60)

    assert booted.values("litres") == [10]


def test_a_counter_counts_on_while_the_clock_is_set(make_device: MakeDevice) -> None:
    clock = ManualClock(EPOCH, uptime_s=0)
    device = make_device(uom("litres", "sum", "pump.litres"), clock=clock, sync_wait_s=300)
    device.samples(100, 110, metric=LITRES)

    set_clock(device, after(30))
    device.samples(115, metric=LITRES)
    device.pass_s(60)

    assert sum(device.values("litres")) == 15


def test_a_sample_that_was_stamped_just_before_the_clock_was_set_is_not_late(booted: Device) -> None:
    booted.samples(1)
    stamped = booted.clock.now()
    set_clock(booted, after(10))

    booted.sample(2, at=stamped)
    booted.pass_s(60)

    assert booted.times_s("state") == [0, 10]


def test_times_increase_over_the_setting_of_the_clock(booted: Device) -> None:
    booted.samples(1, 2, 3)
    set_clock(booted, after(30))

    booted.samples(4, 5, 6)

    assert booted.times_s("state") == [0, 10, 20, 30, 40, 50]


def test_a_machine_that_nothing_synchronises_is_believed_after_the_wait(make_device: MakeDevice) -> None:
    clock = ManualClock(START, uptime_s=240)
    clock.is_synchronised = False
    device = make_device(uom("litres", "sum"), clock=clock, sync_wait_s=300)
    device.samples(*range(1, 7))

    device.pass_s(60)

    assert device.values("litres") == [21]


def test_nothing_waits_where_the_clock_is_trusted_at_once(make_device: MakeDevice) -> None:
    clock = ManualClock(START, uptime_s=0)
    clock.is_synchronised = False
    device = make_device(uom("litres", "sum"), clock=clock, sync_wait_s=0)

    device.samples(*range(1, 7))

    assert device.values("litres") == [21]


@pytest.fixture
def rebooted(booted: Device) -> Device:
    """The same device, which was off for an hour and booted again at START + 1 h, its clock not set."""
    set_clock(booted, START)
    booted.samples(1, 2, 3, 4, 5, 6)
    booted.clock.is_synchronised = False
    booted.clock.advance(3540)
    booted.reboot(wall=EPOCH)
    return booted


def test_a_reboot_before_the_clock_is_set_loses_nothing(rebooted: Device) -> None:
    rebooted.samples(7, 8, 9)
    rebooted.reboot(wall=EPOCH)
    rebooted.samples(10)

    set_clock(rebooted, after(4000))
    rebooted.pass_s(60)

    assert sum(rebooted.values("litres")) == sum(range(11))


def test_samples_of_a_boot_that_never_knew_the_time_are_placed_before_the_next_boot(rebooted: Device) -> None:
    rebooted.samples(7, 8, 9)
    rebooted.reboot(wall=EPOCH)
    rebooted.clock.advance(20)

    set_clock(rebooted, after(4020))
    rebooted.pass_s(60)

    assert rebooted.times_s("state")[-3:] == [3979, 3989, 3999]  # a second before it at least


def test_samples_of_a_boot_that_never_knew_the_time_are_placed_behind_the_last_known_time(rebooted: Device) -> None:
    rebooted.samples(*range(7, 17))
    rebooted.reboot(wall=EPOCH)

    set_clock(rebooted, after(80))  # 20 s after the last commit, though the boots took 100 s
    rebooted.pass_s(60)

    assert all(50 <= time_s <= 80 for time_s in rebooted.times_s("state")[-10:])


def test_several_boots_that_never_knew_the_time_keep_their_order(rebooted: Device) -> None:
    rebooted.samples(7, 8, 9)
    rebooted.reboot(wall=EPOCH)
    rebooted.samples(10, 11)
    rebooted.reboot(wall=EARLIER)
    rebooted.samples(12)

    set_clock(rebooted, after(4000))
    rebooted.pass_s(60)

    by_time = sorted(rebooted.records("state"), key=lambda record: record.point.at)
    assert [record.point.value for record in by_time] == list(range(1, 13))


def test_times_that_are_bounded_only_are_counted(rebooted: Device) -> None:
    rebooted.samples(7, 8, 9)
    rebooted.reboot(wall=EPOCH)

    set_clock(rebooted, after(4000))
    rebooted.metering.turn()

    assert rebooted.counts()["usage_samples_bounded"] == 6  # three samples, for two UOMs


def test_times_that_are_bounded_only_are_told(rebooted: Device, caplog: pytest.LogCaptureFixture) -> None:
    rebooted.samples(7, 8, 9)
    rebooted.reboot(wall=EPOCH)

    set_clock(rebooted, after(4000))
    rebooted.metering.turn()

    assert "restarted before its clock was set: 6 samples" in caplog.text


def test_no_time_of_one_boot_is_called_bounded(booted: Device) -> None:
    booted.samples(1, 2, 3)

    set_clock(booted, after(30))
    booted.metering.turn()

    assert "usage_samples_bounded" not in booted.counts()


@pytest.mark.parametrize("resets", ["boot", "never"])
def test_counters_go_on_over_a_reboot_before_the_clock_is_set(make_device: MakeDevice, resets: Resets) -> None:
    litres = Metric("pump.litres", unit="l", kind="counter", resets=resets)
    clock = ManualClock(EPOCH, uptime_s=0)
    device = make_device(uom("litres", "sum", "pump.litres"), clock=clock, sync_wait_s=300)
    device.samples(100, 110, metric=litres)
    device.reboot(wall=EPOCH)
    device.samples(120, metric=litres)

    set_clock(device, after(100))
    device.pass_s(60)

    assert sum(device.values("litres")) == {"boot": 130, "never": 20}[resets]


def test_samples_of_a_journal_without_room_get_their_time(make_device: MakeDevice) -> None:
    device = make_device(
        uom("level", "maximum"), clock=ManualClock(EPOCH, uptime_s=0), sync_wait_s=300, bounds=limits(10_000)
    )
    while "usage_commits_failed" not in device.counts():
        device.samples(*range(20))

    set_clock(device, after(100_000))
    for _ in range(3):
        device.pass_s(10)

    assert (len(device.values("level")) > 1, [row for row in device.outbox.journal() if row.window == -1]) == (True, [])


def test_samples_of_many_pages_are_stamped_once_each(booted: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thingmeter.outbox.queue.PAGE_BYTES", 1)
    booted.samples(*range(20))

    set_clock(booted, after(200))
    booted.pass_s(60)

    assert (sum(booted.values("litres")), len(booted.values("litres"))) == (190, 4)
