"""Every SQL statement on rows. A method is a statement or two; transactions and meaning belong to the callers.

The id of a row is the number of its destination and its sequence number packed into one integer, so that "the next
message", "all up to this one" and "the oldest" are ends and ranges of the one B-tree, and no second index is written.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from thingmeter.outbox.messages import NEVER, Message, SetAside
from thingmeter.outbox.tallies import Tally

Table: TypeAlias = Literal["message", "set_aside"]

SEQ_BITS = 40  # a thousand messages a second for 34 years
LAST_SEQ = (1 << SEQ_BITS) - 1
MICROSECOND = timedelta(microseconds=1)
REASON_LENGTH = 1000  # an answer quoted in a reason may be of any length


class Damaged(Exception):
    """The file can't be what was written; its message says why. Seen inside this package only.

    ``connection`` is open still where the file was found damaged as it was opened, and there is something to read.
    """

    def __init__(self, why: str, connection: sqlite3.Connection | None = None) -> None:
        super().__init__(why)
        self.connection = connection


@dataclass(frozen=True, slots=True)
class Head:
    """The oldest row of a destination: all of it but what it says."""

    seq: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Removed:
    """What a delete took away: the sequence numbers in order, and the payload bytes."""

    seqs: list[int]
    bytes: int


@dataclass(frozen=True, slots=True)
class Row:
    """A stored message; ``sound`` is False where its bytes no longer match their checksum."""

    message: Message
    sound: bool


class Store:
    """The rows behind one connection. Not thread-safe. Every method raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute

    def insert(self, number: int, message: Message) -> None:
        """Add a message to those that wait."""
        values = (_pack(number, message.seq), _micros(message.created), _checksum(message))
        self._run("INSERT INTO message VALUES (?, ?, ?, ?, ?)", (*values, message.key, message.payload))

    def insert_set_aside(self, number: int, entry: SetAside, *, sound: bool = True) -> None:
        """Add a message to those set aside; one that is not ``sound`` keeps a checksum that can't match."""
        message = entry.message
        checksum = _checksum(message) if sound else -1
        values = (_pack(number, message.seq), _micros(message.created), checksum, _micros(entry.at))
        texts = (entry.reason[:REASON_LENGTH], message.key, message.payload)
        self._run("INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, *texts))

    def remove(self, table: Table, number: int, first: int, last: int) -> Removed:
        """Delete the rows of one destination from sequence number ``first`` to ``last``, both included."""
        bounds = (_pack(number, first), _pack(number, last))
        found = self._run(_SIZES[table], bounds).fetchall()
        if found:
            self._run(_DELETE[table], bounds)
        return Removed([row[0] & LAST_SEQ for row in found], sum(row[1] or 0 for row in found))

    def head(self, table: Table, number: int) -> Head | None:
        """Return the oldest row of a destination."""
        row = self._run(_HEAD[table], _whole(number)).fetchone()
        return Head(row[0] & LAST_SEQ, _moment(row[1])) if row else None

    def last_seq(self, number: int) -> int:
        """Return the sequence number of the newest message that waits, 0 without one."""
        row = self._run(_LAST, _whole(number)).fetchone()
        return row[0] & LAST_SEQ if row else 0

    def messages(self, tally: Tally, limit: int, *, newest_first: bool = False) -> Iterator[Row]:
        """Yield at most ``limit`` (negative: all) messages of a destination that wait, in order or against it."""
        query = _NEWEST_FIRST if newest_first else _IN_ORDER
        for row_id, created, checksum, key, payload in self._run(query, (*_whole(tally.number), limit)):
            message = _message(tally, row_id, created, key, payload)
            yield Row(message, _checksum(message) == checksum)

    def set_aside(self, tally: Tally, limit: int) -> list[SetAside]:
        """Return at most ``limit`` (negative: all) messages of a destination that were set aside, oldest first."""
        return [
            SetAside(_message(tally, row_id, created, key, payload), reason, _moment(at))
            for row_id, created, at, reason, key, payload in self._run(_SET_ASIDE, (*_whole(tally.number), limit))
        ]

    def tallies(self) -> list[Tally]:
        """Return the tally of every destination."""
        return [Tally(*row) for row in self._run("SELECT * FROM destination")]

    def write_tally(self, tally: Tally) -> None:
        """Write the tally of one destination."""
        self._run(_WRITE_TALLY, astuple(tally))

    def state(self, name: str) -> bytes | None:
        """Return one small durable value."""
        row = self._run("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def states(self) -> dict[str, bytes]:
        """Return every small durable value."""
        return dict(self._run("SELECT name, value FROM state"))

    def write_state(self, state: Mapping[str, bytes]) -> None:
        """Write small durable values, each in the place of the one of its name."""
        for name, value in state.items():
            self._run("REPLACE INTO state VALUES (?, ?)", (name, value))

    def definition(self, table: str) -> str | None:
        """Return the statement that made ``table``, None without such a table."""
        row = self._run("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
        return row[0] if row else None

    def pragma(self, name: str) -> int:
        """Return a number that SQLite knows: ``page_count``, ``freelist_count``."""
        return int(self._run(f"PRAGMA {name}").fetchone()[0])

    def shrink(self, pages: int) -> None:
        """Give ``pages`` unused pages of the file back to the file system."""
        for _ in range(pages):
            self._run("PRAGMA incremental_vacuum(1)")  # of a larger number Python's sqlite3 runs the first step only


def _pack(number: int, seq: int) -> int:
    return number << SEQ_BITS | min(seq, LAST_SEQ)


def _whole(number: int) -> tuple[int, int]:
    return _pack(number, 0), _pack(number, LAST_SEQ)


def _checksum(message: Message) -> int:
    frame = f"{message.seq} {_micros(message.created)} {message.key}"
    return zlib.crc32(message.payload, zlib.crc32(frame.encode()))


def _micros(at: datetime) -> int:
    return (at - NEVER) // MICROSECOND


def _moment(micros: object) -> datetime:
    try:
        return NEVER + micros * MICROSECOND if isinstance(micros, int) else NEVER  # a damaged row may say anything
    except OverflowError:
        return NEVER


def _message(tally: Tally, row_id: int, created: object, key: object, payload: object) -> Message:
    """Build a message of a row, whatever a damaged row says; its checksum tells them apart."""
    key = key if isinstance(key, str) else ""
    payload = payload if isinstance(payload, bytes) else b""
    return Message(tally.destination, key, payload, row_id & LAST_SEQ, _moment(created))


_SIZES: dict[Table, str] = {
    "message": "SELECT id, LENGTH(payload) FROM message WHERE id BETWEEN ? AND ?",
    "set_aside": "SELECT id, LENGTH(payload) FROM set_aside WHERE id BETWEEN ? AND ?",
}
_DELETE: dict[Table, str] = {
    "message": "DELETE FROM message WHERE id BETWEEN ? AND ?",
    "set_aside": "DELETE FROM set_aside WHERE id BETWEEN ? AND ?",
}
_HEAD: dict[Table, str] = {
    "message": "SELECT id, created FROM message WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1",
    "set_aside": "SELECT id, created FROM set_aside WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1",
}
_LAST = "SELECT id FROM message WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
_IN_ORDER = "SELECT id, created, checksum, key, payload FROM message WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
_NEWEST_FIRST = (
    "SELECT id, created, checksum, key, payload FROM message WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
)
_SET_ASIDE = "SELECT id, created, at, reason, key, payload FROM set_aside WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
_WRITE_TALLY = "REPLACE INTO destination VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
