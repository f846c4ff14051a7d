"""The journal: samples that wait for the end of their window, as the caller encoded them.

The id of a row is its window and a sequence number packed into one integer, so that a window is deleted as one range.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from thingmeter.outbox.messages import JournalRow
from thingmeter.outbox.rows import compressed, plain

JOURNAL = "journal"  # in the place of a destination, where what was lost is told
UNSTAMPED = -1  # the window of samples taken before the clock was set
SEQ_BITS = 24  # a row a second in one window for half a year
LAST_WINDOW = 1 << 38  # the year 10680
LAST_ID = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class JournalDepth:
    """How many rows the journal has, and the bytes of their payloads as they are stored."""

    rows: int = 0
    bytes: int = 0

    def plus(self, rows: int, size: int) -> JournalDepth:
        """Return this depth with so much added."""
        return JournalDepth(max(self.rows + rows, 0), max(self.bytes + size, 0))


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it was found; ``sound`` is False where its bytes no longer match their checksum."""

    id: int
    row: JournalRow
    bytes: int
    sound: bool


@dataclass(frozen=True, slots=True)
class PackedRow:
    """A row as it will be stored; ``plain_bytes`` is the length of its payload where that was compressed."""

    row: JournalRow
    stored: bytes = field(repr=False)
    plain_bytes: int | None

    @classmethod
    def of(cls, row: JournalRow) -> PackedRow:
        """Return the row, compressed where that helps."""
        return cls(row, *compressed(row.payload))


class Journal:
    """The rows of the journal behind one connection. Not thread-safe. Every method raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute

    def append(self, packed: PackedRow) -> int:
        """Add a row as the newest of its window; return the bytes of its payload as they are stored.

        Raises:
            ValueError: no window begins then.
        """
        window = packed.row.window
        if not UNSTAMPED <= window < LAST_WINDOW:
            raise ValueError(f"no window begins at {window}")
        newest = self._run(_NEWEST, _window(window)).fetchone()
        return self._insert(newest[0] + 1 if newest else _window(window)[0] + 1, packed)

    def restore(self, stored: StoredRow) -> int:
        """Add a row of another file at the same place; return the bytes of its payload as they are stored."""
        return self._insert(stored.id, PackedRow.of(stored.row))

    def remove(self, window: int) -> JournalDepth:
        """Delete every row of ``window``; return how much that was."""
        return self.remove_between(*_window(window))

    def remove_between(self, first: int, last: int) -> JournalDepth:
        """Delete the rows from one id to another, both included; return how much that was."""
        rows, size = self._run(_SIZE, (first, last)).fetchone()
        if rows:
            self._run("DELETE FROM journal WHERE id BETWEEN ? AND ?", (first, last))
        return JournalDepth(rows, size or 0)

    def remove_row(self, row_id: int) -> None:
        """Delete one row."""
        self._run("DELETE FROM journal WHERE id = ?", (row_id,))

    def rows(self, *, newest_first: bool = False) -> Iterator[StoredRow]:
        """Yield every row, by window and, within one, in the order they were appended; or against that order."""
        return map(_stored_row, self._run(_NEWEST_FIRST if newest_first else _IN_ORDER))

    def some(self, after: int, window: int | None, size: int) -> list[StoredRow]:
        """Return rows behind the id ``after``, of one window or (None) all, up to ``size`` bytes: one row at least."""
        first, last = (0, LAST_ID) if window is None else _window(window)
        found = []
        for row in map(_stored_row, self._run(_BEHIND, (max(after, first), last))):
            found.append(row)
            size -= len(row.row.payload) + 1
            if size <= 0:
                break
        return found

    def _insert(self, row_id: int, packed: PackedRow) -> int:
        checksum = _checksum(row_id, packed.row.payload)
        self._run("INSERT INTO journal VALUES (?, ?, ?, ?)", (row_id, checksum, packed.plain_bytes, packed.stored))
        return len(packed.stored)


def _stored_row(columns: tuple[int, object, object, object]) -> StoredRow:
    row_id, checksum, plain_bytes, stored = columns
    payload = plain(stored, plain_bytes)
    size = len(stored) if isinstance(stored, bytes) else 0
    return StoredRow(
        row_id, JournalRow((row_id >> SEQ_BITS) - 1, payload), size, _checksum(row_id, payload) == checksum
    )


def _window(window: int) -> tuple[int, int]:
    first = window + 1 << SEQ_BITS  # UNSTAMPED is 0
    return first, first | (1 << SEQ_BITS) - 1


def _checksum(row_id: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(str(row_id).encode()))


_NEWEST = "SELECT id FROM journal WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
_SIZE = "SELECT COUNT(*), SUM(LENGTH(payload)) FROM journal WHERE id BETWEEN ? AND ?"
_BEHIND = "SELECT id, checksum, plain_bytes, payload FROM journal WHERE id > ? AND id <= ? ORDER BY id"
_IN_ORDER = "SELECT id, checksum, plain_bytes, payload FROM journal ORDER BY id"
_NEWEST_FIRST = "SELECT id, checksum, plain_bytes, payload FROM journal ORDER BY id DESC"
