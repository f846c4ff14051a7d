"""Which samples go out, when, and with what time."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from telemetry.conftest import MakeDevice
from telemetry.device import FLOW, Device, topic, values
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.metrics import Connection, Metric
from thingmeter.telemetry.batch import BATCH_BYTES
from thingmeter.telemetry.telemetry import SERIES_LIMIT
from thingmeter.testing import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE_RELEASE = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)


def times_s(sent: list[Any]) -> list[float]:
    """Return the samples' times in seconds after the start."""
    return [sample["timestamp"] / 1000 - START.timestamp() for sample in sent]


def test_the_newest_sample_of_each_series_goes_out(device: Device) -> None:
    for value, site in ((1, "north"), (2, "south"), (3, "north")):
        device.sample(value, site=site)
    device.pass_interval()

    assert [(sample["series"], sample["value"]) for sample in device.drain()] == [
        ("pump.level{site=north}", 3),
        ("pump.level{site=south}", 2),
    ]


def test_a_sample_has_the_time_at_which_it_was_taken(device: Device) -> None:
    device.clock.advance(7.25)
    device.sample(1)
    device.pass_interval()

    assert times_s(device.drain()) == [7.25]


def test_a_series_without_a_new_sample_is_silent(device: Device) -> None:
    device.sample(1)
    device.pass_interval()
    device.sample(2, FLOW)
    device.pass_interval()

    assert [sample["metric"] for sample in device.drain()] == ["pump.level", "pump.flow"]


def test_an_interval_without_samples_leaves_nothing_in_the_outbox(device: Device) -> None:
    device.pass_interval()

    assert device.waiting() == 0


def test_of_samples_with_times_of_their_own_the_latest_goes_out(device: Device) -> None:
    for value, seconds in ((1, 10), (2, 30), (3, 20)):
        device.sample(value, at=START + timedelta(seconds=seconds))
    device.pass_interval()

    assert values(device.drain()) == [2]


def test_of_samples_of_one_time_the_last_goes_out(device: Device) -> None:
    device.sample(1)
    device.sample(2)
    device.pass_interval()

    assert values(device.drain()) == [2]


@pytest.mark.parametrize(
    ("globs", "names"),
    [
        (("*",), ["pump.level", "pump.flow"]),
        (("pump.flow",), ["pump.flow"]),
        (("*.level", "cpu.*"), ["pump.level"]),
        (("pump.?????",), ["pump.level"]),
        (("pump",), []),
    ],
)
def test_the_settings_choose_the_metrics(make_device: MakeDevice, globs: tuple[str, ...], names: list[str]) -> None:
    device = make_device(settings=topic(metrics=globs))
    device.sample(1)
    device.sample(2, FLOW)
    device.pass_interval()

    assert [sample["metric"] for sample in device.drain()] == names


def test_lists_are_left_out_without_a_word(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    here = ip_address("192.0.2.1")
    device.sample((Connection(here, 443, here, 50_000),), Metric("sockets.connections", unit="1", type="connections"))
    device.pass_interval()

    assert (device.waiting(), caplog.messages) == (0, [])


def test_a_value_that_cannot_be_published_does_not_hold_up_the_others(device: Device) -> None:
    device.sample(float("nan"), FLOW)
    device.sample(1)
    device.pass_interval()

    assert (values(device.drain()), device.count("telemetry_samples_refused")) == ([1], 1)


def test_a_time_beyond_all_dates_does_not_hold_up_the_others(make_device: MakeDevice) -> None:
    device = make_device(clock=ManualClock(BEFORE_RELEASE), sync_wait_s=300)
    device.sample(0, FLOW, at=datetime.max.replace(tzinfo=UTC))
    device.sample(1)
    device.clock.step((START - BEFORE_RELEASE).total_seconds())
    device.pass_interval()

    assert (values(device.drain()), device.count("telemetry_samples_refused")) == ([1], 1)


def test_an_interval_is_one_message_of_the_outbox(device: Device) -> None:
    for number in range(100):
        device.sample(number, site=str(number))
    device.pass_interval()

    assert (device.waiting(), len(device.drain())) == (1, 100)


def test_very_many_series_are_several_messages_and_none_is_lost(device: Device) -> None:
    for number in range(1000):
        device.sample(number, site=str(number))
    device.pass_interval()
    size = device.outbox.depth().bytes

    assert (device.waiting(), values(device.drain())) == (-(-size // BATCH_BYTES), list(range(1000)))


def test_series_beyond_the_bound_are_dropped_and_counted(device: Device) -> None:
    for number in range(SERIES_LIMIT + 10):
        device.sample(number, site=str(number))
    device.pass_interval()

    assert (len(device.drain()), device.count("telemetry_samples_dropped")) == (SERIES_LIMIT, 10)


def test_a_short_interval_has_room_for_what_can_be_published_in_half_of_it(make_device: MakeDevice) -> None:
    device = make_device(settings=topic(interval_s=1))
    for number in range(100):
        device.sample(number, site=str(number))
    device.pass_interval()

    assert len(device.drain()) == 40


def test_a_bound_is_told_once(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(SERIES_LIMIT + 10):
        device.sample(number, site=str(number))

    assert [record.levelno for record in caplog.records if record.levelno >= logging.INFO] == [logging.WARNING]


def test_samples_from_before_the_clock_was_set_get_their_right_time(make_device: MakeDevice) -> None:
    device = make_device(clock=ManualClock(BEFORE_RELEASE), sync_wait_s=300)
    device.sample(1)
    device.clock.advance(20)
    device.sample(2, FLOW)
    device.clock.advance(10)
    device.clock.step((START - device.clock.now()).total_seconds())
    device.telemetry.turn()

    assert times_s(device.drain()) == [-30, -10]


def test_while_the_clock_is_not_set_nothing_goes_out(make_device: MakeDevice) -> None:
    device = make_device(clock=ManualClock(BEFORE_RELEASE), sync_wait_s=300)
    device.sample(1)
    device.pass_interval()

    assert device.waiting() == 0


def test_a_sample_behind_the_setting_of_the_clock_is_newer_than_one_before(make_device: MakeDevice) -> None:
    device = make_device(clock=ManualClock(BEFORE_RELEASE), sync_wait_s=300)
    device.sample(1)
    device.clock.step((START - device.clock.now()).total_seconds())
    device.sample(2)
    device.telemetry.turn()

    assert values(device.drain()) == [2]


def test_a_clock_that_steps_back_reorders_no_intervals(device: Device) -> None:
    for value in (1, 2, 3):
        device.sample(value)
        device.pass_interval()
        device.clock.step(-86_400)

    assert values(device.drain()) == [1, 2, 3]


def test_what_the_outbox_cannot_take_is_counted(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    device.sample(1)
    device.sample(2, FLOW)
    device.outbox.close()
    device.pass_interval()

    assert device.count("telemetry_samples_lost") == 2
    assert "the samples of an interval are lost" in caplog.messages[-1]


def test_what_is_too_old_is_dropped_and_counted(make_device: MakeDevice) -> None:
    device = make_device(limits=OutboxSettings(minimum_free_bytes=0, maximum_age_s=3600))
    for value in range(90):
        device.sample(value)
        device.pass_interval()

    sent = values(device.drain())

    assert (sent[-1], len(sent), device.outbox.counts("topic")["dropped_age"]) == (89, 61, 29)


def test_a_long_outage_drops_the_oldest_and_counts_them(make_device: MakeDevice) -> None:
    device = make_device(limits=OutboxSettings(minimum_free_bytes=0, maximum_bytes=1_048_576))
    for value in range(100):
        for site in range(100):
            device.sample(value, site=str(site))
        device.pass_interval()

    sent = values(device.drain())

    dropped = device.outbox.counts("topic")["dropped_bytes"]
    assert (sent[-1], sent[0], dropped > 0) == (99, dropped, True)
