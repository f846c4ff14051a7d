"""Usage records by an MQTT topic: what counts as accepted, what is certain, and the whole way to DevRev."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.transports import THING, TOPIC, MqttRig
from devrev.usage_records import HEADERS, Bench, devrev_on, freeze
from thingmeter.clock import SystemClock
from thingmeter.config.settings import DevRev, Mqtt, Tls
from thingmeter.destinations.devrev.mqtt_route import MqttUsageTransport
from thingmeter.destinations.devrev.sizing import Limits, limits_of
from thingmeter.errors import DeliveryError, Denied, Rejected, Unanswered, Unreachable
from thingmeter.mqtt.session import Session
from thingmeter.outbox import Outbox
from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.sandbox.limits import Limits as BrokerLimits
from thingmeter.testing import ManualClock


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[MqttRig]:
    settings = Settings(limits=BrokerLimits(connect_interval_s=0))
    with Sandbox(tmp_path / "sandbox", things=(THING,), settings=settings) as sandbox:
        made = MqttRig(sandbox, tmp_path)
        yield made
        made.close()


def idle_session() -> Session:
    """Return a session that was never started."""
    return Session(
        Mqtt(host="localhost", tls=Tls(ca_file="", certificate_file="", private_key_file="")),
        THING,
        clock=SystemClock(),
    )


def failure(rig: MqttRig) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        rig.send(1, timeout_s=1)
    return caught.value


def test_nobody_needs_to_have_subscribed(rig: MqttRig) -> None:
    rig.send(1)


@pytest.mark.parametrize("puback", ["close before", "missing"])
def test_a_lost_acknowledgement_leaves_the_outcome_open(rig: MqttRig, puback: str) -> None:
    rig.sandbox.faults.puback = puback  # type: ignore[assignment]  # one of the faults
    rig.sandbox.faults.remaining = 1

    assert type(failure(rig)) is Unanswered


def test_without_a_connection_nothing_is_sent_for_certain() -> None:
    session = idle_session()

    with pytest.raises(Unreachable) as caught:
        MqttUsageTransport(session, TOPIC).send(b"{}", key="1", timeout_s=1)

    assert type(caught.value) is Unreachable


def test_it_is_held_until_there_is_a_connection(rig: MqttRig) -> None:
    idle = idle_session()

    holds = [MqttUsageTransport(session, TOPIC).hold_s() for session in (idle, rig.session)]

    assert holds == [math.inf, 0]


@pytest.mark.parametrize("topic", ["usage/+", "", "usage/#"])
def test_a_topic_that_cannot_be_used_is_the_fault_of_no_record(rig: MqttRig, topic: str) -> None:
    rig.transport = MqttUsageTransport(rig.session, topic)

    assert isinstance(failure(rig), Denied)


@pytest.mark.parametrize(("code", "kind"), [(0x87, Denied), (0x90, Denied), (0x99, Rejected)])
def test_each_refusal_of_the_broker_has_its_class(rig: MqttRig, code: int, kind: type[DeliveryError]) -> None:
    rig.sandbox.faults.puback, rig.sandbox.faults.puback_reason = "refused", code

    assert type(failure(rig)) is kind


def test_a_request_is_no_larger_than_a_broker_takes() -> None:
    assert limits_of(DevRev(route="mqtt", maximum_request_bytes=262_144)).bytes == 131_072


def test_a_request_by_https_is_as_large_as_configured() -> None:
    settings = DevRev(maximum_points=7, maximum_request_bytes=262_144, dedupe_horizon_s=60)

    assert limits_of(settings) == Limits(7, 262_144, 60)


def test_what_is_forwarded_unchanged_counts_once_though_an_acknowledgement_was_lost(
    rig: MqttRig, outbox: Outbox, clock: ManualClock
) -> None:
    devrev = devrev_on(clock, litres="sum")
    freeze(outbox, range(1, 21))
    rig.sandbox.faults.puback, rig.sandbox.faults.remaining = "close before", 1
    bench = Bench(outbox, clock, rig.transport, limits=Limits(points=8))
    bench.step(1)
    rig.recover()
    bench.drain()

    for payload in rig.received(4):
        devrev.answer(HttpRequest("POST", "/metrics.devrev.ingest", headers=HEADERS, body=payload))

    assert Counter(point.id for point in devrev.points("litres")) == {f"litres-{n}": 1 for n in range(1, 21)}
