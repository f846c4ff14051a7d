"""Every SQL statement on messages, counts and state. A method is a statement or two; meaning belongs to the callers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal, TypeAlias

from thingmeter.outbox import rows
from thingmeter.outbox.journal import JournalDepth
from thingmeter.outbox.messages import Message, SetAside
from thingmeter.outbox.rows import LAST_SEQ, Damaged, Row, Stake, micros, moment, pack, whole
from thingmeter.outbox.tallies import Tally

Table: TypeAlias = Literal["message", "set_aside"]

JOURNAL_DEPTH = "outbox.journal"  # the durable value that says how much is in the journal: "ROWS BYTES"
REASON_LENGTH = 1000  # an answer quoted in a reason may be of any length


@dataclass(frozen=True, slots=True)
class Head:
    """The oldest row of a destination: all of it but what it says."""

    seq: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Removed:
    """What a delete took away: the sequence numbers in order, the ledger's stake in each, and the payload bytes."""

    seqs: list[int]
    stakes: list[Stake | None]
    bytes: int


@dataclass(frozen=True, slots=True)
class AsideRow:
    """A stored message that was set aside; ``sound`` and ``stake`` as those of a ``Row``."""

    entry: SetAside
    sound: bool
    stake: Stake | None


class Store:
    """The rows behind one connection. Not thread-safe. Every method raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute

    def insert(self, number: int, message: Message, stake: Stake | None = None) -> int:
        """Add a message to those that wait; return the bytes of its payload as they are stored.

        One with a ``stake`` is compressed where that helps.
        """
        payload, plain_bytes = rows.compressed(message.payload) if stake else (message.payload, None)
        frame = (pack(number, message.seq), micros(message.created), rows.checksum(message, stake))
        tail = (*rows.stake_columns(stake), plain_bytes)
        self._run("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*frame, message.key, payload, *tail))
        return len(payload)

    def insert_set_aside(self, number: int, entry: SetAside, stake: Stake | None, *, sound: bool = True) -> int:
        """Add a message to those set aside, as ``insert`` does; one that is not ``sound`` can't match its checksum."""
        message = entry.message
        payload, plain_bytes = rows.compressed(message.payload) if stake else (message.payload, None)
        checksum = rows.checksum(message, stake) if sound else -1
        frame = (pack(number, message.seq), micros(message.created), checksum, micros(entry.at))
        tail = (message.key, payload, *rows.stake_columns(stake), plain_bytes)
        self._run(_INSERT_SET_ASIDE, (*frame, entry.reason[:REASON_LENGTH], *tail))
        return len(payload)

    def remove(self, table: Table, number: int, first: int, last: int) -> Removed:
        """Delete the rows of one destination from sequence number ``first`` to ``last``, both included.

        Raises:
            Damaged: the tree is out of order, so that others would go with them.
        """
        bounds = (pack(number, first), pack(number, last))
        found = self._run(_SIZES[table], bounds).fetchall()
        if found:
            self._run(_DELETE[table], bounds)
        seqs = [row[0] & LAST_SEQ for row in found]
        if any(later <= earlier for earlier, later in pairwise((first - 1, *seqs, last + 1))):
            raise Damaged(f"rows {first} to {last} of destination {number} are out of order")
        stakes = [rows.stake_from(day, amount) for _, _, day, amount in found]
        return Removed(seqs, stakes, sum(row[1] or 0 for row in found))

    def head(self, table: Table, number: int) -> Head | None:
        """Return the oldest row of a destination."""
        row = self._run(_HEAD[table], whole(number)).fetchone()
        return Head(row[0] & LAST_SEQ, moment(row[1])) if row else None

    def last_seq(self, number: int) -> int:
        """Return the sequence number of the newest message that waits, 0 without one."""
        row = self._run(_LAST, whole(number)).fetchone()
        return row[0] & LAST_SEQ if row else 0

    def messages(self, tally: Tally, limit: int, *, newest_first: bool = False) -> Iterator[Row]:
        """Yield at most ``limit`` (negative: all) messages of a destination that wait, in order or against it."""
        query = _NEWEST_FIRST if newest_first else _IN_ORDER
        for row_id, created, checksum, *content in self._run(query, (*whole(tally.number), limit)):
            yield _row(tally, row_id, created, checksum, content)

    def set_aside(
        self, tally: Tally, limit: int, *, first: int = 0, last: int = LAST_SEQ, newest_first: bool = False
    ) -> Iterator[AsideRow]:
        """Yield at most ``limit`` (negative: all) messages of a destination that were set aside, oldest first.

        ``first`` and ``last`` are the sequence numbers between which they are.
        """
        query = _SET_ASIDE_NEWEST_FIRST if newest_first else _SET_ASIDE
        bounds = (pack(tally.number, first), pack(tally.number, last))
        for row_id, created, checksum, at, reason, *content in self._run(query, (*bounds, limit)):
            row = _row(tally, row_id, created, checksum, content)
            yield AsideRow(SetAside(row.message, reason, moment(at)), row.sound, row.stake)

    def set_aside_seqs(self, number: int) -> list[int]:
        """Return the sequence numbers of all messages of a destination that were set aside, in order."""
        query = "SELECT id FROM set_aside WHERE id BETWEEN ? AND ? ORDER BY id"
        return [row[0] & LAST_SEQ for row in self._run(query, whole(number))]

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

    def journal_depth(self) -> JournalDepth:
        """Return how much is in the journal.

        Raises:
            Damaged: that can't be what was written.
        """
        words = (self.state(JOURNAL_DEPTH) or b"0 0").split()
        if len(words) != 2 or not all(word.isdigit() for word in words):  # noqa: PLR2004  # rows and bytes
            raise Damaged("how much is in the journal is not as it was written")
        return JournalDepth(int(words[0]), int(words[1]))

    def write_journal_depth(self, depth: JournalDepth) -> None:
        """Write how much is in the journal."""
        self.write_state({JOURNAL_DEPTH: f"{depth.rows} {depth.bytes}".encode()})

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


def _row(tally: Tally, row_id: int, created: object, checksum: object, content: list[object]) -> Row:
    """Build a message of a row, whatever a damaged row says; its checksum tells them apart."""
    key, stored, day, amount, plain_bytes = content
    key = key if isinstance(key, str) else ""
    payload = rows.plain(stored, plain_bytes)
    message = Message(tally.destination, key, payload, row_id & LAST_SEQ, moment(created))
    stake = rows.stake_from(day, amount)
    sound = rows.checksum(message, stake) == checksum
    return Row(message, sound, stake if sound else None)


_SIZES: dict[Table, str] = {
    "message": "SELECT id, LENGTH(payload), day, amount FROM message WHERE id BETWEEN ? AND ?",
    "set_aside": "SELECT id, LENGTH(payload), day, amount FROM set_aside WHERE id BETWEEN ? AND ?",
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
_IN_ORDER = (
    "SELECT id, created, checksum, key, payload, day, amount, plain_bytes"
    " FROM message WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
)
_NEWEST_FIRST = (
    "SELECT id, created, checksum, key, payload, day, amount, plain_bytes"
    " FROM message WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
)
_SET_ASIDE = (
    "SELECT id, created, checksum, at, reason, key, payload, day, amount, plain_bytes"
    " FROM set_aside WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
)
_SET_ASIDE_NEWEST_FIRST = (
    "SELECT id, created, checksum, at, reason, key, payload, day, amount, plain_bytes"
    " FROM set_aside WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
)
_INSERT_SET_ASIDE = "INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WRITE_TALLY = "REPLACE INTO destination VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
