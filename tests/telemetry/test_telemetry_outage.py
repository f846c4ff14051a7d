"""Telemetry over real connections: what waits through an outage comes with its own times, in order, by real brokers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brokers import PATIENCE_S, Mosquitto
from mqtt.clients import Sessions
from telemetry.device import Device
from thingmeter.clock import SystemClock
from thingmeter.config.settings import Mqtt, Tls
from thingmeter.delivery import Delivery, Route
from thingmeter.destinations.topic.transport import TopicTransport
from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.limits import Limits
from thingmeter.telemetry import DESTINATION

TOPIC = "telemetry/pump-7"
START_MS = 1_767_225_600_000
Connect = Callable[..., None]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    settings = Settings(limits=Limits(connect_interval_s=0))
    with Sandbox(tmp_path / "sandbox", things=("pump-7",), settings=settings) as running:
        yield running


@pytest.fixture
def connect(device: Device, sessions: Sessions) -> Iterator[Connect]:
    """Connect a device to a broker and deliver from now on."""
    made: list[Delivery] = []

    def connect(mqtt: Mqtt, topic: str = TOPIC) -> None:
        clock, session = SystemClock(), sessions.start(mqtt)
        transport = TopicTransport(session, topic, clock)
        route = Route(DESTINATION, device.source, transport, transport.hold_s)
        delivery = Delivery(route, device.outbox, clock, device.health)
        session.on_connect(delivery.wake)
        delivery.start()
        made.append(delivery)

    yield connect
    for delivery in made:
        delivery.stop(PATIENCE_S)


def settings_of(sandbox: Sandbox) -> Mqtt:
    own = sandbox.credentials("pump-7")
    files = Tls(
        ca_file=str(sandbox.ca_file),
        certificate_file=str(own.certificate_file),
        private_key_file=str(own.private_key_file),
    )
    return Mqtt(host=sandbox.host, port=sandbox.port, client_id="pump-7", tls=files)


def intervals(device: Device, *values: int) -> None:
    """Let intervals pass with two samples in each, of which the latter is the value."""
    for value in values:
        device.sample(-value, site="north")
        device.sample(value, site="north")
        device.pass_interval()


def arrived(sandbox: Sandbox, count: int) -> list[Any]:
    events = sandbox.events.wait(count, where=lambda event: event.kind == "published" and event.detail == TOPIC)
    return [json.loads(event.payload) for event in events]


def told(samples: list[Any]) -> list[tuple[int, float]]:
    """Return value and seconds after the start of each."""
    return [(sample["value"], (sample["timestamp"] - START_MS) / 1000) for sample in samples]


def test_what_waited_through_an_outage_has_its_own_times(device: Device, sandbox: Sandbox, connect: Connect) -> None:
    sandbox.broker_down()
    connect(settings_of(sandbox))
    intervals(device, 1, 2, 3)

    sandbox.broker_up()

    assert told(arrived(sandbox, 3)) == [(1, 0), (2, 60), (3, 120)]


def test_an_acknowledgement_that_was_lost_costs_a_second_copy_and_nothing_else(
    device: Device, sandbox: Sandbox, connect: Connect
) -> None:
    sandbox.faults.puback, sandbox.faults.remaining = "close before", 1
    intervals(device, 1, 2)

    connect(settings_of(sandbox))

    assert told(arrived(sandbox, 3)) == [(1, 0), (1, 0), (2, 60)]


@pytest.mark.needs_mosquitto
def test_another_broker_gets_all_that_waits(device: Device, mosquitto: Mosquitto, connect: Connect) -> None:
    intervals(device, 1, 2, 3)
    observer = mosquitto.observe("things/#")

    connect(mosquitto.settings("pump-7"), "things/pump-7/telemetry")

    assert told([json.loads(payload) for _, payload in observer.messages(3)]) == [(1, 0), (2, 60), (3, 120)]
