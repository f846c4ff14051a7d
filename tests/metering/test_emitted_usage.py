from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from metering.device import Device, MakeDevice, after, uom
from thingmeter.clock import WallTime


@pytest.fixture
def device(make_device: MakeDevice) -> Device:
    made: Device = make_device(uom("litres", "sum", ""), uom("level", "latest"))
    return made


def test_an_emit_that_returned_survives_a_crash(device: Device) -> None:
    device.metering.emit("litres", 5, {"site": "north"})

    device.restart()
    device.pass_s(60)

    assert device.values("litres") == [5]


def test_an_emit_has_the_time_that_it_says(device: Device) -> None:
    device.clock.advance(600)

    device.metering.emit("litres", 5, at=after(130))
    device.pass_s(10)

    assert device.times_s("litres") == [150]


def test_an_emit_under_an_unknown_name_raises(device: Device) -> None:
    with pytest.raises(LookupError, match="gallons"):
        device.metering.emit("gallons", 5)


@pytest.mark.parametrize("name", ["level", "pump.level"])
def test_an_emit_cannot_feed_a_uom_that_a_collector_feeds(device: Device, name: str) -> None:
    with pytest.raises(LookupError):
        device.metering.emit(name, 5)


@pytest.mark.parametrize("value", ["five", float("nan"), 10**400])
def test_an_emit_of_no_number_raises(device: Device, value: float | str) -> None:
    with pytest.raises(ValueError, match="litres"):
        device.metering.emit("litres", value)


@pytest.mark.parametrize("at", [datetime(2026, 1, 1), datetime(1969, 1, 1, tzinfo=UTC), datetime.max])  # noqa: DTZ001, DTZ901  # what a caller may do
def test_an_emit_of_no_possible_time_raises(device: Device, at: datetime) -> None:
    with pytest.raises(ValueError, match="zone"):
        device.metering.emit("litres", 5, at=at)


def test_emits_of_many_threads_are_all_counted(device: Device) -> None:
    def emit() -> None:
        for _ in range(25):
            device.metering.emit("litres", 1)

    threads = [threading.Thread(target=emit, name=f"emit-{number}") for number in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    device.pass_s(60)

    assert device.values("litres") == [200]


def test_emits_that_wait_at_the_same_moment_share_a_commit(device: Device) -> None:
    threads = [
        threading.Thread(target=device.metering.emit, args=("litres", 1), name=f"emit-{number}") for number in range(8)
    ]

    with device.metering._committing:  # as if a commit were in progress
        for thread in threads:
            thread.start()
        while len(device.metering._intake._pending) < 8:
            threads[0].join(0.01)
    for thread in threads:
        thread.join(60)

    assert len(device.outbox.journal()) == 1


def test_turns_of_another_thread_count_no_emit_twice(device: Device) -> None:
    done = threading.Event()

    def turn() -> None:
        while not done.is_set():
            device.clock.advance(7)
            device.metering.turn()

    turning = threading.Thread(target=turn, name="turns")
    turning.start()
    for _ in range(100):
        device.metering.emit("litres", 1)
    done.set()
    turning.join(60)
    device.pass_s(60)

    assert sum(device.values("litres")) == 100


def test_a_flush_commits_the_journal(device: Device) -> None:
    device.sample(5)

    device.metering.flush()
    device.restart()
    device.pass_s(60)

    assert device.values("level") == [5]


def test_a_flush_freezes_nothing(device: Device) -> None:
    device.sample(5)
    device.clock.advance(60)

    device.metering.flush()

    assert device.values("level") == []


def test_the_close_commits_the_journal(device: Device) -> None:
    device.sample(5)

    device.metering.close()
    device.restart()
    device.pass_s(60)

    assert device.values("level") == [5]


def test_the_close_waits_for_no_disk_that_does_not_answer(
    device: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("thingmeter.metering.metering.STOP_S", 0.01)
    device.sample(5)

    with device.metering._committing:  # as if a commit were in progress
        device.metering.close()

    assert "the disk has not answered" in caplog.text


def test_an_emit_before_the_clock_is_set_gets_its_time_later(device: Device) -> None:
    device.metering._wall = WallTime(device.clock, 10_000)
    device.clock.is_synchronised = False
    device.clock.step(-3600)
    device.metering.emit("litres", 5)
    device.clock.advance(100)

    device.clock.step(3600)
    device.clock.is_synchronised = True
    device.metering.turn()

    assert device.times_s("litres") == [30]


def test_an_emit_of_a_time_in_the_future_raises(device: Device) -> None:
    with pytest.raises(ValueError, match="future"):
        device.metering.emit("litres", 5, at=after(61))
