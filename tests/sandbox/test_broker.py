from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from sandbox.wire import (
    CBOR_TOPIC,
    CONNACK,
    DISCONNECT,
    JSON_TOPIC,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    UNSUBACK,
    connect_packet,
    connected,
    frame,
    open_wire,
    publish_packet,
    report_bytes,
    subscribe_packet,
    text,
)
from thingmeter.sandbox.authority import Authority, Credentials
from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.limits import Limits

STATUS = "status/pump-7"


def mosquitto(sandbox: Sandbox, program: str, *arguments: str, thing: str = "pump-7") -> list[str]:
    credentials = sandbox.credentials(thing)
    return [
        *(program, "-V", "mqttv5", "-h", sandbox.host, "-p", str(sandbox.port), "-i", thing, "-q", "1"),
        *("--cafile", str(sandbox.ca_file), "--cert", str(credentials.certificate_file)),
        *("--key", str(credentials.private_key_file), *arguments),
    ]


@pytest.mark.needs_mosquitto
def test_mosquitto_s_client_gets_its_report_accepted(sandbox: Sandbox) -> None:
    answer, message = f"{JSON_TOPIC}/accepted", report_bytes(5).decode()
    asking = mosquitto(sandbox, "mosquitto_rr", "-t", JSON_TOPIC, "-e", answer, "-m", message, "-W", "10")

    done = subprocess.run(asking, capture_output=True, check=False)

    assert (done.returncode, b'"ACCEPTED"' in done.stdout) == (0, True)


@pytest.mark.needs_mosquitto
def test_the_operator_sees_ordinary_topics_with_mosquitto_s_client(sandbox: Sandbox) -> None:
    watching = mosquitto(sandbox, "mosquitto_sub", "-t", "#", "-v", "-C", "1", "-W", "10", thing="operator")
    with subprocess.Popen(watching, stdout=subprocess.PIPE) as operator:
        sandbox.events.wait(where=lambda event: event.kind == "subscribed")
        subprocess.run(mosquitto(sandbox, "mosquitto_pub", "-t", STATUS, "-m", "online"), check=True)

        assert operator.communicate()[0] == b"status/pump-7 online\n"


@pytest.mark.needs_mosquitto
def test_mosquitto_s_client_is_told_that_a_topic_is_not_for_it(sandbox: Sandbox) -> None:
    denied = mosquitto(sandbox, "mosquitto_pub", "-t", "status/pump-8", "-m", "online")

    done = subprocess.run(denied, capture_output=True, text=True, check=False)

    assert "Not authorized" in done.stderr


def test_paho_gets_its_report_accepted(sandbox: Sandbox) -> None:
    credentials = sandbox.credentials("pump-7")
    client = paho.Client(CallbackAPIVersion.VERSION2, "pump-7", protocol=paho.MQTTv5)
    client.tls_set(str(sandbox.ca_file), str(credentials.certificate_file), str(credentials.private_key_file))
    subscribed, answered = threading.Event(), threading.Event()
    topics: list[str] = []

    def take(_client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        topics.append(message.topic)
        answered.set()

    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = take
    client.connect(sandbox.host, sandbox.port, keepalive=60)
    client.loop_start()
    client.subscribe([(f"{JSON_TOPIC}/accepted", SubscribeOptions(qos=1))])
    assert subscribed.wait(10)

    client.publish(JSON_TOPIC, report_bytes(5), qos=1).wait_for_publish(10)

    assert answered.wait(10)
    client.disconnect()
    client.loop_stop()
    assert topics == [f"{JSON_TOPIC}/accepted"]


def test_connack_grants_a_keep_alive_within_bounds(tmp_path: Path) -> None:
    with Sandbox(tmp_path, things=("pump-7",)) as sandbox, open_wire(sandbox) as wire:
        connack = wire.ask(connect_packet("pump-7", keep_alive_s=0), CONNACK)

        assert b"\x13" + (1200).to_bytes(2, "big") in connack.body


@pytest.mark.parametrize("level", [3, 4])
def test_an_older_mqtt_is_refused_in_its_own_words(sandbox: Sandbox, level: int) -> None:
    with open_wire(sandbox) as wire:
        connack = wire.ask(frame(0x10, text("MQTT") + bytes([level, 2, 0, 60]) + text("pump-7")), CONNACK)

        assert (connack.body, wire.read()) == (b"\x00\x01", None)


@pytest.mark.parametrize("client_id", ["pump-8", ""])
def test_a_certificate_is_for_one_client_id(sandbox: Sandbox, client_id: str) -> None:
    with open_wire(sandbox) as wire:
        assert wire.ask(connect_packet(client_id), CONNACK).reason == 0x87


def test_a_last_will_to_a_topic_of_another_is_refused(sandbox: Sandbox) -> None:
    with open_wire(sandbox) as wire:
        assert wire.ask(connect_packet("pump-7", will=("status/pump-8", b"")), CONNACK).reason == 0x87


def test_the_first_packet_must_be_connect(sandbox: Sandbox) -> None:
    with open_wire(sandbox) as wire:
        wire.send(frame(0xC0))

        assert wire.expect(CONNACK).reason == 0x82


def test_a_second_connect_packet_ends_the_connection(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        assert wire.ask(connect_packet("pump-7"), DISCONNECT).reason == 0x82


def test_a_newer_connection_takes_over_from_an_older_one(sandbox: Sandbox) -> None:
    with connected(sandbox) as older, connected(sandbox) as newer:
        assert older.expect(DISCONNECT).reason == 0x8E
        assert newer.ask(frame(0xC0), PINGRESP).type == PINGRESP


def test_two_connects_of_one_client_id_within_a_second_are_too_many(tmp_path: Path) -> None:
    settings = Settings(limits=Limits(connect_interval_s=60))
    with Sandbox(tmp_path, things=("pump-7",), settings=settings) as sandbox, connected(sandbox) as first:
        with open_wire(sandbox) as second:
            reason = second.ask(connect_packet("pump-7"), CONNACK).reason

        assert (reason, first.ask(frame(0xC0), PINGRESP).type) == (0x9F, PINGRESP)


def test_a_silent_client_is_disconnected_and_its_will_published(sandbox: Sandbox) -> None:
    with (
        connected(sandbox, "operator") as operator,
        connected(sandbox, keep_alive_s=1, will=(STATUS, b"offline")) as wire,
    ):
        operator.ask(subscribe_packet(STATUS), SUBACK)

        assert wire.expect(DISCONNECT).reason == 0x8D
        assert operator.expect(PUBLISH).payload == b"offline"


def test_a_client_that_says_goodbye_leaves_no_will(sandbox: Sandbox) -> None:
    with connected(sandbox, "operator") as operator:
        operator.ask(subscribe_packet(STATUS), SUBACK)
        with connected(sandbox, will=(STATUS, b"offline")) as wire:
            wire.send(frame(0xE0))
            assert wire.read() is None
        sandbox.publish(STATUS, b"next")

        assert operator.expect(PUBLISH).payload == b"next"


def test_a_client_that_asks_for_it_leaves_its_will(sandbox: Sandbox) -> None:
    with connected(sandbox, "operator") as operator:
        operator.ask(subscribe_packet(STATUS), SUBACK)
        with connected(sandbox, will=(STATUS, b"offline")) as wire:
            wire.send(frame(0xE0, b"\x04"))
            assert wire.read() is None

        assert operator.expect(PUBLISH).payload == b"offline"


def test_a_client_that_resets_the_connection_leaves_its_will(sandbox: Sandbox) -> None:
    with connected(sandbox, "operator") as operator:
        operator.ask(subscribe_packet(STATUS), SUBACK)
        with connected(sandbox, will=(STATUS, b"offline")) as wire:
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        assert operator.expect(PUBLISH).payload == b"offline"


def test_a_retained_message_is_sent_to_who_subscribes_later(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        wire.ask(publish_packet(STATUS, b"online", flags=0x03), PUBACK)
        wire.send(subscribe_packet(STATUS))

        packet = wire.expect(PUBLISH)
        assert (packet.flags & 0x01, packet.payload) == (1, b"online")


def test_an_empty_retained_message_deletes_the_one_before(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        wire.ask(publish_packet(STATUS, b"online", flags=0x03), PUBACK)
        wire.ask(publish_packet(STATUS, b"", flags=0x03), PUBACK)

        assert wire.ask(subscribe_packet(STATUS), SUBACK).type == SUBACK


def test_subscriptions_are_judged_one_by_one(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        suback = wire.ask(subscribe_packet(f"{CBOR_TOPIC}/accepted", "status/pump-8", "a/#/b"), SUBACK)

        assert suback.body[3:] == bytes([1, 0x87, 0x8F])


def test_nine_filters_in_one_subscribe_are_too_many(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        suback = wire.ask(subscribe_packet(*[f"status/pump-7/{number}" for number in range(9)]), SUBACK)

        assert suback.body[3:] == bytes([0x97] * 9)


def test_a_connection_has_no_more_than_fifty_subscriptions(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        reasons = b"".join(
            wire.ask(subscribe_packet(*[f"status/pump-7/{number}" for number in range(start, start + 6)]), SUBACK).body[
                3:
            ]
            for start in range(0, 54, 6)
        )

        assert reasons == bytes([1] * 50 + [0x97] * 4)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        pytest.param(subscribe_packet(JSON_TOPIC), 0x87, id="a subscription to the reports"),
        pytest.param(subscribe_packet(STATUS, properties=b"\x02\x0b\x05"), 0xA1, id="a subscription identifier"),
        pytest.param(publish_packet(STATUS, b"", flags=0x04), 0x9B, id="QoS 2"),
        pytest.param(publish_packet(STATUS, b"", properties=b"\x03\x23\0\x01"), 0x94, id="a topic alias"),
        pytest.param(publish_packet(STATUS, bytes(131_073)), 0x95, id="a payload above 128 KB"),
        pytest.param(b"\x30\xff\xff\x7f", 0x95, id="a packet above the maximum"),
        pytest.param(publish_packet("status/pump-8", b"", flags=0), 0x87, id="a denied message of QoS 0"),
        pytest.param(frame(0xF0, b"\0\0"), 0x82, id="AUTH"),
        pytest.param(frame(0x82, b"\0"), 0x81, id="garbage"),
    ],
)
def test_what_aws_does_not_forgive_ends_the_connection(sandbox: Sandbox, packet: bytes, reason: int) -> None:
    with connected(sandbox) as wire:
        assert wire.ask(packet, DISCONNECT).reason == reason


@pytest.mark.parametrize(
    ("topic", "reason"),
    [(JSON_TOPIC, 0x00), (STATUS, 0x10), ("status/pump-8", 0x87), ("$aws/things/pump-8/defender/metrics/json", 0x87)],
)
def test_puback_tells_what_became_of_a_message(sandbox: Sandbox, topic: str, reason: int) -> None:
    with connected(sandbox) as wire:
        assert wire.ask(publish_packet(topic, b""), PUBACK).reason == reason


def test_no_more_messages_are_sent_at_once_than_the_client_takes(sandbox: Sandbox) -> None:
    properties = b"\x03\x21\0\x01"
    with open_wire(sandbox) as wire:
        wire.ask(frame(0x10, text("MQTT") + b"\x05\x02\0\x3c" + properties + text("pump-7")), CONNACK)
        wire.ask(subscribe_packet(STATUS), SUBACK)
        sandbox.publish(STATUS, b"one")
        sandbox.publish(STATUS, b"two")
        wire.expect(PUBLISH)

        assert wire.ask(frame(0xC0), PINGRESP).type == PINGRESP
        assert wire.ask(frame(0x40, b"\0\x01"), PUBLISH).payload == b"two"


def test_an_unsubscribed_filter_gets_nothing_more(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        wire.ask(subscribe_packet(STATUS), SUBACK)
        unsuback = wire.ask(frame(0xA2, b"\0\x02\0" + text(STATUS) + text("other")), UNSUBACK)
        sandbox.publish(STATUS, b"")

        assert (unsuback.body[3:], wire.ask(frame(0xC0), PINGRESP).type) == (b"\x00\x11", PINGRESP)


def test_a_message_above_the_client_s_maximum_is_not_sent(sandbox: Sandbox) -> None:
    properties = b"\x05\x27\0\0\0\x40"
    with open_wire(sandbox) as wire:
        wire.ask(frame(0x10, text("MQTT") + b"\x05\x02\0\x3c" + properties + text("pump-7")), CONNACK)
        wire.ask(subscribe_packet(STATUS), SUBACK)
        sandbox.publish(STATUS, bytes(100))

        assert wire.ask(frame(0xC0), PINGRESP).type == PINGRESP


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(garbage=st.binary(min_size=1, max_size=60))
def test_the_broker_survives_garbage(sandbox: Sandbox, garbage: bytes) -> None:
    with connected(sandbox) as wire:
        wire.send(garbage)

    with connected(sandbox) as wire:
        assert wire.ask(frame(0xC0), PINGRESP).type == PINGRESP


def connect_with(sandbox: Sandbox, credentials: Credentials | None) -> None:
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    if credentials is not None:
        context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
    plain = socket.create_connection(("127.0.0.1", sandbox.port), 10)
    with context.wrap_socket(plain, server_hostname=sandbox.host) as sock:
        sock.recv(1)


def test_a_client_without_a_certificate_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ssl.SSLError, match="certificate required"):
        connect_with(sandbox, None)

    [event] = sandbox.events.wait(where=lambda event: event.kind == "refused")
    assert event.detail == "TLS: peer did not return a certificate"


def test_a_client_of_another_authority_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    credentials = Authority.open(tmp_path / "other").issue("pump-7", tmp_path / "other")

    with pytest.raises(ssl.SSLError, match="unknown ca"):
        connect_with(sandbox, credentials)


def test_a_client_with_an_expired_certificate_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    credentials = sandbox.authority.issue("pump-7", tmp_path, not_after=datetime.now(UTC) - timedelta(days=2))

    with pytest.raises(ssl.SSLError, match="certificate expired"):
        connect_with(sandbox, credentials)

    [event] = sandbox.events.wait(where=lambda event: event.kind == "refused")
    assert event.detail == "TLS: the client's certificate: certificate has expired"


def test_the_broker_can_show_an_expired_certificate(sandbox: Sandbox, tmp_path: Path) -> None:
    ended = datetime.now(UTC) - timedelta(days=2)
    sandbox.use_server_credentials(sandbox.authority.issue("server", tmp_path, hosts=["localhost"], not_after=ended))

    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        connect_with(sandbox, sandbox.credentials("pump-7"))


def test_alpn_for_port_443_is_understood(sandbox: Sandbox) -> None:
    credentials = sandbox.credentials("pump-7")
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])

    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", sandbox.port), 10), server_hostname="localhost"
    ) as sock:
        assert sock.selected_alpn_protocol() == "x-amzn-mqtt-ca"
