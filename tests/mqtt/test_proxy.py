"""Through a real HTTP proxy on loopback, with both clients."""

from __future__ import annotations

import queue
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from mqtt.clients import PATIENCE_S, Journal, Sessions
from mqtt.peers import PUBLISH, Conversation, Workshop, puback, server_context
from thingmeter.config.settings import Mqtt
from thingmeter.errors import Unreachable
from thingmeter.mqtt.client import ConnectFailed
from thingmeter.mqtt.probe import Cause, diagnose
from thingmeter.mqtt.proxy import Proxy, proxy_of

CREDENTIALS = b64encode(b"agent:s3cret").decode()


class HttpProxy:
    """Knows CONNECT; with credentials it refuses who has none. Everything goes to ``target``, whatever the name."""

    def __init__(self, target: int, credentials: str = "", answer: bytes = b"") -> None:
        self.requests: queue.Queue[str] = queue.Queue()
        self._target, self._credentials, self._answer = target, credentials, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _start(self, target: object, *sockets: socket.socket) -> None:
        assert callable(target)
        thread = threading.Thread(target=target, args=sockets, daemon=True)
        self._open.extend(sockets)
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(PATIENCE_S)
        with client:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(4096)
            text = request.decode()
            self.requests.put(text)
            if self._answer or (self._credentials and self._credentials not in text):
                client.sendall(
                    self._answer or b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                )
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
                self._start(_pump, server, client)
                _pump(client, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def acknowledge(conversation: Conversation) -> None:
    conversation.greet()
    while True:
        conversation.send(puback(conversation.read(PUBLISH)))


@pytest.fixture
def proxied(workshop: Workshop, mqtt_client: str) -> Iterator[tuple[Mqtt, HttpProxy]]:
    """Yield settings that lead through a proxy with a password, and the proxy."""
    peer = workshop.peer(acknowledge)
    proxy = HttpProxy(peer.port, CREDENTIALS)
    yield with_proxy(workshop, mqtt_client, peer.port, proxy, "s3cret\n"), proxy
    proxy.close()


def with_proxy(workshop: Workshop, client: str, port: int, proxy: HttpProxy, password: str) -> Mqtt:
    secret = workshop.folder / "proxy-password"
    secret.write_text(password)
    mqtt = workshop.settings(client, port)
    return msgspec.structs.replace(mqtt, proxy=f"http://agent@127.0.0.1:{proxy.port}", proxy_password_file=str(secret))


def test_messages_pass_through_a_proxy_with_a_password(proxied: tuple[Mqtt, HttpProxy], sessions: Sessions) -> None:
    mqtt, _ = proxied

    session = sessions.start(mqtt)

    session.publish("things/pump-7/out", b"", timeout_s=PATIENCE_S)
    assert session.state().connects == 1


def test_the_proxy_resolves_the_name(proxied: tuple[Mqtt, HttpProxy], sessions: Sessions) -> None:
    mqtt, proxy = proxied

    sessions.start(mqtt)

    request = proxy.requests.get(timeout=PATIENCE_S)
    assert request.startswith(f"CONNECT localhost:{mqtt.port} HTTP/1.1\r\n")


def test_port_443_asks_for_mqtt_by_alpn(workshop: Workshop, mqtt_client: str, sessions: Sessions) -> None:
    heard: queue.Queue[str | None] = queue.Queue()
    context = server_context(workshop.authority, workshop.server)
    context.set_alpn_protocols(["http/1.1", "x-amzn-mqtt-ca"])

    def listen(conversation: Conversation) -> None:
        heard.put(conversation.alpn())
        conversation.greet()
        conversation.hold()

    proxy = HttpProxy(workshop.peer_with(context, listen).port)  # it makes any server one on port 443
    session = sessions.start(with_proxy(workshop, mqtt_client, 443, proxy, ""))

    protocol = heard.get(timeout=PATIENCE_S)

    session.close(PATIENCE_S)
    proxy.close()
    assert protocol == "x-amzn-mqtt-ca"


def test_a_wrong_password_is_named(workshop: Workshop, mqtt_client: str, sessions: Sessions, mqtt_log: Journal) -> None:
    proxy = HttpProxy(1, CREDENTIALS)
    session = sessions.start(with_proxy(workshop, mqtt_client, 8883, proxy, "wrong"))

    said = mqtt_log.wait_for("proxy")

    session.close(PATIENCE_S)
    proxy.close()
    assert said == (
        f"proxy: 127.0.0.1:{proxy.port} answered 407 Proxy Authentication Required "
        "(user in [mqtt] proxy, password in proxy_password_file)"
    )


def test_a_proxy_that_nobody_runs_is_named(
    workshop: Workshop, mqtt_client: str, sessions: Sessions, mqtt_log: Journal
) -> None:
    mqtt = msgspec.structs.replace(workshop.settings(mqtt_client, 8883), proxy="http://127.0.0.1:1")
    session = sessions.start(mqtt)
    mqtt_log.wait_for("refused the connection")

    with pytest.raises(Unreachable, match=r"proxy: 127\.0\.0\.1:1 refused the connection, nothing listens there"):
        session.publish("things/pump-7/out", b"", timeout_s=0.1)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 nonsense\r\n\r\n", b"\r\n\r\n"])
def test_a_server_that_is_no_proxy_is_named(workshop: Workshop, answer: bytes) -> None:
    server = HttpProxy(1, answer=answer)
    mqtt = msgspec.structs.replace(workshop.settings("paho", 8883), proxy=f"http://127.0.0.1:{server.port}")

    found = diagnose(mqtt, datetime.now(UTC), PATIENCE_S)

    server.close()
    assert found == Cause(f"proxy: 127.0.0.1:{server.port} is no HTTP proxy ([mqtt] proxy)")


def test_a_proxy_without_a_port_has_that_of_http(workshop: Workshop) -> None:
    mqtt = msgspec.structs.replace(workshop.settings("paho", 8883), proxy="http://proxy.example")

    assert proxy_of(mqtt) == Proxy("proxy.example", 80)


@pytest.mark.parametrize("url", ["proxy:3128", "https://proxy:3128", "http://", "http://proxy:port", "http://[::1"])
def test_a_proxy_url_that_cannot_be_used_is_a_failed_connect(workshop: Workshop, url: str) -> None:
    mqtt = msgspec.structs.replace(workshop.settings("paho", 8883), proxy=url)

    with pytest.raises(ConnectFailed, match=r"^proxy: \[mqtt\] proxy"):
        proxy_of(mqtt)


def test_a_missing_password_file_is_named(workshop: Workshop) -> None:
    mqtt = msgspec.structs.replace(
        workshop.settings("paho", 8883), proxy="http://agent@proxy:3128", proxy_password_file="/nowhere/secret"
    )

    with pytest.raises(ConnectFailed, match="cannot read /nowhere/secret"):
        proxy_of(mqtt)


def test_the_password_is_not_in_the_representation() -> None:
    assert "s3cret" not in repr(Proxy("proxy", 3128, "agent", "s3cret"))
