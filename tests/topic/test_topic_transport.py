"""The transport of samples: the contract of every transport, and what a topic has of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import PATIENCE_S, Mosquitto
from contracts import test_every_transport as contract
from mqtt.clients import Sessions
from thingmeter.clock import SystemClock
from thingmeter.destinations.topic.transport import TopicTransport
from thingmeter.errors import Denied, Unreachable
from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.limits import Limits
from topic.topic_rig import TopicRig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[TopicRig]:
    settings = Settings(limits=Limits(connect_interval_s=0))
    with Sandbox(tmp_path / "sandbox", things=("pump-7",), settings=settings) as sandbox:
        made = TopicRig(sandbox, tmp_path)
        yield made
        made.close()


test_a_sample_is_accepted = contract.test_it_returns_once_the_message_is_accepted
test_samples_arrive_in_order = contract.test_messages_arrive_in_order
test_each_refusal_of_a_sample_has_its_class = contract.test_each_refusal_has_its_class
test_a_retry_of_a_sample_brings_the_same_bytes = contract.test_a_retry_brings_the_same_bytes
test_sending_a_sample_ends_where_nobody_answers = contract.test_a_send_ends_where_nobody_answers
test_closing_ends_sending_a_sample = contract.test_closing_ends_a_send
test_closing_the_transport_twice_is_harmless = contract.test_closing_twice_is_harmless


def test_without_a_connection_samples_wait_for_one(rig: TopicRig) -> None:
    rig.session.close(PATIENCE_S)

    assert rig.transport.hold_s() == math.inf


def test_without_a_connection_nothing_is_published(rig: TopicRig) -> None:
    rig.session.close(PATIENCE_S)

    with pytest.raises(Unreachable):
        rig.send(1)


def test_the_next_sample_waits_for_its_turn(rig: TopicRig) -> None:
    rig.transport.close()
    with pytest.raises(Unreachable):  # nothing goes out, but the attempt counts
        rig.transport.send(b" " * 100_000, key="2", timeout_s=1)

    assert rig.transport.hold_s() > 0


@pytest.mark.parametrize("topic", ["telemetry/#", "", "t\0"])
def test_a_topic_that_cannot_be_is_the_fault_of_no_sample(rig: TopicRig, topic: str) -> None:
    transport = TopicTransport(rig.session, topic, SystemClock())

    with pytest.raises(Denied, match=r"^\[topic\] template "):
        transport.send(b"{}", key="1", timeout_s=1)


def test_a_topic_that_the_broker_refuses_is_the_fault_of_no_sample(rig: TopicRig) -> None:
    rig.sandbox.faults.puback, rig.sandbox.faults.puback_reason = "refused", 0x90

    with pytest.raises(Denied, match="topic name invalid"):
        rig.send(1)


@pytest.mark.needs_mosquitto
def test_a_sample_arrives_at_another_broker(mosquitto: Mosquitto, sessions: Sessions, mqtt_client: str) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.subscribe(["things/pump-7/none"], lambda *_: None, timeout_s=PATIENCE_S)  # it is connected then
    observer = mosquitto.observe("things/#")

    TopicTransport(session, "things/pump-7/telemetry", SystemClock()).send(
        b'{"thing":"pump-7"}', key="1", timeout_s=PATIENCE_S
    )

    assert observer.messages(1) == [("things/pump-7/telemetry", b'{"thing":"pump-7"}')]
