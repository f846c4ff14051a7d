"""The session against brokers that misbehave, with both clients."""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mqtt.clients import PATIENCE_S, Journal, Sessions
from mqtt.peers import (
    CONNECT,
    DISCONNECT,
    PUBLISH,
    SUBSCRIBE,
    Conversation,
    Packet,
    Workshop,
    connack,
    disconnect,
    puback,
    server_context,
    suback,
)
from thingmeter.clock import SystemClock
from thingmeter.errors import ConfigError, Denied, Rejected, Throttled, Unreachable
from thingmeter.mqtt.client import load
from thingmeter.mqtt.session import Session

AGENT = Path(__file__).parents[2] / "agent"
TOPIC = "things/pump-7/out"


def acknowledge(conversation: Conversation) -> None:
    """Behave."""
    conversation.greet()
    while True:
        conversation.send(puback(conversation.read(PUBLISH)))


def ignore(conversation: Conversation) -> None:
    """Take the connection and answer nothing."""
    conversation.greet()
    conversation.hold()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Yield a port that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0x80, Unreachable),
        (0x83, Unreachable),
        (0x87, Denied),
        (0x90, Rejected),
        (0x91, Unreachable),
        (0x97, Throttled),
        (0x99, Rejected),
    ],
)
def test_a_puback_with_a_reason_is_the_error_it_means(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, code: int, error: type[Exception]
) -> None:
    def refuse(conversation: Conversation) -> None:
        conversation.greet()
        conversation.send(puback(conversation.read(PUBLISH), code))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(refuse).port))

    with pytest.raises(error, match=f"0x{code:02X}") as raised:
        session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("code", "error"), [(0x87, Denied), (0x95, Rejected), (0x90, Rejected), (0x97, Throttled), (0x8B, Unreachable)]
)
def test_a_disconnect_is_the_answer_to_the_only_message_in_flight(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, code: int, error: type[Exception]
) -> None:
    def throw_out(conversation: Conversation) -> None:
        conversation.greet()
        conversation.read(PUBLISH)
        conversation.send(disconnect(code))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(throw_out).port))

    with pytest.raises(error) as raised:
        session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    assert type(raised.value) is error


def test_a_disconnect_rejects_none_of_two_messages_in_flight(
    workshop: Workshop, mqtt_client: str, sessions: Sessions
) -> None:
    def throw_out(conversation: Conversation) -> None:
        conversation.greet()
        conversation.read(PUBLISH)
        conversation.read(PUBLISH)
        conversation.send(disconnect(0x95))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(throw_out).port))
    outcomes: queue.Queue[Exception] = queue.Queue()

    def publish() -> None:
        try:
            session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
        except Exception as error:  # noqa: BLE001 - whatever comes is the outcome
            outcomes.put(error)

    threads = [threading.Thread(target=publish) for _ in range(2)]
    for thread in threads:
        thread.start()

    kinds = {type(outcomes.get(timeout=PATIENCE_S)) for _ in threads}

    for thread in threads:
        thread.join(PATIENCE_S)
    assert kinds == {Unreachable}


def test_a_connection_lost_in_flight_is_unreachable(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    def leave(conversation: Conversation) -> None:
        conversation.greet()
        conversation.read(PUBLISH)

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(leave).port))

    with pytest.raises(Unreachable, match="connection lost"):
        session.publish(TOPIC, b"", timeout_s=PATIENCE_S)


def test_garbage_ends_the_connection_and_not_the_session(
    workshop: Workshop, mqtt_client: str, sessions: Sessions
) -> None:
    def babble(conversation: Conversation) -> None:
        conversation.greet()
        conversation.read(PUBLISH)
        conversation.send(b"\x40\x04\x00\x01\x00\x7f\xff\xff\xff\xff\xff\xff")
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(babble, acknowledge).port))
    with pytest.raises(Unreachable):
        session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    assert session.state().connects == 2


def test_a_missing_puback_is_unreachable(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(ignore).port))
    connected(session)

    with pytest.raises(Unreachable, match=r"no acknowledgement for things/pump-7/out within 0\.2 s"):
        session.publish(TOPIC, b"", timeout_s=0.2)


def test_a_late_puback_is_not_taken_for_that_of_another_message(
    workshop: Workshop, mqtt_client: str, sessions: Sessions
) -> None:
    def late(conversation: Conversation) -> None:
        conversation.greet()
        first, second = conversation.read(PUBLISH), conversation.read(PUBLISH)
        conversation.send(puback(first))
        conversation.send(puback(second, 0x87))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(late).port))
    connected(session)
    with pytest.raises(Unreachable):
        session.publish(TOPIC, b"", timeout_s=0.2)

    with pytest.raises(Denied):
        session.publish(TOPIC, b"", timeout_s=PATIENCE_S)


def test_a_puback_sent_twice_counts_once(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    def twice(conversation: Conversation) -> None:
        conversation.greet()
        while True:
            conversation.send(puback(conversation.read(PUBLISH)) * 2)

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(twice, acknowledge).port))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    publish_until_accepted(session)

    assert session.state().connects >= 1


def test_a_broker_that_answers_nothing_is_left(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(ignore, acknowledge).port))
    connected(session)
    for _ in range(2):
        with pytest.raises(Unreachable):
            session.publish(TOPIC, b"", timeout_s=0.2)

    publish_until_accepted(session)

    assert session.state().connects == 2


def test_no_more_is_in_flight_than_the_broker_grants(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    def grant_one(conversation: Conversation) -> None:
        conversation.read(CONNECT)
        conversation.send(connack(0, b"\x21\x00\x01"))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(grant_one).port))
    connected(session)
    with pytest.raises(Unreachable, match="no acknowledgement"):
        session.publish(TOPIC, b"", timeout_s=0.2)

    with pytest.raises(Unreachable, match="too many unacknowledged"):
        session.publish(TOPIC, b"", timeout_s=0.2)


def test_what_is_larger_than_the_broker_takes_is_rejected(
    workshop: Workshop, mqtt_client: str, sessions: Sessions
) -> None:
    def grant_little(conversation: Conversation) -> None:
        conversation.read(CONNECT)
        conversation.send(connack(0, b"\x27\x00\x00\x00\x80"))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(grant_little).port))

    with pytest.raises(Rejected, match="the broker takes 128"):
        session.publish(TOPIC, bytes(128), timeout_s=PATIENCE_S)


def test_a_refused_subscription_is_denied(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    def refuse(conversation: Conversation) -> None:
        conversation.greet()
        conversation.send(suback(conversation.read(SUBSCRIBE), 0x87))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(refuse).port))
    connected(session)

    with pytest.raises(Denied, match="subscription to things/pump-7/in refused: not authorized"):
        session.subscribe(["things/pump-7/in"], print, timeout_s=PATIENCE_S)


def test_a_subscription_once_refused_is_asked_for_again(
    workshop: Workshop, mqtt_client: str, sessions: Sessions
) -> None:
    def refuse_once(conversation: Conversation) -> None:
        conversation.greet()
        conversation.send(suback(conversation.read(SUBSCRIBE), 0x87))
        conversation.send(suback(conversation.read(SUBSCRIBE), 0x01))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(refuse_once).port))
    connected(session)
    with pytest.raises(Denied):
        session.subscribe(["things/pump-7/in"], print, timeout_s=PATIENCE_S)

    session.subscribe(["things/pump-7/in"], print, timeout_s=PATIENCE_S)

    assert session.state().connects == 1


def test_a_missing_suback_is_unreachable(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(ignore).port))
    connected(session)

    with pytest.raises(Unreachable, match="no answer to the subscription"):
        session.subscribe(["things/pump-7/in"], print, timeout_s=0.2)


def test_a_refused_connect_denies_the_message_that_waits(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, mqtt_log: Journal
) -> None:
    def refuse(conversation: Conversation) -> None:
        conversation.read()
        conversation.send(connack(0x87))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(refuse).port))
    mqtt_log.wait_for("not authorized")

    with pytest.raises(Denied, match=r"not authorized \(0x87\)"):
        session.publish(TOPIC, b"", timeout_s=0.1)


def test_the_cause_of_a_failed_connect_is_what_a_waiting_message_gets(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, mqtt_log: Journal
) -> None:
    mqtt = msgspec.structs.replace(workshop.settings(mqtt_client, 1), port=1)
    session = sessions.start(mqtt)
    mqtt_log.wait_for("refused the connection")

    with pytest.raises(Unreachable, match="tcp: localhost:1 refused the connection, nothing listens there"):
        session.publish(TOPIC, b"", timeout_s=0.1)


def test_a_cause_that_stays_is_said_once(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, mqtt_log: Journal
) -> None:
    session = sessions.start(workshop.settings(mqtt_client, 1))
    mqtt_log.wait_for("refused the connection")

    mqtt_log.wait_for("refused the connection", count=2, level=0)

    session.close(PATIENCE_S)
    assert len(mqtt_log.messages()) == 1


def test_a_takeover_is_counted_and_named(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, mqtt_log: Journal
) -> None:
    def take_over(conversation: Conversation) -> None:
        conversation.greet()
        conversation.send(disconnect(0x8E))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(take_over).port))

    said = mqtt_log.wait_for("took the connection over")

    assert (session.state().takeovers, 'another client with the client id "pump-7"' in said) == (1, True)


def heard_connect(workshop: Workshop, sessions: Sessions, client: str, status_topic: str = "") -> Packet:
    heard: queue.Queue[Packet] = queue.Queue()

    def listen(conversation: Conversation) -> None:
        heard.put(conversation.greet())
        conversation.hold()

    mqtt = workshop.settings(client, workshop.peer(listen).port)
    sessions.start(msgspec.structs.replace(mqtt, status_topic=status_topic, keep_alive_s=77))
    return heard.get(timeout=PATIENCE_S)


def test_the_connect_is_mqtt_5_with_a_clean_start_and_no_user_name(
    workshop: Workshop, mqtt_client: str, sessions: Sessions
) -> None:
    connect = heard_connect(workshop, sessions, mqtt_client)

    protocol, flags = connect.body[:7], connect.body[7]

    assert (protocol, flags & 0b1000_0010) == (b"\0\4MQTT\5", 0b0000_0010)


def test_the_connect_carries_keep_alive_and_client_id(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    connect = heard_connect(workshop, sessions, mqtt_client)

    assert (connect.body[8:10], b"\0\6pump-7" in connect.body) == (b"\0\x4d", True)


def test_the_connect_tells_nothing_of_the_library(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    connect = heard_connect(workshop, sessions, mqtt_client)

    assert not any(word in connect.body for word in (b"SDK", b"Platform", b"Python", b"paho"))


def test_the_will_is_retained_with_qos_1(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    connect = heard_connect(workshop, sessions, mqtt_client, status_topic="status/pump-7")

    assert connect.body[7] & 0b0011_1100 == 0b0010_1100


def test_alpn_is_not_offered_on_an_ordinary_port(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    heard: queue.Queue[str | None] = queue.Queue()
    context = server_context(workshop.authority, workshop.server)
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])

    def listen(conversation: Conversation) -> None:
        heard.put(conversation.alpn())
        conversation.greet()
        conversation.hold()

    sessions.start(workshop.settings(mqtt_client, workshop.peer_with(context, listen).port))

    assert heard.get(timeout=PATIENCE_S) is None


def test_a_clean_close_sends_disconnect(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    heard: queue.Queue[Packet] = queue.Queue()

    def listen(conversation: Conversation) -> None:
        conversation.greet()
        heard.put(conversation.read(DISCONNECT))

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(listen).port))
    connected(session)

    session.close(PATIENCE_S)

    assert heard.get(timeout=PATIENCE_S).body in {b"", b"\0", b"\0\0"}


def test_closing_while_connecting_to_a_black_hole_frees_who_waits(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, black_hole: int
) -> None:
    session = sessions.start(workshop.settings(mqtt_client, black_hole))
    outcomes: queue.Queue[str] = queue.Queue()

    def publish() -> None:
        try:
            session.publish(TOPIC, b"", timeout_s=3600)
        except Unreachable as error:
            outcomes.put(str(error))

    waiter = threading.Thread(target=publish)
    waiter.start()

    session.close(0.2)

    waiter.join(PATIENCE_S)
    assert outcomes.get(timeout=PATIENCE_S) == "mqtt: the session is closed"


def test_closing_frees_a_message_in_flight(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    sent: queue.Queue[Packet] = queue.Queue()

    def swallow(conversation: Conversation) -> None:
        conversation.greet()
        sent.put(conversation.read(PUBLISH))
        conversation.hold()

    session = sessions.start(workshop.settings(mqtt_client, workshop.peer(swallow).port))
    outcomes: queue.Queue[str] = queue.Queue()

    def publish() -> None:
        try:
            session.publish(TOPIC, b"", timeout_s=3600)
        except Unreachable as error:
            outcomes.put(str(error))

    waiter = threading.Thread(target=publish)
    waiter.start()
    sent.get(timeout=PATIENCE_S)

    session.close(PATIENCE_S)

    waiter.join(PATIENCE_S)
    assert "closed" in outcomes.get(timeout=PATIENCE_S)


def test_closing_a_session_that_never_started_ends(workshop: Workshop, mqtt_client: str) -> None:
    session = Session(workshop.settings(mqtt_client, 1), "pump-7", clock=SystemClock())

    session.close(0)

    with pytest.raises(Unreachable, match="closed"):
        session.publish(TOPIC, b"", timeout_s=0)


def test_publishing_from_a_callback_is_refused(workshop: Workshop, mqtt_client: str) -> None:
    refusals: queue.Queue[str] = queue.Queue()
    session = Session(workshop.settings(mqtt_client, workshop.peer(acknowledge).port), "pump-7", clock=SystemClock())

    def publish() -> None:
        try:
            session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
        except RuntimeError as error:
            refusals.put(str(error))

    session.on_connect(publish)
    session.start()

    refusal = refusals.get(timeout=PATIENCE_S)

    session.close(PATIENCE_S)
    assert refusal == "the session's own thread cannot wait for the session"


def test_paho_is_used_without_loading_awscrt_or_asyncio() -> None:
    program = (
        "import sys; from thingmeter.mqtt.client import load; import thingmeter.mqtt.session; load('paho');"
        "print(sorted({'asyncio', 'awscrt', 'awsiot'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(AGENT)}, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "thingmeter.mqtt.awscrt", raising=False)
    monkeypatch.setitem(sys.modules, "awscrt", None)

    with pytest.raises(ConfigError, match=r"install the package thingmeter\[aws\]"):
        load("awscrt")


def connected(session: Session) -> None:
    """Return once there is a connection; a message that MQTT forbids would not wait for one."""
    for _ in range(int(PATIENCE_S)):
        if session.state().connected_since is not None:
            return
        gate = threading.Event()
        session.on_connect(gate.set)
        if session.state().connected_since is not None or gate.wait(1):
            return
    pytest.fail("no connection")


def publish_until_accepted(session: Session) -> None:
    for _ in range(5):
        try:
            session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
        except Unreachable:
            continue
        return
    pytest.fail("no attempt was accepted")
