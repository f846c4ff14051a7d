"""How rows are spelled: ids, times, checksums, compressed payloads. Pure.

The id of a row is the number of its destination (of the journal: its window) and a sequence number packed into one
integer, so that "the next message", "all up to this one" and "the oldest" are ends and ranges of the one B-tree, and no
second index is written.
"""

from __future__ import annotations

import math
import sqlite3
import zlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from thingmeter.outbox.messages import NEVER, Entry, Message

SEQ_BITS = 40  # a thousand messages a second for 34 years
LAST_SEQ = (1 << SEQ_BITS) - 1
MICROSECOND = timedelta(microseconds=1)
COMPRESS_ABOVE_BYTES = 1024
LARGEST_INTEGER = (1 << 63) - 1  # that SQLite stores as one; a larger amount becomes text


class Damaged(Exception):
    """The file can't be what was written; its message says why. Seen inside this package only.

    ``connection`` is open still where the file was found damaged as it was opened, and there is something to read.
    """

    def __init__(self, why: str, connection: sqlite3.Connection | None = None) -> None:
        super().__init__(why)
        self.connection = connection


@dataclass(frozen=True, slots=True)
class Stake:
    """What the ledger counts a message under: the day of the usage in it, and how much that is."""

    day: date
    amount: int | float


@dataclass(frozen=True, slots=True)
class Row:
    """A stored message; ``sound`` is False where its bytes no longer match their checksum: ``stake`` is None then."""

    message: Message
    sound: bool
    stake: Stake | None


def stake_of(entry: Entry) -> Stake | None:
    """Return what the ledger counts ``entry`` under.

    Raises:
        ValueError: its amount is no finite number.
    """
    if entry.day is None:
        return None
    if isinstance(entry.amount, int):
        return Stake(entry.day, int(entry.amount))  # of True as well
    if not math.isfinite(entry.amount):
        raise ValueError(f"{entry.key}: an amount of {entry.amount} can't be counted")
    return Stake(entry.day, entry.amount or 0)  # SQLite keeps no -0.0


def pack(number: int, seq: int) -> int:
    """Return the id of row ``seq`` of destination ``number``."""
    return number << SEQ_BITS | min(seq, LAST_SEQ)


def whole(number: int) -> tuple[int, int]:
    """Return the first and the last id that rows of destination ``number`` can have."""
    return pack(number, 0), pack(number, LAST_SEQ)


def micros(at: datetime) -> int:
    """Return ``at`` as a column has it: microseconds since 1970."""
    return (at - NEVER) // MICROSECOND


def moment(stored: object) -> datetime:
    """Return the time that a column says; a damaged one may say anything."""
    try:
        return NEVER + stored * MICROSECOND if isinstance(stored, int) else NEVER
    except OverflowError:
        return NEVER


def checksum(message: Message, stake: Stake | None) -> int:
    """Return the checksum over everything that must not change; the payload is taken as it is sent."""
    frame = f"{message.seq} {micros(message.created)} {message.key}"
    if stake:
        frame += f" {stake.day.toordinal()} {stake.amount!r}"
    return zlib.crc32(message.payload, zlib.crc32(frame.encode()))


def stake_columns(stake: Stake | None) -> tuple[int | None, int | float | str | None]:
    """Return ``stake`` as its two columns have it."""
    if stake is None:
        return None, None
    large = isinstance(stake.amount, int) and abs(stake.amount) > LARGEST_INTEGER
    return stake.day.toordinal(), str(stake.amount) if large else stake.amount


def stake_from(day: object, amount: object) -> Stake | None:
    """Return the stake that two columns say, None where they say nothing that makes sense."""
    if not isinstance(day, int):
        return None
    try:
        return Stake(date.fromordinal(day), amount if isinstance(amount, (int, float)) else int(str(amount)))
    except (ValueError, OverflowError):
        return None


def compressed(payload: bytes) -> tuple[bytes, int | None]:
    """Return ``payload`` as it is stored, and its own length where that is shorter than it was; else None."""
    if len(payload) <= COMPRESS_ABOVE_BYTES:
        return payload, None
    packed = zlib.compress(payload, 6)
    return (packed, len(payload)) if len(packed) < len(payload) else (payload, None)


def plain(stored: object, plain_bytes: object) -> bytes:
    """Return the payload of a row; of a damaged one something that fails its checksum."""
    if not isinstance(stored, bytes):
        return b""
    if plain_bytes is None:
        return stored
    if not isinstance(plain_bytes, int) or plain_bytes < 0:
        return b""
    try:
        return zlib.decompressobj().decompress(stored, plain_bytes + 1)  # bounded, whatever a damaged row says
    except (zlib.error, OverflowError, MemoryError):
        return b""
