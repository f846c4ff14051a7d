"""Cuts a stream of bytes into packets, reading no more than a packet may have. Source: OASIS MQTT 5.0, 2.1."""

from __future__ import annotations

from typing import Protocol

from thingmeter.sandbox.errors import MalformedPacket
from thingmeter.sandbox.packets import Reason


class ByteSource(Protocol):
    """Where bytes come from, such as a TlsChannel."""

    async def readexactly(self, count: int, /) -> bytes:
        """Return the next ``count`` bytes, or raise asyncio.IncompleteReadError."""


async def read_frame(reader: ByteSource, maximum_bytes: int) -> tuple[int, bytes]:
    """Return the first byte of the next packet and what follows its length.

    Raises:
        MalformedPacket: the length is no length, or the packet longer than ``maximum_bytes``; its rest is not read.
        asyncio.IncompleteReadError: the stream ended.
    """
    first_byte = (await reader.readexactly(1))[0]
    length = 0
    for position in range(4):
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << 7 * position
        if not byte & 0x80:
            break
    else:
        raise MalformedPacket("the length of a packet is longer than four bytes")
    if length > maximum_bytes:
        raise MalformedPacket(f"a packet of {length} bytes", reason=Reason.PACKET_TOO_LARGE)
    return first_byte, await reader.readexactly(length)
