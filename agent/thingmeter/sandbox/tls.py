"""The server's side of TLS over an asyncio stream.

asyncio's own TLS drops the alert that tells a client why its certificate was refused (seen with Python 3.11), and a
client is to be able to say why. So the handshake is done here, over the standard library's in-memory TLS object.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

from thingmeter.sandbox.authority import Credentials

ALPN = "x-amzn-mqtt-ca"
READ_BYTES = 65_536
HANDSHAKE_TIMEOUT_S = 10.0
LINGER_S = 1.0  # for the client to take what was written before the end


def tls_context(ca_file: Path, credentials: Credentials) -> ssl.SSLContext:
    """Return a server's context that asks every client for a certificate of the authority. TLS 1.2 or later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
    context.load_verify_locations(ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([ALPN])
    return context


class TlsChannel:
    """Plain bytes in and out of an accepted connection, once ``handshake`` has returned."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._plain = bytearray()
        self._closed = False

    async def handshake(self) -> str:
        """Return the common name in the client's certificate.

        Raises:
            ssl.SSLError: the handshake failed; an alert has told the client why, where TLS has one for it.
            TimeoutError: it took longer than 10 s.
            OSError: the connection broke.
        """
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    self._flush()
                    await self._receive()
                else:
                    break
                finally:
                    self._flush()
        certificate: Any = self._tls.getpeercert() or {}
        names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
        return str(names[0]) if names else ""

    async def readexactly(self, count: int) -> bytes:
        """Return the next ``count`` bytes.

        Raises:
            asyncio.IncompleteReadError: the client closed the connection before.
            OSError: the connection broke.
        """
        while len(self._plain) < count:
            if not await self._read_some():
                raise asyncio.IncompleteReadError(bytes(self._plain), count)
        taken = bytes(self._plain[:count])
        del self._plain[:count]
        return taken

    async def ignore_the_rest(self) -> None:
        """Take what the client sends until it closes the connection."""
        while await self._read_some():
            self._plain.clear()

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._closed or self._writer.is_closing()

    @property
    def unsent_bytes(self) -> int:
        """What was written and not yet taken by the system."""
        return self._writer.transport.get_write_buffer_size()

    def write(self, content: bytes) -> None:
        """Send bytes; never blocks."""
        if not self.is_closed:
            self._tls.write(content)
            self._flush()

    def close(self) -> None:
        """Send what was written and TLS's own goodbye, then nothing more; ``linger`` follows."""
        if self.is_closed:
            return
        self._closed = True
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()
        with contextlib.suppress(OSError):  # the client has reset the connection
            self._writer.write_eof()

    async def linger(self) -> None:
        """Wait a second for the client to close as well.

        Closing a socket with unread bytes resets the connection, and the client may lose what was sent last, such as
        the reason for the end.
        """
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while await self._reader.read(READ_BYTES):
                    pass

    def abort(self) -> None:
        """Close the socket at once."""
        self._writer.transport.abort()

    async def _read_some(self) -> bool:
        """Decrypt more; False at the end."""
        while True:
            try:
                content = self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                self._flush()
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return False
            else:
                self._plain += content
                return bool(content)

    async def _receive(self) -> None:
        encrypted = await self._reader.read(READ_BYTES)
        if encrypted:
            self._incoming.write(encrypted)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._writer.is_closing():
            self._writer.write(self._outgoing.read())


def describe(error: OSError) -> str:
    """Return what OpenSSL says without its file and line, or what the system says."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "the client closed the connection"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error) or "no answer in time"
