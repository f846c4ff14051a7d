"""What an HTTP library needs of a connection, over the sandbox's own TLS.

asyncio's own TLS drops the alert that tells a client why its certificate was refused, see ``sandbox/tls.py``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from thingmeter.sandbox.tls import LINGER_S, TlsChannel

CLIENT = "client"  # the extra information that is the common name in the client's certificate


class HttpChannel(TlsChannel):
    """A TLS channel that can be read as it comes."""

    async def read(self) -> bytes:
        """Return what the client sent; nothing at the end of the connection.

        Raises:
            OSError: the connection broke.
        """
        if not self._plain and not await self._read_some():
            return b""
        taken = bytes(self._plain)
        self._plain.clear()
        return taken


class HttpTransport(asyncio.Transport):
    """The asyncio side of a channel.

    Args:
        channel: after its handshake.
        patience: of whoever reads the channel; it ends a second after ``close``.
        extra: what ``get_extra_info`` knows.
    """

    def __init__(self, channel: HttpChannel, patience: asyncio.Timeout, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._channel = channel
        self._patience = patience
        self._readable = asyncio.Event()
        self._readable.set()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; never blocks."""
        if data:
            self._channel.write(bytes(data))

    def close(self) -> None:
        """Send what was written and TLS's goodbye; the client has a second to say its own."""
        if not self._channel.is_closed:
            self._channel.close()
            self._patience.reschedule(asyncio.get_running_loop().time() + LINGER_S)

    def abort(self) -> None:
        """Close the socket at once."""
        self._channel.abort()

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        return self._channel.is_closed

    def pause_reading(self) -> None:
        """Let the client wait until ``resume_reading``."""
        self._readable.clear()

    def resume_reading(self) -> None:
        """Read on."""
        self._readable.set()

    async def until_readable(self) -> None:
        """Wait while reading is paused."""
        await self._readable.wait()
