"""A bare MQTT 5 client over TLS for the tests of the sandbox: packets built and read by hand, one at a time."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from thingmeter.sandbox.authority import Credentials
from thingmeter.sandbox.cloud import Sandbox

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 11, 13, 14
TIMEOUT_S = 10


def text(value: str) -> bytes:
    return struct.pack("!H", len(value.encode())) + value.encode()


def frame(first_byte: int, body: bytes = b"") -> bytes:
    length, encoded = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        encoded += bytes([digit | 0x80 if length else digit])
        if not length:
            return bytes([first_byte]) + encoded + body


def connect_packet(client_id: str, *, keep_alive_s: int = 60, will: tuple[str, bytes] | None = None) -> bytes:
    flags = 0x02 | (0x04 if will else 0)
    last = b"\0" + text(will[0]) + struct.pack("!H", len(will[1])) + will[1] if will else b""
    return frame(
        0x10, text("MQTT") + bytes([5, flags]) + struct.pack("!H", keep_alive_s) + b"\0" + text(client_id) + last
    )


def publish_packet(
    topic: str, payload: bytes, *, packet_id: int = 1, flags: int = 0x02, properties: bytes = b"\0"
) -> bytes:
    number = struct.pack("!H", packet_id) if flags & 0x06 else b""
    return frame(0x30 | flags, text(topic) + number + properties + payload)


def subscribe_packet(*filters: str, packet_id: int = 1, properties: bytes = b"\0") -> bytes:
    return frame(0x82, struct.pack("!H", packet_id) + properties + b"".join(text(each) + b"\x01" for each in filters))


@dataclass(frozen=True)
class Received:
    type: int
    flags: int
    body: bytes

    @property
    def topic(self) -> str:
        return self.body[2 : 2 + struct.unpack("!H", self.body[:2])[0]].decode()

    @property
    def payload(self) -> bytes:
        skipped = 2 + len(self.topic.encode()) + (2 if self.flags & 0x06 else 0)
        return self.body[skipped + 1 + self.body[skipped] :]

    @property
    def reason(self) -> int:
        """Of CONNACK, PUBACK and DISCONNECT."""
        return self.body[{CONNACK: 1, PUBACK: 2, DISCONNECT: 0}[self.type]]


class Wire:
    """One connection; reads what the broker sends, packet by packet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(self, content: bytes) -> None:
        self.sock.sendall(content)

    def read(self) -> Received | None:
        """Return the next packet; None at the end of the connection."""
        first = self._take(1)
        if not first:
            return None
        length, shift = 0, 0
        while True:
            byte = self._take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return Received(first[0] >> 4, first[0] & 0x0F, self._take(length))

    def expect(self, packet_type: int) -> Received:
        packet = self.read()
        assert packet is not None
        assert packet.type == packet_type, packet
        return packet

    def ask(self, content: bytes, answer: int) -> Received:
        self.send(content)
        return self.expect(answer)

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            try:
                more = self.sock.recv(count - len(taken))
            except (ConnectionError, ssl.SSLError):
                more = b""
            if not more:
                return b""
            taken += more
        return taken


def tls(sandbox: Sandbox, credentials: Credentials | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    if credentials is not None:
        context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
    return context


@contextlib.contextmanager
def open_wire(sandbox: Sandbox, name: str = "pump-7") -> Iterator[Wire]:
    """Connect with the certificate of ``name``; nothing is sent yet."""
    plain = socket.create_connection(("127.0.0.1", sandbox.port), TIMEOUT_S)
    with tls(sandbox, sandbox.credentials(name)).wrap_socket(plain, server_hostname=sandbox.host) as sock:
        yield Wire(sock)


@contextlib.contextmanager
def connected(sandbox: Sandbox, name: str = "pump-7", **options: Any) -> Iterator[Wire]:
    """Connect, CONNECT and take a successful CONNACK."""
    with open_wire(sandbox, name) as wire:
        assert wire.ask(connect_packet(name, **options), CONNACK).reason == 0
        yield wire


def report(report_id: int = 1, **custom: Any) -> dict[str, Any]:
    """Return a good report with long names."""
    metrics = custom or {"cpu": [{"number": 3}]}
    return {"header": {"report_id": report_id, "version": "1.0"}, "custom_metrics": metrics}


def report_bytes(report_id: int = 1, **custom: Any) -> bytes:
    return json.dumps(report(report_id, **custom)).encode()


JSON_TOPIC = "$aws/things/pump-7/defender/metrics/json"
CBOR_TOPIC = "$aws/things/pump-7/defender/metrics/cbor"
