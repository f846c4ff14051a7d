"""What both MQTT clients must do, held against a real Mosquitto."""

from __future__ import annotations

import pickle
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from brokers import Mosquitto
from mqtt.clients import PATIENCE_S, Journal, Sessions
from thingmeter.errors import DeliveryError, Denied, Rejected, Unreachable
from thingmeter.mqtt.session import Session

pytestmark = pytest.mark.needs_mosquitto

TOPIC = "things/pump-7/out"
AGENT = Path(__file__).parents[2] / "agent"


@dataclass(frozen=True)
class Inbox:
    """What a subscription has brought."""

    messages: queue.Queue[tuple[str, bytes]]

    def put(self, topic: str, payload: bytes) -> None:
        self.messages.put((topic, payload))

    def get(self) -> tuple[str, bytes]:
        return self.messages.get(timeout=PATIENCE_S)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(queue.Queue())


@pytest.mark.parametrize("size", [0, 20_000, 131_072])
def test_a_payload_arrives_exactly_as_sent(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions, size: int
) -> None:
    payload = bytes(index % 251 for index in range(size))
    observer = mosquitto.observe(TOPIC)
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))

    session.publish(TOPIC, payload, timeout_s=PATIENCE_S)

    assert observer.messages(1) == [(TOPIC, payload)]


def test_a_message_that_nobody_wants_is_acknowledged(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions
) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))

    session.publish(TOPIC, b"for nobody", timeout_s=PATIENCE_S)

    assert mosquitto.log.wait_for(lambda line: "Sending PUBACK to pump-7 (m1, rc16)" in line)


def test_a_topic_that_the_acl_forbids_is_denied(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))

    with pytest.raises(Denied, match="not authorized"):
        session.publish("things/another/out", b"", timeout_s=PATIENCE_S)


def test_a_denied_message_does_not_block_the_next(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    observer = mosquitto.observe(TOPIC)
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    with pytest.raises(Denied):
        session.publish("things/another/out", b"", timeout_s=PATIENCE_S)

    session.publish(TOPIC, b"next", timeout_s=PATIENCE_S)

    assert observer.messages(1) == [(TOPIC, b"next")]


def test_a_topic_with_a_wildcard_is_rejected(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))

    with pytest.raises(Rejected, match="contains"):
        session.publish("things/+/out", b"", timeout_s=PATIENCE_S)


def test_a_subscription_brings_messages(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions, inbox: Inbox
) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.subscribe(["things/pump-7/#"], inbox.put, timeout_s=PATIENCE_S)

    session.publish(TOPIC, b"echo", timeout_s=PATIENCE_S)

    assert inbox.get() == (TOPIC, b"echo")


def test_a_callback_that_fails_does_not_end_the_session(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions, mqtt_log: Journal
) -> None:
    def fail(_topic: str, _payload: bytes) -> None:
        raise ValueError("broken callback")

    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.subscribe(["things/pump-7/#"], fail, timeout_s=PATIENCE_S)
    session.publish(TOPIC, b"first", timeout_s=PATIENCE_S)
    mqtt_log.wait_for("the callback for a message on things/pump-7/out failed")

    session.publish(TOPIC, b"second", timeout_s=PATIENCE_S)

    assert session.state().connects == 1


def test_a_granted_subscription_is_not_asked_for_again(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions, inbox: Inbox
) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.subscribe(["things/pump-7/#"], inbox.put, timeout_s=PATIENCE_S)

    session.subscribe(["things/pump-7/#"], inbox.put, timeout_s=PATIENCE_S)

    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
    assert mosquitto.log.text().count("Received SUBSCRIBE from pump-7") == 1


def test_without_a_broker_a_message_is_unreachable(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
    mosquitto.stop()

    with pytest.raises(Unreachable):
        session.publish(TOPIC, b"", timeout_s=0.5)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_broker_that_comes_back_is_found_again(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions, how: signal.Signals
) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.publish(TOPIC, b"before", timeout_s=PATIENCE_S)
    mosquitto.stop(how)
    mosquitto.start()
    observer = mosquitto.observe(TOPIC)

    _publish_until_accepted(session)

    assert observer.messages(1) == [(TOPIC, b"after")]


def test_a_broker_that_starts_later_is_found(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    mosquitto.stop()
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    mosquitto.start()

    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    assert session.state().connects == 1


def test_subscriptions_are_made_again_on_a_new_connection(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions, inbox: Inbox
) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.subscribe(["things/pump-7/#"], inbox.put, timeout_s=PATIENCE_S)
    mosquitto.kill()
    mosquitto.start()

    mosquitto.log.wait_for(lambda line: "Sending SUBACK to pump-7" in line)

    _publish_until_accepted(session)
    assert inbox.get() == (TOPIC, b"after")


def test_on_connect_is_called_for_each_connection(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    calls = threading.Semaphore(0)
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
    session.on_connect(calls.release)

    mosquitto.kill()
    mosquitto.start()

    assert calls.acquire(timeout=PATIENCE_S)


def test_a_rival_with_the_same_client_id_is_suspected(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions, mqtt_log: Journal
) -> None:
    mqtt = mosquitto.settings("pump-7", client=mqtt_client)

    for _ in range(2):  # this Mosquitto ends the older connection without giving the reason
        sessions.start(mqtt)

    assert '"pump-7"' in mqtt_log.wait_for("another client with the client id")


def test_the_status_topic_says_online(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client, status_topic="status/pump-7"))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    ((topic, payload),) = mosquitto.observe("status/#").messages(1)

    assert (topic, msgspec.json.decode(payload)) == ("status/pump-7", {"thing": "pump-7", "status": "online"})


def test_closing_leaves_a_retained_offline(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client, status_topic="status/pump-7"))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    session.close(PATIENCE_S)

    ((_, payload),) = mosquitto.observe("status/#").messages(1)
    assert msgspec.json.decode(payload) == {"thing": "pump-7", "status": "offline"}


def test_closing_sends_a_disconnect(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)

    session.close(PATIENCE_S)

    assert mosquitto.log.wait_for(lambda line: "Received DISCONNECT from pump-7" in line)


def test_the_will_is_published_when_the_agent_is_killed(mosquitto: Mosquitto, mqtt_client: str, tmp_path: Path) -> None:
    settings_file = tmp_path / "mqtt.pickle"
    mqtt = mosquitto.settings("pump-7", client=mqtt_client, status_topic="status/pump-7")
    settings_file.write_bytes(pickle.dumps(mqtt))
    program = (
        "import pickle, sys; from thingmeter.clock import SystemClock; from thingmeter.mqtt.session import Session;"
        "mqtt = pickle.load(open(sys.argv[1], 'rb'));"
        "session = Session(mqtt, 'pump-7', clock=SystemClock()); session.start();"
        f"session.publish('{TOPIC}', b'', timeout_s=20); print('published', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(settings_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(AGENT)},
    ) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        observer = mosquitto.observe("status/#")
        agent.kill()

    payloads = [msgspec.json.decode(payload) for _, payload in observer.messages(2)]

    assert payloads[1] == {"thing": "pump-7", "status": "offline"}


def test_a_new_certificate_file_is_used_at_the_next_connect(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions
) -> None:
    mqtt = mosquitto.settings("pump-7", client=mqtt_client)
    sessions.start(mqtt).publish(TOPIC, b"", timeout_s=PATIENCE_S)
    renewed = mosquitto.authority.issue("pump-8", mosquitto.folder / "renewed")
    renewed.private_key_file.replace(mqtt.tls.private_key_file)
    renewed.certificate_file.replace(mqtt.tls.certificate_file)

    mosquitto.kill()
    mosquitto.start()

    assert mosquitto.log.wait_for(lambda line: "as pump-7" in line and "u'pump-8'" in line)


def test_publishers_on_many_threads_lose_and_double_nothing(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions
) -> None:
    observer = mosquitto.observe(TOPIC)
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    payloads = [f"{thread}/{number}".encode() for thread in range(8) for number in range(20)]

    def publish(start: int) -> None:
        for payload in payloads[start : start + 20]:
            session.publish(TOPIC, payload, timeout_s=PATIENCE_S)

    threads = [threading.Thread(target=publish, args=(start,)) for start in range(0, len(payloads), 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert sorted(payload for _, payload in observer.messages(len(payloads))) == sorted(payloads)


def test_a_broker_that_hangs_makes_a_message_unreachable(
    mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions
) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
    mosquitto.suspend()

    with pytest.raises(Unreachable, match="no acknowledgement"):
        session.publish(TOPIC, b"", timeout_s=0.5)


def test_a_broker_that_hung_is_used_again(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
    mosquitto.suspend()
    with pytest.raises(Unreachable):
        session.publish(TOPIC, b"", timeout_s=0.5)
    mosquitto.resume()

    _publish_until_accepted(session)

    assert session.state().connected_since is not None


def test_closing_with_a_hung_broker_ends(mosquitto: Mosquitto, mqtt_client: str, sessions: Sessions) -> None:
    session = sessions.start(mosquitto.settings("pump-7", client=mqtt_client, status_topic="status/pump-7"))
    session.publish(TOPIC, b"", timeout_s=PATIENCE_S)
    mosquitto.suspend()

    session.close(0.5)

    with pytest.raises(Unreachable, match="closed"):
        session.publish(TOPIC, b"", timeout_s=0.5)


def _publish_until_accepted(session: Session) -> None:
    """Publish as delivery does: again, while the connection that broke is still being replaced."""
    for _ in range(5):
        try:
            session.publish(TOPIC, b"after", timeout_s=PATIENCE_S)
        except DeliveryError:
            continue
        return
    pytest.fail("no attempt was accepted")
