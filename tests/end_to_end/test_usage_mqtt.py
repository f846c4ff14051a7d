"""Usage over MQTT, with a consumer behind the topic that posts what comes, and samples on a topic of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from brokers import PATIENCE_S
from end_to_end.usage_device import BACK_S, Device, Meters, cloud, consumer_of, devices, meters
from end_to_end.usage_settings import LEVELS, Meter
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.events import Event

__all__ = ["cloud", "devices", "meters"]  # fixtures

TOPIC = "usage/pump-1"
BY_MQTT = 'route = "mqtt"\ntopic = "usage/{thing}"\n'
NEWEST = Meter("newest", "handed.level", "latest")

REPORTS = """
[defender]
registration = "off"
interval_s = 1
minimum_interval_s = 1
format = "json"
names = "long"
blocks = []
[[defender.custom_metric]]
name = "level"
type = "number"
from = "handed.level"
"""
SAMPLES = """
[topic]
template = "telemetry/{thing}"
interval_s = 1
metrics = ["handed.level"]
"""


@pytest.fixture
def device(meters: Meters, cloud: Sandbox) -> Device:
    """Return an agent whose usage goes over MQTT, not yet started."""
    consumer_of(cloud, TOPIC)
    return meters.make(LEVELS, NEWEST, devrev=BY_MQTT, with_mqtt=True)


def published(cloud: Sandbox, topic: str, count: int) -> list[Mapping[str, Any]]:
    """Return what was published to a topic so far, at least ``count``."""

    def is_there(event: Event) -> bool:
        return (event.kind, event.detail) == ("published", topic)

    return [json.loads(event.payload) for event in cloud.events.wait(count, where=is_there, timeout_s=PATIENCE_S)]


def test_a_record_over_mqtt_is_what_devrev_takes(device: Device, meters: Meters) -> None:
    device.hand_over("level", *range(1, 101), site="north")

    device.agent.start()
    meters.billed.until_total("levels", 5050)
    device.agent.stop()

    assert {call.status for call in meters.billed.ingests()} == {200}
    assert device.totals().amounts("delivered")["levels"] == 5050


def test_a_publish_that_was_taken_but_not_acknowledged_is_made_again_and_counted_once(
    device: Device, meters: Meters, cloud: Sandbox
) -> None:
    cloud.faults.puback, cloud.faults.remaining = "close before", 1
    device.hand_over("level", *range(1, 101), site="north")

    device.agent.start()
    device.agent.wait_for("devrev: delivering again", timeout_s=BACK_S)
    device.agent.stop()

    assert meters.billed.total("levels") == device.totals().amounts("delivered")["levels"] == 5050
    assert len(meters.billed.repeats()) == len(meters.billed.points("levels")) + len(meters.billed.points("newest"))


def test_a_publish_that_was_acknowledged_is_not_made_again_though_the_connection_broke(
    device: Device, meters: Meters, cloud: Sandbox
) -> None:
    cloud.faults.puback, cloud.faults.remaining = "close after", 1
    device.hand_over("level", *range(1, 101), site="north")

    device.agent.start()
    device.agent.wait_for("mqtt: connected", 2, timeout_s=BACK_S)
    device.agent.stop()

    assert meters.billed.total("levels") == device.totals().amounts("delivered")["levels"] == 5050
    assert meters.billed.repeats() == []


def test_while_the_broker_is_away_nothing_is_lost(device: Device, meters: Meters, cloud: Sandbox) -> None:
    device.hand_over("level", 1)
    device.agent.start()
    meters.billed.until_total("levels", 1)
    cloud.broker_down()
    for value in (2, 3):
        device.hand_over("level", value)
        device.wait_until_taken()
    back = datetime.now(UTC)

    cloud.broker_up()
    meters.billed.until_total("levels", 6, BACK_S)
    points = meters.billed.points("newest", 3)

    assert [point.value for point in points] == [1, 2, 3]
    assert max(point.at for point in points) < back


def test_killed_while_the_broker_is_away_the_agent_keeps_what_was_committed(
    device: Device, meters: Meters, cloud: Sandbox
) -> None:
    cloud.broker_down()
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    device.wait_until_taken()
    device.agent.stop()
    device.agent.start()
    device.agent.wait_for("nothing listens there")
    device.agent.kill()

    cloud.broker_up()
    device.agent.start()

    meters.billed.until_total("levels", 5050, BACK_S)


def test_one_sample_reaches_device_defender_devrev_and_the_topic_with_the_same_value_and_time(
    meters: Meters, cloud: Sandbox
) -> None:
    device = meters.make(NEWEST, with_mqtt=True, tables=REPORTS + SAMPLES)
    at = datetime.now(UTC)
    device.hand_over("level", 42.625, at=at)

    device.agent.start()
    (sample,) = published(cloud, "telemetry/pump-1", 1)
    (point,) = meters.billed.points("newest", 1)
    verdict = cloud.verdicts.wait(1, where=lambda each: "level" in each.custom_metrics, timeout_s=PATIENCE_S)[0]

    milliseconds = int(at.timestamp() * 1000)
    assert (sample["value"], sample["timestamp"]) == (42.625, milliseconds)
    assert (point.value, int(point.at.timestamp() * 1000)) == (42.625, milliseconds)
    assert verdict.accepted
    assert json.loads(verdict.payload)["custom_metrics"]["level"] == [{"number": 42.625}]


def test_telemetry_of_an_outage_comes_later_with_its_own_times(meters: Meters, cloud: Sandbox) -> None:
    device = meters.make(LEVELS, with_mqtt=True, tables=SAMPLES)
    cloud.broker_down()
    device.agent.start()
    for value in (1, 2, 3):
        device.hand_over("level", value)
        meters.billed.until_total("levels", sum(range(value + 1)))
        device.agent.wait_for(f"handed over: {value} lines in all; nothing new", 2)  # an interval is over
    back_ms = datetime.now(UTC).timestamp() * 1000

    cloud.broker_up()
    samples = published(cloud, "telemetry/pump-1", 3)

    times = [sample["timestamp"] for sample in samples]
    assert [sample["value"] for sample in samples] == [1, 2, 3]
    assert times == sorted(set(times))
    assert times[-1] < back_ms
