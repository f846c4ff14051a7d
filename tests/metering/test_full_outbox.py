from __future__ import annotations

import logging

import pytest

from metering.device import LITRES, Device, MakeDevice, limits, uom
from metering.full import fill, make_room
from thingmeter.errors import OutboxFull

ROOM_BYTES = 20_000


@pytest.fixture
def device(make_device: MakeDevice) -> Device:
    made: Device = make_device(
        uom("litres", "sum"),
        uom("emitted", "sum", ""),
        uom("states", "duration", "pump.litres"),
        bounds=limits(ROOM_BYTES),
    )
    return made


def test_samples_stay_until_there_is_room_to_commit_them(device: Device) -> None:
    fill(device.outbox)
    device.samples(1, 2, 3)

    make_room(device.outbox)
    device.samples(4)
    device.restart()
    device.pass_s(60)

    assert device.values("litres") == [10]


def grow(device: Device) -> None:
    """Let a window pass whose records take more room than its samples did, and there is none."""
    for value in range(50):
        device.sample(value, LITRES)
    device.pass_s(10)
    fill(device.outbox)
    device.pass_s(60)


def test_a_window_that_finds_no_room_is_frozen_when_there_is_some(device: Device) -> None:
    grow(device)
    before = device.values("states")

    make_room(device.outbox)
    device.metering.turn()

    assert (before, device.values("states")) == ([], list(range(50)))


def test_a_window_that_finds_no_room_survives_a_restart(device: Device) -> None:
    grow(device)
    device.restart()

    make_room(device.outbox)
    device.metering.turn()

    assert device.values("states") == list(range(50))


def test_a_window_that_there_is_room_for_does_not_wait_for_one_that_there_is_none_for(device: Device) -> None:
    for value in range(50):
        device.sample(value, LITRES)
    device.pass_s(60)
    device.sample(7)
    device.pass_s(10)
    fill(device.outbox)

    device.pass_s(60)

    assert device.values("litres") == [7]


def test_a_full_outbox_is_told_once(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    fill(device.outbox)

    with caplog.at_level(logging.INFO):
        device.samples(1, 2, 3)

    assert len([record for record in caplog.records if "not committed" in record.getMessage()]) == 1


def test_the_end_of_a_full_outbox_is_told(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    fill(device.outbox)
    device.samples(1)

    make_room(device.outbox)
    with caplog.at_level(logging.INFO):
        device.samples(2)

    assert "usage is kept again" in caplog.messages


def test_every_turn_that_fails_is_counted(device: Device) -> None:
    fill(device.outbox)

    device.samples(1, 2, 3)

    assert device.counts()["usage_commits_failed"] == 3


def test_an_emit_that_finds_no_room_raises(device: Device) -> None:
    fill(device.outbox)

    with pytest.raises(OutboxFull):
        device.metering.emit("emitted", 5)


def test_an_emit_that_raised_is_not_counted(device: Device) -> None:
    fill(device.outbox)
    with pytest.raises(OutboxFull):
        device.metering.emit("emitted", 5)

    make_room(device.outbox)
    device.metering.emit("emitted", 5)
    device.pass_s(60)

    assert device.values("emitted") == [5]


def test_samples_beyond_the_bound_are_dropped_and_counted(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmeter.metering.intake.PENDING_LIMIT", 3)
    device = make_device(uom("litres", "sum"))
    for value in (1, 2, 3, 4, 5):
        device.sample(value)

    device.pass_s(60)

    assert (device.values("litres"), device.counts()["usage_samples_dropped"]) == ([6], 2)


def test_counters_lose_nothing_by_the_bound(make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thingmeter.metering.intake.PENDING_LIMIT", 1)
    device = make_device(uom("litres", "sum", "pump.litres"))
    for value in (100, 110, 120, 130):
        device.sample(value, LITRES)
    device.pass_s(10)

    device.sample(131, LITRES)
    device.pass_s(60)

    assert device.values("litres") == [31]


def test_series_beyond_the_bound_are_dropped_and_counted(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmeter.metering.intake.SERIES_LIMIT", 2)
    device = make_device(uom("litres", "sum"))
    for site in ("a", "b", "c", "a"):
        device.sample(1, site=site)

    device.pass_s(60)

    assert (sorted(device.values("litres")), device.counts()["usage_samples_dropped"]) == ([1, 2], 1)


def test_a_window_that_was_frozen_makes_room_for_other_series(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmeter.metering.intake.SERIES_LIMIT", 1)
    device = make_device(uom("litres", "sum"))
    device.sample(1, site="a")
    device.pass_s(60)

    device.sample(2, site="b")
    device.pass_s(60)

    assert device.values("litres") == [1, 2]


def test_many_windows_are_frozen_in_several_transactions(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmeter.metering.metering.FOLDS_OF_FREEZE", 2)
    device = make_device(uom("litres", "sum"), window_s=10)
    for value in range(7):
        device.sample(value)
        device.clock.advance(10)

    device.metering.turn()

    assert device.values("litres") == list(range(7))
