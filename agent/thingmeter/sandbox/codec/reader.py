"""Takes fields off the front of a packet's body.

Properties are unpacked by paho, which raises many kinds of errors over garbage and reads past the end of the
properties; it is therefore given exactly their bytes, and never more than 8 KB of them.
"""

from __future__ import annotations

import struct

from paho.mqtt import MQTTException
from paho.mqtt.properties import Properties

from thingmeter.sandbox.errors import MalformedPacket
from thingmeter.sandbox.packets import Reason

MAXIMUM_PROPERTIES_BYTES = 8192  # AWS IoT Core's bound for user properties; unpacking is quadratic in their number


class Reader:
    """Takes fields off the front of a packet's body; every field that is not there is a MalformedPacket."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def ended(self) -> bool:
        """Whether every byte has been taken."""
        return self._at >= len(self._body)

    def expect_end(self) -> None:
        """Refuse bytes that are left over."""
        if not self.ended:
            raise MalformedPacket("bytes behind the end of the packet")

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        taken = self._body[self._at : self._at + count]
        if len(taken) != count:
            raise MalformedPacket("the packet ends too early")
        self._at += count
        return taken

    def rest(self) -> bytes:
        """Return all that is left, perhaps nothing."""
        return self.take(len(self._body) - self._at)

    def byte(self) -> int:
        """Return one byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """Return a Two Byte Integer."""
        return int.from_bytes(self.take(2), "big")

    def packet_id(self) -> int:
        """Return a packet identifier, which is never 0."""
        packet_id = self.number()
        if packet_id == 0:
            raise MalformedPacket("packet identifier 0", reason=Reason.PROTOCOL_ERROR)
        return packet_id

    def binary(self) -> bytes:
        """Return Binary Data."""
        return self.take(self.number())

    def text(self) -> str:
        """Return a UTF-8 Encoded String."""
        try:
            text = self.binary().decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedPacket("a string is not UTF-8") from error
        if "\0" in text:
            raise MalformedPacket("a string contains U+0000")
        return text

    def properties(self, packet_type: int) -> Properties:
        """Return the properties, those of the given packet type only."""
        start = self._at
        length = self._variable_byte_integer()
        if length > MAXIMUM_PROPERTIES_BYTES:
            raise MalformedPacket(f"{length} bytes of properties", reason=Reason.PACKET_TOO_LARGE)
        self.take(length)
        properties = Properties(packet_type)  # type: ignore[no-untyped-call]
        try:
            properties.unpack(self._body[start : self._at])  # type: ignore[no-untyped-call]
        except (MQTTException, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
            raise MalformedPacket(f"properties: {error!r}") from error
        return properties

    def _variable_byte_integer(self) -> int:
        value = 0
        for position in range(4):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * position
            if not byte & 0x80:
                return value
        raise MalformedPacket("a variable byte integer is longer than four bytes")
