"""Why a connect failed, in words: real TLS servers, real certificates, both clients."""

from __future__ import annotations

import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from mqtt.peers import Conversation, Workshop, connack, server_context
from thingmeter.config.settings import Mqtt
from thingmeter.mqtt.client import ConnectFailed, Options, load
from thingmeter.mqtt.probe import Cause, diagnose, name_cause
from thingmeter.mqtt.tls import ca_dates_problem
from thingmeter.sandbox.authority import Authority

NOW = datetime.now(UTC)
YESTERDAY, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)
TIMEOUT_S = 10.0


def cause(mqtt: Mqtt) -> Cause:
    """Let the client fail and name the cause, as the session does.

    awscrt is not waited for long: its TLS (s2n) keeps a refused server waiting for 10 to 30 s before it says so.
    """
    timeout_s = 0.7 if mqtt.client == "awscrt" else TIMEOUT_S
    client = load(mqtt.client)(Options(mqtt, mqtt.client_id))
    try:
        with pytest.raises(ConnectFailed) as failed:
            client.connect(timeout_s)
    finally:
        client.close()
    return name_cause(failed.value, mqtt, NOW)


def greet(conversation: Conversation) -> None:
    conversation.greet()
    conversation.hold()


def with_files(mqtt: Mqtt, **files: object) -> Mqtt:
    tls = msgspec.structs.replace(mqtt.tls, **{key: str(path) for key, path in files.items()})
    return msgspec.structs.replace(mqtt, tls=tls)


def test_a_server_of_another_authority_names_the_ca_file(workshop: Workshop, mqtt_client: str) -> None:
    stranger = Authority.open(workshop.folder / "stranger")
    mqtt = with_files(workshop.settings(mqtt_client, workshop.peer(greet).port), ca_file=stranger.ca_file)

    text = cause(mqtt).text

    assert f"not issued by an authority in {stranger.ca_file} ([mqtt.tls] ca_file)" in text


def test_a_server_with_another_name_names_both(workshop: Workshop, mqtt_client: str) -> None:
    server = workshop.authority.issue("elsewhere", workshop.folder, hosts=["broker.example", "127.0.0.1"])
    mqtt = workshop.settings(mqtt_client, workshop.peer(greet, server=server).port)

    text = cause(mqtt).text

    assert text == (
        'tls: the server\'s certificate is for "broker.example", "127.0.0.1", not for host "localhost" ([mqtt] host)'
    )


def test_a_server_with_another_address_names_it(workshop: Workshop, mqtt_client: str) -> None:
    server = workshop.authority.issue("elsewhere", workshop.folder, hosts=["broker.example"])
    mqtt = workshop.settings(mqtt_client, workshop.peer(greet, server=server).port, host="127.0.0.1")

    assert 'not for host "127.0.0.1"' in cause(mqtt).text


def test_an_expired_server_certificate_is_named(workshop: Workshop, mqtt_client: str) -> None:
    server = workshop.authority.issue("late", workshop.folder, hosts=["localhost"], not_after=YESTERDAY)
    mqtt = workshop.settings(mqtt_client, workshop.peer(greet, server=server).port)

    assert cause(mqtt).text == f"tls: the server's certificate expired on {YESTERDAY:%Y-%m-%d %H:%M:%S} UTC"


def test_a_server_certificate_not_yet_valid_is_named_with_our_clock(workshop: Workshop, mqtt_client: str) -> None:
    server = workshop.authority.issue("early", workshop.folder, hosts=["localhost"], not_before=TOMORROW)
    mqtt = workshop.settings(mqtt_client, workshop.peer(greet, server=server).port)

    text = cause(mqtt).text

    assert text == (
        f"tls: the server's certificate is not yet valid: not before {TOMORROW:%Y-%m-%d %H:%M:%S} UTC, "
        f"and this machine's clock says {NOW:%Y-%m-%d %H:%M:%S} UTC"
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_our_expired_certificate_is_named(workshop: Workshop, mqtt_client: str, version: ssl.TLSVersion) -> None:
    own = workshop.authority.issue("pump-7", workshop.folder / "old", not_after=YESTERDAY)
    context = server_context(workshop.authority, workshop.server)
    context.maximum_version = version
    mqtt = workshop.settings(mqtt_client, workshop.peer_with(context, greet).port, own=own)

    found = cause(mqtt)

    assert found == Cause(
        f"tls: the certificate {own.certificate_file} ([mqtt.tls] certificate_file) expired on "
        f"{YESTERDAY:%Y-%m-%d %H:%M:%S} UTC: the server refused it (certificate expired)",
        denied=True,
    )


def test_our_certificate_not_yet_valid_is_named(workshop: Workshop, mqtt_client: str) -> None:
    own = workshop.authority.issue("pump-7", workshop.folder / "new", not_before=TOMORROW)
    mqtt = workshop.settings(mqtt_client, workshop.peer(greet).port, own=own)

    text = cause(mqtt).text

    assert f"{own.certificate_file} ([mqtt.tls] certificate_file) is not yet valid" in text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_our_certificate_of_another_authority_is_named(
    workshop: Workshop, mqtt_client: str, version: ssl.TLSVersion
) -> None:
    own = Authority.open(workshop.folder / "stranger").issue("pump-7", workshop.folder / "strange")
    context = server_context(workshop.authority, workshop.server)
    context.maximum_version = version
    mqtt = workshop.settings(mqtt_client, workshop.peer_with(context, greet).port, own=own)

    found = cause(mqtt)

    assert found == Cause(
        f"tls: the certificate {own.certificate_file} ([mqtt.tls] certificate_file): "
        "the server refused it (unknown authority)",
        denied=True,
    )


def test_the_key_of_another_certificate_is_named(workshop: Workshop, mqtt_client: str) -> None:
    other = workshop.authority.issue("pump-8", workshop.folder)
    mqtt = with_files(
        workshop.settings(mqtt_client, workshop.peer(greet).port), private_key_file=other.private_key_file
    )

    assert cause(mqtt).text == (
        f"tls: {other.private_key_file} ([mqtt.tls] private_key_file) is not the key of the certificate "
        f"{workshop.thing.certificate_file}"
    )


@pytest.mark.parametrize("key", ["ca_file", "certificate_file", "private_key_file"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_malformed_file_is_named(workshop: Workshop, mqtt_client: str, key: str, content: bytes) -> None:
    broken = workshop.folder / "broken.pem"
    broken.write_bytes(content)
    mqtt = with_files(workshop.settings(mqtt_client, workshop.peer(greet).port), **{key: broken})

    assert cause(mqtt).text.startswith(f"tls: {broken} ([mqtt.tls] {key}) ")


@pytest.mark.parametrize("key", ["ca_file", "certificate_file", "private_key_file"])
def test_a_missing_file_is_named(workshop: Workshop, mqtt_client: str, key: str) -> None:
    missing = workshop.folder / "missing.pem"
    mqtt = with_files(workshop.settings(mqtt_client, workshop.peer(greet).port), **{key: missing})

    assert cause(mqtt).text == f"tls: cannot read {missing} ([mqtt.tls] {key}): No such file or directory"


def test_a_key_with_a_passphrase_is_named(workshop: Workshop, mqtt_client: str) -> None:
    locked = workshop.folder / "locked.key"
    key = str(workshop.thing.private_key_file)
    command = ["openssl", "pkcs8", "-topk8", "-in", key, "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    mqtt = with_files(workshop.settings(mqtt_client, workshop.peer(greet).port), private_key_file=locked)

    assert cause(mqtt).text == (
        f"tls: {locked} ([mqtt.tls] private_key_file) is protected by a passphrase; the agent needs a key without one"
    )


def test_a_port_where_nobody_listens_is_named(workshop: Workshop, mqtt_client: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])

    text = cause(workshop.settings(mqtt_client, port)).text

    assert text == f"tcp: localhost:{port} refused the connection, nothing listens there"


def test_a_name_that_does_not_resolve_is_named(workshop: Workshop, mqtt_client: str) -> None:
    text = cause(workshop.settings(mqtt_client, 8883, host="nowhere.invalid")).text

    assert text.startswith('dns: cannot resolve "nowhere.invalid" ([mqtt] host): ')


def test_a_server_that_does_not_answer_the_handshake_is_named(workshop: Workshop) -> None:
    peer = workshop.peer_with(None, Conversation.hold)

    found = diagnose(workshop.settings("paho", peer.port), NOW, 0.3)

    assert found == Cause(f"tls: localhost:{peer.port} did not answer the handshake within 0.3 s")


def test_a_server_without_tls_is_named(workshop: Workshop, mqtt_client: str) -> None:
    def answer_in_clear(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        conversation.hold()

    peer = workshop.peer_with(None, answer_in_clear)

    text = cause(workshop.settings(mqtt_client, peer.port)).text

    assert text == f"tls: localhost:{peer.port} does not speak TLS ([mqtt] port)"


def test_a_server_with_old_tls_only_is_refused(workshop: Workshop, mqtt_client: str) -> None:
    context = server_context(workshop.authority, workshop.server)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    peer = workshop.peer_with(context, greet)

    text = cause(workshop.settings(mqtt_client, peer.port)).text

    assert text == f"tls: localhost:{peer.port} offers no TLS 1.2 or later"


def test_a_server_that_hangs_up_after_the_handshake_is_named(workshop: Workshop, mqtt_client: str) -> None:
    peer = workshop.peer(lambda _conversation: None)

    text = cause(workshop.settings(mqtt_client, peer.port)).text

    assert text.startswith(f"tls: localhost:{peer.port} closed the connection during the TLS handshake or right after")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x84, "unsupported protocol version"),
        (0x85, "client identifier not valid"),
        (0x86, "bad user name or password"),
        (0x87, "not authorized"),
        (0x88, "server unavailable"),
        (0x89, "server busy"),
        (0x9F, "connection rate exceeded"),
    ],
)
def test_a_refusal_by_the_broker_is_named(workshop: Workshop, mqtt_client: str, code: int, words: str) -> None:
    def refuse(conversation: Conversation) -> None:
        conversation.read()
        conversation.send(connack(code))
        conversation.hold()

    peer = workshop.peer(refuse)

    text = cause(workshop.settings(mqtt_client, peer.port)).text

    assert text.startswith(f"mqtt: the broker refused the connection: {words}")


def test_the_brokers_own_words_are_passed_on_without_control_characters(workshop: Workshop, mqtt_client: str) -> None:
    said = b"no\x1b[31m policy"

    def refuse(conversation: Conversation) -> None:
        conversation.read()
        conversation.send(connack(0x87, b"\x1f" + len(said).to_bytes(2, "big") + said))
        conversation.hold()

    peer = workshop.peer(refuse)

    text = cause(workshop.settings(mqtt_client, peer.port)).text

    assert text == "mqtt: the broker refused the connection: not authorized (0x87): no\\x1b[31m policy"


def test_a_broker_that_hangs_up_on_the_connect_is_named(workshop: Workshop, mqtt_client: str) -> None:
    def hang_up(conversation: Conversation) -> None:
        conversation.read()

    peer = workshop.peer(hang_up)

    text = cause(workshop.settings(mqtt_client, peer.port)).text

    assert text.startswith("mqtt: ")


def test_garbage_instead_of_a_connack_is_a_failed_connect(workshop: Workshop, mqtt_client: str) -> None:
    def babble(conversation: Conversation) -> None:
        conversation.read()
        conversation.send(b"\x20\x03\x00\x00\x7f" + bytes(range(64)))
        conversation.hold()

    peer = workshop.peer(babble)

    text = cause(workshop.settings(mqtt_client, peer.port)).text

    assert text.startswith("mqtt: ")


def test_a_working_broker_gives_no_cause(workshop: Workshop) -> None:
    peer = workshop.peer(greet)

    assert diagnose(workshop.settings("paho", peer.port), NOW, TIMEOUT_S) is None


def test_an_expired_authority_is_named(workshop: Workshop) -> None:
    later = NOW + timedelta(days=365 * 20)
    tls = workshop.settings("paho", 8883).tls

    assert ca_dates_problem(tls, later).startswith(f"the authority in {tls.ca_file} ([mqtt.tls] ca_file) expired")
