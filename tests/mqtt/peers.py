"""A TLS server on loopback that does what a script says: the broker that no real broker can be made to be."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thingmeter.config.settings import Mqtt, Tls
from thingmeter.sandbox.authority import Authority, Credentials

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Packet:
    kind: int
    flags: int
    body: bytes

    @property
    def identifier(self) -> bytes:
        """Return the two bytes that the acknowledgement must repeat."""
        if self.kind == PUBLISH:
            size = int.from_bytes(self.body[:2], "big")
            return self.body[2 + size : 4 + size]
        return self.body[:2]


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    assert len(body) < 128
    return bytes([kind << 4 | flags, len(body)]) + body


def connack(reason: int = 0, properties: bytes = b"") -> bytes:
    return packet(CONNACK, bytes([0, reason, len(properties)]) + properties)


def puback(published: Packet, reason: int = 0) -> bytes:
    return packet(PUBACK, published.identifier + bytes([reason]))


def suback(subscribed: Packet, *reasons: int) -> bytes:
    return packet(SUBACK, subscribed.identifier + b"\0" + bytes(reasons))


def disconnect(reason: int) -> bytes:
    return packet(DISCONNECT, bytes([reason]))


class Conversation:
    """One connection, from the server's side."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read(self, kind: int | None = None) -> Packet:
        """Return the next packet, of this kind if one is named; what comes before it is passed over."""
        while True:
            first = self._exactly(1)[0]
            size = shift = 0
            while True:
                byte = self._exactly(1)[0]
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            found = Packet(first >> 4, first & 15, self._exactly(size))
            if kind in {None, found.kind}:
                return found

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def greet(self) -> Packet:
        """Accept the CONNECT and return it."""
        connect = self.read(CONNECT)
        self.send(connack())
        return connect

    def alpn(self) -> str | None:
        """Return the application protocol that was agreed on."""
        assert isinstance(self._sock, ssl.SSLSocket)
        return self._sock.selected_alpn_protocol()

    def hold(self) -> None:
        """Read until the other side leaves."""
        while self._sock.recv(65536):
            pass

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            received = self._sock.recv(size - len(data))
            if not received:
                raise ConnectionError("the client has left")
            data += received
        return data


Script = Callable[[Conversation], None]


class Peer:
    """Listens on a port of its own; the n-th connection follows the n-th script, later ones the last."""

    def __init__(self, context: ssl.SSLContext | None, *scripts: Script) -> None:
        self.heard: queue.Queue[Packet] = queue.Queue()  # for scripts that tell the test what they read
        self._context = context
        self._scripts = list(scripts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._acceptor = threading.Thread(target=self._accept, name="peer", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(PATIENCE_S)
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            sock.settimeout(PATIENCE_S)
            self._sockets.append(sock)
            thread = threading.Thread(target=self._converse, args=(sock, script), name="conversation", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _converse(self, sock: socket.socket, script: Script) -> None:
        with sock:
            try:
                if self._context is None:
                    script(Conversation(sock))
                    return
                with self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as secure:
                    self._sockets.append(secure)
                    secure.do_handshake()
                    script(Conversation(secure))
            except OSError:
                pass  # the client refused us, or left


def server_context(authority: Authority, credentials: Credentials) -> ssl.SSLContext:
    """Return a context that demands a certificate of ``authority`` from the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def settings(client: str, port: int, authority: Authority, own: Credentials, *, host: str = "localhost") -> Mqtt:
    files = Tls(
        ca_file=str(authority.ca_file),
        certificate_file=str(own.certificate_file),
        private_key_file=str(own.private_key_file),
    )
    return Mqtt(client="awscrt" if client == "awscrt" else "paho", host=host, port=port, client_id="pump-7", tls=files)


class Workshop:
    """An authority, a server's and a thing's certificate, and the peers made with them; closes what it made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.open(folder / "authority")
        self.server = self.authority.issue("server", folder, hosts=["localhost", "127.0.0.1"])
        self.thing = self.authority.issue("pump-7", folder)
        self._peers: list[Peer] = []

    def peer(self, *scripts: Script, server: Credentials | None = None) -> Peer:
        """Return a peer with mutual TLS."""
        return self.peer_with(server_context(self.authority, server or self.server), *scripts)

    def peer_with(self, context: ssl.SSLContext | None, *scripts: Script) -> Peer:
        peer = Peer(context, *scripts)
        self._peers.append(peer)
        return peer

    def settings(self, client: str, port: int, *, host: str = "localhost", own: Credentials | None = None) -> Mqtt:
        return settings(client, port, self.authority, own or self.thing, host=host)

    def close(self) -> None:
        for peer in self._peers:
            peer.close()
