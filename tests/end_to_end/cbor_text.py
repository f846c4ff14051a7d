"""CBOR read byte by byte, so that what may not stand in a report is seen: tags, indefinite lengths, twisted integers.

Independent of every CBOR library, and of the agent. Source: RFC 8949, section 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
LENGTHS = {24: 1, 25: 2, 26: 4, 27: 8}  # of the argument that follows the first byte
SHORTEST = {1: 24, 2: 0x100, 4: 0x10000, 8: 0x1_0000_0000}  # what an argument of so many bytes must not be below
FLOATS = {2: ">e", 4: ">f", 8: ">d"}
CONSTANTS = {20: False, 21: True, 22: None}


class Malformed(Exception):
    """Not CBOR, or CBOR that a report must not use."""


def read(payload: bytes) -> object:
    """Return the one item in ``payload``.

    Raises:
        Malformed: as above, or something follows the item.
    """
    reader = _Reader(payload)
    try:
        item = reader.item()
    except (struct.error, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error
    if reader.rest():
        raise Malformed(f"{reader.rest()} bytes follow the report")
    return item


class _Reader:
    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def rest(self) -> int:
        return len(self._payload) - self._at

    def item(self) -> object:
        (first,) = self._take(1)
        major, low = first >> 5, first & 0x1F
        if major == SIMPLE:
            return self._simple(low)
        argument = self._argument(low)
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 3:
                return self._take(argument).decode()
            case 4:
                return [self.item() for _ in range(argument)]
            case 5:
                return self._map(argument)
            case 2:
                raise Malformed("a byte string")
            case _:
                raise Malformed(f"tag {argument}")

    def _map(self, members: int) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in self._members(members):
            if not isinstance(key, str):
                raise Malformed(f"key {key!r} is no text")
            if key in found:
                raise Malformed(f"key {key!r} stands twice")
            found[key] = value
        return found

    def _members(self, members: int) -> Iterator[tuple[object, object]]:
        for _ in range(members):
            yield self.item(), self.item()

    def _simple(self, low: int) -> object:
        if low in CONSTANTS:
            return CONSTANTS[low]
        size = LENGTHS.get(low, 0)
        if size not in FLOATS:
            raise Malformed(f"simple value {low}")
        return struct.unpack(FLOATS[size], self._take(size))[0]

    def _argument(self, low: int) -> int:
        if low < min(LENGTHS):
            return low
        if low not in LENGTHS:
            raise Malformed("an indefinite length")
        size = LENGTHS[low]
        argument = int.from_bytes(self._take(size), "big")
        if argument < SHORTEST[size]:
            raise Malformed(f"{argument} in {size} bytes")
        return argument

    def _take(self, size: int) -> bytes:
        taken = self._payload[self._at : self._at + size]
        if len(taken) < size:
            raise Malformed("it ends too early")
        self._at += size
        return taken
