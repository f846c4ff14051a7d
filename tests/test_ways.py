"""The way of usage, put together: what an earlier run left behind, and what the clock holds back."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from devrev.usage_records import freeze, waiting
from metering.device import LEVEL, devrev, uom
from thingmeter.clock import WallTime
from thingmeter.config.settings import DevRev
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.health import Health
from thingmeter.metrics import Sample
from thingmeter.outbox import Message, Outbox
from thingmeter.testing import ManualClock
from thingmeter.ways import Tools, Way, has_usage, tell_of_usage_left, usage_way

MakeWay = Callable[[DevRev], Way]


@pytest.fixture
def way_of(outbox: Outbox, clock: ManualClock) -> MakeWay:
    """Return the way of settings, on the same outbox each time; all that it waits for is the clock."""

    def make(settings: DevRev) -> Way:
        tools = Tools("pump-7", outbox, WallTime(clock, 300), Health(), None)
        return usage_way(settings, tools, journal_interval_s=10, is_ready=lambda _: True, pause=Pause(clock))

    return make


def one_sample(way: Way, clock: ManualClock) -> None:
    way.collected((LEVEL,), [Sample(LEVEL, 5, clock.now(), (("site", "north"),))])
    way.job.run()


def next_of(way: Way) -> Message | None:
    return way.delivery._route.source.take()


@pytest.fixture
def offline(tmp_path: Path) -> DevRev:
    """[devrev] with no UOM, and without a token: each attempt ends as Denied before a byte is sent."""
    return DevRev(token_file=str(tmp_path / "no-token"), window_s=60)


def test_there_is_no_usage_without_a_fed_uom_and_an_earlier_run(outbox: Outbox) -> None:
    assert not has_usage(devrev(), outbox)


def test_a_fed_uom_is_usage(outbox: Outbox) -> None:
    assert has_usage(devrev(uom("litres", "sum")), outbox)


def test_records_of_an_earlier_run_are_usage_though_nothing_is_fed(outbox: Outbox) -> None:
    freeze(outbox, [1])

    assert has_usage(devrev(), outbox)


def test_an_open_window_of_an_earlier_run_is_usage_though_nothing_is_fed(
    outbox: Outbox, clock: ManualClock, way_of: MakeWay
) -> None:
    one_sample(way_of(devrev(uom("litres", "latest"))), clock)

    assert has_usage(devrev(), outbox)


def test_the_last_window_of_a_removed_uom_is_frozen(
    outbox: Outbox, clock: ManualClock, way_of: MakeWay, offline: DevRev
) -> None:
    one_sample(way_of(devrev(uom("litres", "latest"))), clock)
    way = way_of(offline)
    clock.advance(60)

    way.job.run()

    assert len(waiting(outbox)) == 1


def test_the_last_window_of_a_removed_uom_wakes_the_delivery(
    clock: ManualClock, way_of: MakeWay, offline: DevRev
) -> None:
    one_sample(way_of(devrev(uom("litres", "latest"))), clock)
    way = way_of(offline)
    clock.advance(60)
    way.delivery._wake.clear()

    way.job.run()

    assert way.delivery._wake.is_set()


def test_a_turn_after_which_no_more_can_be_delivered_leaves_the_delivery_asleep(
    way_of: MakeWay, offline: DevRev
) -> None:
    way = way_of(offline)

    way.job.run()

    assert not way.delivery._wake.is_set()


def test_records_of_a_removed_uom_are_delivered(outbox: Outbox, way_of: MakeWay, offline: DevRev) -> None:
    freeze(outbox, [1])

    message = next_of(way_of(offline))

    assert message is not None
    assert message.key == "litres-1"


def test_nothing_is_sent_before_the_clock_is_set(
    outbox: Outbox, clock: ManualClock, way_of: MakeWay, offline: DevRev
) -> None:
    clock.is_synchronised = False
    clock.reboot()
    freeze(outbox, [1])

    assert way_of(offline).delivery.step() == math.inf


def test_the_delivery_is_woken_once_the_clock_is_set(
    outbox: Outbox, clock: ManualClock, way_of: MakeWay, offline: DevRev
) -> None:
    clock.is_synchronised = False
    clock.reboot()
    freeze(outbox, [1])
    way = way_of(offline)
    clock.is_synchronised = True

    way.job.run()

    assert way.delivery._wake.is_set()


def test_over_https_a_connection_to_the_broker_is_no_news(way_of: MakeWay, offline: DevRev) -> None:
    assert not way_of(offline).over_mqtt


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (DevRev(), "wait until it is put back into [devrev]"),
        (None, "wait until it is put back into [devrev]"),
        (DevRev(registration="off"), "are delivered all the same"),
    ],
)
def test_records_of_a_uom_that_left_the_configuration_are_told(
    outbox: Outbox, caplog: pytest.LogCaptureFixture, settings: DevRev | None, words: str
) -> None:
    freeze(outbox, [1, 2])

    tell_of_usage_left(settings, outbox, Health())

    assert caplog.messages == [f"usage: 2 records of UOM litres, which is not configured any more, {words}"]


def test_records_that_wait_for_their_uom_are_counted(outbox: Outbox) -> None:
    freeze(outbox, [1, 2])
    health = Health()

    tell_of_usage_left(DevRev(), outbox, health)

    assert health.counts() == {"usage_points_stranded": 2}


def test_samples_that_wait_for_the_table_are_told(
    outbox: Outbox, clock: ManualClock, way_of: MakeWay, caplog: pytest.LogCaptureFixture
) -> None:
    one_sample(way_of(devrev(uom("litres", "latest"))), clock)

    tell_of_usage_left(None, outbox, Health())

    assert caplog.messages == [
        "usage: 1 rows of samples wait in the outbox until there is a table [devrev] again",
    ]


def test_records_of_a_configured_uom_are_not_told(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    freeze(outbox, [1])

    with caplog.at_level(logging.DEBUG, "thingmeter.ways"):
        tell_of_usage_left(devrev(uom("litres", "sum")), outbox, Health())

    assert caplog.messages == []
