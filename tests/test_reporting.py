"""Reporting: ids that only grow, one transaction, and no increase lost or told twice."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from thingmeter.config.settings import CustomMetric, Defender
from thingmeter.health import Health
from thingmeter.metrics import Metric
from thingmeter.outbox import Message, Outbox
from thingmeter.reporting import REPORT_ID, Reporting
from thingmeter.testing import ManualClock

RECEIVED = Metric("network.received_bytes", "By", kind="counter", dimensions=("interface",))
LISTENERS = Metric("sockets.tcp_listeners", "1", type="listeners")
SETTINGS = Defender(format="json", names="long")


@pytest.fixture
def start(outbox: Outbox, clock: ManualClock) -> Callable[[], Reporting]:
    """Start the agent's reporting (again) on the same outbox."""
    return lambda: Reporting(SETTINGS, outbox, clock, Health(), idle)


def idle() -> None:
    """Plan no next report."""


def collect(reporting: Reporting, clock: ManualClock, received: int) -> None:
    samples = [RECEIVED.sample(received, {"interface": "eth0"}, clock.now()), LISTENERS.sample((), at=clock.now())]
    reporting.collected((RECEIVED, LISTENERS), samples)


def report_each(reporting: Reporting, clock: ManualClock, *received: int) -> None:
    """Let the counter stand at each of these in turn, with a report after each."""
    for value in received:
        collect(reporting, clock, value)
        reporting.report()


def bytes_in(message: Message | None) -> Any:
    assert message is not None
    return json.loads(message.payload)["metrics"].get("network_stats", {}).get("bytes_in")


def taken(reporting: Reporting) -> Message:
    message = reporting.take()
    assert message is not None
    return message


def publish(reporting: Reporting) -> None:
    reporting.accepted(taken(reporting))
    reporting.release()


def test_the_first_report_after_a_start_has_no_increases(start: Callable[[], Reporting], clock: ManualClock) -> None:
    reporting = start()
    collect(reporting, clock, 100)
    collect(reporting, clock, 150)

    assert bytes_in(reporting.report()) is None


def test_the_second_report_has_what_came_since_the_start(start: Callable[[], Reporting], clock: ManualClock) -> None:
    reporting = start()
    collect(reporting, clock, 100)
    reporting.report()
    collect(reporting, clock, 150)

    assert bytes_in(reporting.report()) == 50


def test_a_report_that_was_replaced_loses_no_increase(
    start: Callable[[], Reporting], outbox: Outbox, clock: ManualClock
) -> None:
    reporting = start()
    for received in (100, 150, 175):
        collect(reporting, clock, received)
        message = reporting.report()

    assert bytes_in(message) == 75
    assert [waiting.key for waiting in outbox.waiting("defender", 10)] == [message.key if message else ""]


def test_a_published_increase_is_not_reported_again(start: Callable[[], Reporting], clock: ManualClock) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    publish(reporting)
    collect(reporting, clock, 175)

    assert bytes_in(reporting.report()) == 25


def test_a_report_in_flight_shares_its_increase_with_no_other(
    start: Callable[[], Reporting], clock: ManualClock
) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    reporting.take()
    collect(reporting, clock, 175)

    assert bytes_in(reporting.report()) == 25


def test_an_increase_whose_report_failed_in_flight_comes_with_a_later_one(
    start: Callable[[], Reporting], clock: ManualClock
) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    reporting.take()
    collect(reporting, clock, 175)
    reporting.report()
    reporting.release()
    collect(reporting, clock, 176)

    assert bytes_in(reporting.report()) == 76


def test_a_restart_goes_on_from_the_last_published_report(start: Callable[[], Reporting], clock: ManualClock) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    publish(reporting)
    again = start()
    collect(again, clock, 180)
    again.report()
    collect(again, clock, 190)

    assert bytes_in(again.report()) == 40


@pytest.mark.parametrize("step_s", [0, -10_800, 10_800])
def test_report_ids_grow_over_restarts_and_clock_steps(
    start: Callable[[], Reporting], clock: ManualClock, step_s: float
) -> None:
    ids = []
    for _ in range(4):
        reporting = start()
        for _ in range(2):
            collect(reporting, clock, 1)
            message = reporting.report()
            ids.append(int(message.key) if message else 0)
        clock.step(step_s)

    assert ids == sorted(set(ids))
    assert ids[0] > 0


def test_increases_alone_are_reported_from_the_second_period_on(outbox: Outbox, clock: ManualClock) -> None:
    reporting = Reporting(
        Defender(format="json", names="long", blocks=("network_stats",)), outbox, clock, Health(), idle
    )
    collect(reporting, clock, 100)
    reporting.report()
    collect(reporting, clock, 150)

    assert bytes_in(reporting.report()) == 50


def test_a_report_that_an_earlier_run_left_is_not_sent(
    start: Callable[[], Reporting], outbox: Outbox, clock: ManualClock
) -> None:
    reporting = start()
    collect(reporting, clock, 100)
    left = reporting.report()

    again = start()

    assert (again.take(), outbox.next("defender")) == (None, left)


def test_a_crash_between_publish_and_answer_reports_no_increase_twice(
    start: Callable[[], Reporting], clock: ManualClock
) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    reporting.take()
    reporting.published(b"mark")

    again = start()
    collect(again, clock, 180)
    again.report()
    collect(again, clock, 190)

    assert bytes_in(again.report()) == 40


def test_an_increase_that_was_published_and_throttled_comes_with_a_later_report(
    start: Callable[[], Reporting], clock: ManualClock
) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    reporting.take()
    reporting.published(b"mark")
    reporting.release()
    collect(reporting, clock, 180)

    assert bytes_in(reporting.report()) == 80


def test_an_increase_that_was_published_and_settled_is_not_reported_again(
    start: Callable[[], Reporting], clock: ManualClock
) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    message = taken(reporting)
    reporting.published(b"mark")
    reporting.accepted(message)
    reporting.release()
    collect(reporting, clock, 180)

    assert bytes_in(reporting.report()) == 30


def test_settling_a_report_again_takes_nothing_off_twice(start: Callable[[], Reporting], clock: ManualClock) -> None:
    reporting = start()
    report_each(reporting, clock, 100, 150)
    message = taken(reporting)
    reporting.accepted(message)
    reporting.release()
    collect(reporting, clock, 220)

    reporting.accepted(message)

    assert bytes_in(reporting.report()) == 70


@pytest.mark.parametrize("stored", [b"\xff", b"-5", b"9" * 40])
def test_report_ids_go_on_from_the_clock_when_the_last_one_is_damaged(
    start: Callable[[], Reporting], outbox: Outbox, clock: ManualClock, stored: bytes
) -> None:
    outbox.put_state({REPORT_ID: stored})
    reporting = start()
    collect(reporting, clock, 1)

    message = reporting.report()

    assert message is not None
    assert int(message.key) == int(clock.now().timestamp())


def test_no_report_is_made_of_nothing(start: Callable[[], Reporting], outbox: Outbox) -> None:
    assert start().report() is None
    assert outbox.waiting("defender", 10) == []


SPEED = Metric("pump.speed", "1/min")
SPEEDS = tuple(CustomMetric(name=name, type="number", from_="pump.speed") for name in ("speed", "speed_too"))


@pytest.fixture
def reporting_speeds(outbox: Outbox, clock: ManualClock) -> Reporting:
    """Reporting with two custom metrics of one source."""
    settings = Defender(format="json", names="long", blocks=(), custom_metric=SPEEDS)
    return Reporting(settings, outbox, clock, Health(), idle)


def speeds_in_a_report(reporting: Reporting, clock: ManualClock) -> set[str]:
    reporting.collected((SPEED,), [SPEED.sample(1200, at=clock.now())])
    message = reporting.report()
    return set(json.loads(message.payload)["custom_metrics"]) if message else set()


def test_a_custom_metric_that_is_left_out_costs_no_other_its_place(
    reporting_speeds: Reporting, clock: ManualClock
) -> None:
    reporting_speeds.leave_out({"speed"})

    assert speeds_in_a_report(reporting_speeds, clock) == {"speed_too"}


def test_a_custom_metric_that_is_no_longer_left_out_is_reported_again(
    reporting_speeds: Reporting, clock: ManualClock
) -> None:
    reporting_speeds.leave_out({"speed"})
    speeds_in_a_report(reporting_speeds, clock)

    reporting_speeds.leave_out(())

    assert speeds_in_a_report(reporting_speeds, clock) == {"speed", "speed_too"}


def test_a_report_of_nothing_but_what_is_left_out_is_not_made(reporting_speeds: Reporting, clock: ManualClock) -> None:
    reporting_speeds.leave_out({"speed", "speed_too"})

    assert speeds_in_a_report(reporting_speeds, clock) == set()
