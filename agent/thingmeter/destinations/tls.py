"""TLS to a control plane, and the time limit of an exchange, which every read and write on the way to it keeps.

A timeout of a socket begins anew with each byte that arrives, so a peer that sends one byte a second could hold an
exchange for ever. Here all sockets of an exchange share one ``Progress``, and each operation gets what is left of its
time. Name resolution alone is outside of it: the C library has its own limits (resolv.conf(5)).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from thingmeter.errors import Denied

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

Stage: TypeAlias = Literal["ready", "reach", "tunnel", "handshake", "sent"]
"""ready: nothing done yet, a connection may stand. reach: resolving and connecting. tunnel: asking the proxy for a way
to the service. handshake: TLS. sent: from the first byte of the request on."""


class Progress:
    """How far the exchange in hand has come, and how long it may still go on.

    Args:
        monotonic: returns seconds that never step.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.stage: Stage = "ready"
        self._monotonic = monotonic
        self._ends_at = 0.0

    def begin(self, timeout_s: float) -> None:
        """Start an exchange that may take ``timeout_s`` seconds."""
        self.stage = "ready"
        self._ends_at = self._monotonic() + timeout_s

    def left_s(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises:
            TimeoutError: none.
        """
        left = self._ends_at - self._monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class ClientContext(ssl.SSLContext):
    """TLS 1.2 or later with the server's certificate and name checked; made by ``client_context``.

    Attributes:
        progress: of the exchange that uses its connections.
        outer: whether it is for the way to an HTTPS proxy, not for the service behind it.
    """

    progress: Progress
    outer: bool

    def wrap_socket(self, sock: socket.socket, *args: Any, **named: Any) -> ssl.SSLSocket:
        """Return a connection after its handshake, which as a whole keeps the time limit."""
        if not self.outer:
            self.progress.stage = "handshake"
        sock.settimeout(self.progress.left_s())
        return super().wrap_socket(sock, *args, **named)


class _TlsSocket(ssl.SSLSocket):
    """Made by ``ClientContext``, whose time it keeps."""

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        self._keep_time()
        return super().recv_into(buffer, nbytes, flags)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        self._keep_time()
        return super().recv(buflen, flags)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        self._keep_time()
        return super().send(data, flags)

    def _keep_time(self) -> None:
        if isinstance(self.context, ClientContext):
            self.settimeout(self.context.progress.left_s())


class _PlainSocket(socket.socket):
    """The connection below TLS: what is said to a proxy before the tunnel stands."""

    progress: Progress

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(self.progress.left_s())
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        self.settimeout(self.progress.left_s())  # for all of it, not for each part
        super().sendall(data, flags)


def connected(host: str, port: int, progress: Progress) -> socket.socket:
    """Return a TCP connection to the first address of ``host`` that takes one.

    Each address gets its share of the time, so that a dead one does not use up what those behind it need.

    Raises:
        OSError: the name can't be resolved, or why the last address failed.
        UnicodeError: the name can't be one.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            sock = _PlainSocket(family, kind, protocol)
        except OSError as error:  # a family that this kernel lacks
            failure = error
            continue
        try:
            sock.progress = progress
            sock.settimeout(progress.left_s() / (len(addresses) - number))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def client_context(
    progress: Progress,
    *,
    ca_file: str = "",
    certificate_file: str = "",
    private_key_file: str = "",
    outer: bool = False,
) -> ClientContext:
    """Return a context that has read its files now.

    Args:
        progress: of the exchanges that will use it.
        ca_file: the authorities to trust instead of the system's; empty: the system's.
        certificate_file: our own certificate, for mutual TLS; empty: none.
        private_key_file: its key.
        outer: whether it is for the way to an HTTPS proxy.

    Raises:
        Denied: a file is missing, unreadable or holds something else; stays so until it is replaced.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)  # demands a valid certificate and checks the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    context.progress = progress
    context.outer = outer
    if ca_file:
        _load(ca_file, "certificates of authorities", lambda: context.load_verify_locations(cafile=ca_file))
    else:
        context.load_default_certs()
    if certificate_file:
        both = f"{certificate_file} and {private_key_file}"
        what = "a certificate and its key without passphrase"
        _load(both, what, lambda: context.load_cert_chain(certificate_file, private_key_file, password=_no_passphrase))
    return context


class _PassphraseError(ValueError):
    """OpenSSL has asked for a passphrase."""


def _no_passphrase() -> str:
    raise _PassphraseError("protected by a passphrase")  # without this OpenSSL would ask on the terminal, and wait


def _load(shown: str, what: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError) as error:
        reason = (error.reason if isinstance(error, ssl.SSLError) else "") or str(error)
        message = f"{shown} must hold {what}, in PEM: {reason.replace('_', ' ').lower()}"
        raise Denied(message) from error
    except OSError as error:
        raise Denied(f"cannot read {shown}: {error.strerror or error}") from error
