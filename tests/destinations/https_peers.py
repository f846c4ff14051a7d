"""TCP and TLS servers on loopback, each of which does what a script says to one connection at a time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from thingmeter.sandbox.authority import Authority, Credentials

PATIENCE_S = 20.0

Script: TypeAlias = Callable[[socket.socket], None]
"""What a server does with one connection; the connection is closed when it returns."""


def read_request(sock: socket.socket) -> bytes:
    """Return one whole request, or what came of it before the client closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = sock.recv(65536)
        if not part:
            return received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    size = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < size:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Return an answer with its length."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answers(*wanted: bytes) -> Script:
    """Return a script that gives these answers, one for each request on the connection, and then closes it."""

    def script(sock: socket.socket) -> None:
        for each in wanted:
            if not read_request(sock):
                return
            sock.sendall(each)

    return script


def until_closed(sock: socket.socket) -> None:
    """Read and say nothing until the client closes."""
    while sock.recv(65536):
        pass


def _shaken(sock: socket.socket) -> bool:
    """Return whether there is nothing against this connection; reads to its end otherwise.

    As servers do: a socket that is closed with unread bytes takes back what it said last, which is the TLS alert.
    """
    if isinstance(sock, ssl.SSLSocket):
        try:
            sock.do_handshake()
        except ssl.SSLError:
            socket.socket.shutdown(sock, socket.SHUT_WR)
            while socket.socket.recv(sock, 65536):
                pass
            return False
    return True


class Peer:
    """A listening server; ``requests`` and ``connections`` count what it has seen."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="peer")]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """End every connection and thread; harmless when it has been called before."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), name="peer's connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._open.append(sock)
            if _shaken(sock):
                self._script(sock)
        sock.close()


class Street:
    """Servers with certificates of one authority; ``close`` ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.open(folder / "authority")
        self.ca_file = str(self.authority.ca_file)
        self._peers: list[Peer] = []

    def server(self, script: Script, *, credentials: Credentials | None = None, mutual: bool = False) -> Peer:
        """Start a TLS server; ``mutual``: it demands a certificate of the authority."""
        credentials = credentials or self.authority.issue("server", self.folder, hosts=["127.0.0.1", "localhost"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
        if mutual:
            context.load_verify_locations(self.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return self.started(Peer(script, context))

    def plain(self, script: Script) -> Peer:
        """Start a server without TLS."""
        return self.started(Peer(script))

    def started(self, peer: Peer) -> Peer:
        """Take ``peer`` among those that are closed at the end."""
        self._peers.append(peer)
        return peer

    def close(self) -> None:
        for peer in self._peers:
            peer.close()


def tunnel(sock: socket.socket, port: int) -> None:
    """Carry bytes between ``sock`` and a port on loopback until either side closes."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as other:
        back = threading.Thread(target=_carry, args=(other, sock), name="tunnel back")
        back.start()
        _carry(sock, other)
        back.join(PATIENCE_S)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
