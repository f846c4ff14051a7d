"""A strict CBOR reader for reports: text keys, definite lengths, no tags, no byte strings. Source: RFC 8949.

Written out here, not taken from a library: what the agent's library writes and reads alike would go unnoticed.
"""

from __future__ import annotations

import math
import struct
from decimal import Decimal

from thingmeter.sandbox.defender.tree import MAXIMUM_DEPTH, Node, show
from thingmeter.sandbox.errors import Undecodable

UNSIGNED, NEGATIVE, BYTES, TEXT, LIST, MAP, TAG, SIMPLE = range(8)
FALSE, TRUE, NULL = 20, 21, 22
LARGEST_IMMEDIATE = 23
LARGEST_LENGTH_CODE = 27
INDEFINITE = 31
FLOATS = {25: ">e", 26: ">f", 27: ">d"}


def read_cbor(payload: bytes) -> Node:
    """Return what the CBOR item says.

    Raises:
        Undecodable: it is not one item of CBOR, or uses what Device Defender is not known to take.
    """
    reader = _CborReader(payload)
    root = reader.item(depth=0)
    if reader.left:
        raise Undecodable(f"{reader.left} bytes behind the end of the report")
    return root


class _CborReader:
    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._payload) - self._at

    def item(self, *, depth: int) -> Node:
        if depth > MAXIMUM_DEPTH:
            raise Undecodable("nested too deeply")
        first = self._take(1)[0]
        major, code = first >> 5, first & 0x1F
        if code == INDEFINITE:
            raise Undecodable(f"an indefinite length at byte {self._at - 1}", rule="definite-length")
        if major == SIMPLE:
            return self._simple(code)
        argument = self._argument(code)
        match major:
            case 0:  # unsigned
                return argument
            case 1:
                return -1 - argument
            case 3:
                return self._text(argument)
            case 4:
                return self._list(argument, depth)
            case 5:
                return self._map(argument, depth)
            case 2:
                raise Undecodable("a byte string", rule="type")
            case _:
                raise Undecodable(f"the tag {argument}", rule="tag")

    def _take(self, count: int) -> bytes:
        if count > self.left:
            raise Undecodable("the report ends too early")
        self._at += count
        return self._payload[self._at - count : self._at]

    def _argument(self, code: int) -> int:
        if code <= LARGEST_IMMEDIATE:
            return code
        if code > LARGEST_LENGTH_CODE:
            raise Undecodable(f"the reserved code {code} at byte {self._at - 1}")
        return int.from_bytes(self._take(1 << code - LARGEST_IMMEDIATE - 1), "big")

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Undecodable("a text is not UTF-8") from error

    def _list(self, length: int, depth: int) -> Node:
        if length > self.left:
            raise Undecodable("the report ends too early")
        return [self.item(depth=depth + 1) for _ in range(length)]

    def _map(self, length: int, depth: int) -> Node:
        if length > self.left:
            raise Undecodable("the report ends too early")
        found: dict[str, Node] = {}
        for _ in range(length):
            key = self.item(depth=depth + 1)
            if not isinstance(key, str):
                raise Undecodable(f"the key {show(key)} is no text", rule="text-key")
            if key in found:
                raise Undecodable(f"the key {show(key)} stands twice in one map", rule="duplicate-key")
            found[key] = self.item(depth=depth + 1)
        return found

    def _simple(self, code: int) -> Node:
        if code in FLOATS:
            layout = FLOATS[code]
            value: float = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
            if not math.isfinite(value):
                raise Undecodable(f"{value} is not finite", rule="finite")
            return Decimal(repr(value))
        if code in {FALSE, TRUE}:
            return code == TRUE
        if code == NULL:
            return None
        raise Undecodable(f"the simple value {code}", rule="type")
