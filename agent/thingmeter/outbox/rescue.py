"""Copies what can still be read of a damaged outbox into a new one.

A damaged page hides the rows on it, or a whole branch of the tree. So each queue is read twice: from the oldest row up
to the damage, and from the newest down to it. A row whose bytes don't match their checksum is left behind. What is not
found again is counted: of messages as ``dropped_damage``, in the ledger as dropped.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import TypeVar

from thingmeter.outbox.journal import JOURNAL, JournalDepth
from thingmeter.outbox.ledger import Ledger, by_day
from thingmeter.outbox.messages import Count
from thingmeter.outbox.rows import Damaged
from thingmeter.outbox.store import Store
from thingmeter.outbox.tallies import DROPPED, Tallies, Tally
from thingmeter.outbox.transaction import File

DAMAGED_COUNT = "outbox.damaged"  # the durable value that counts the files replaced so far
CHUNK_ROWS = 256  # in one transaction: bounds the log of the new file

# What reading garbage as a row raises: SQLite's own errors, and ours on values that make no sense.
_UNREADABLE = (sqlite3.Error, ValueError, TypeError, OverflowError, AttributeError, ZeroDivisionError, Damaged)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Rescue:
    """From where to where, and when; the new file is ``new``."""

    source: File
    target: File
    new: sqlite3.Connection
    now: datetime

    def copy_everything(self, known: Tallies | None, *, with_messages: bool) -> None:
        """Copy state, counts and, ``with_messages``, the rows of messages and journal."""
        self.new.execute("BEGIN")
        state = _readable_state(self.source.store)
        counted = state.get(DAMAGED_COUNT, b"")
        replaced = 1 + (int(counted) if counted.isdigit() else 0)
        self.target.store.write_state({**state, DAMAGED_COUNT: str(replaced).encode()})
        with contextlib.suppress(*_UNREADABLE):
            for loss in list(self.source.losses.rows()):
                self.target.losses.append(loss)
        for tally in list(known.by_destination.values()) if known else _readable_tallies(self.source.store):
            self._copy_destination(tally, with_messages=with_messages)
        self._copy_journal(known.journal if known else _readable_depth(self.source.store), with_rows=with_messages)
        self.new.execute("COMMIT")

    def _copy_destination(self, tally: Tally, *, with_messages: bool) -> None:
        copied = replace(tally, waiting=0, waiting_bytes=0, set_aside=0, set_aside_bytes=0)
        if with_messages:
            copied = self._copy_waiting(copied)
            copied = self._copy_set_aside(copied)
        copied = _balanced(copied)
        self.target.store.write_tally(copied)
        lost = self._copy_ledger(copied)
        lost = replace(lost, points=max(lost.points, copied.dropped_damage - tally.dropped_damage))
        if lost.points:
            self.target.losses.add(tally.destination, "damage", lost, self.now)

    def _copy_waiting(self, tally: Tally) -> Tally:
        found = _from_both_ends(
            lambda *, newest_first: self.source.store.messages(tally, -1, newest_first=newest_first),
            lambda row: row.message.seq if row.sound else None,
        )
        rows, size, last_seq = 0, 0, tally.last_seq
        for row in self._in_chunks(found):
            rows, last_seq = rows + 1, max(last_seq, row.message.seq)
            size += self.target.store.insert(tally.number, row.message, row.stake)
        return replace(tally, waiting=rows, waiting_bytes=size, last_seq=last_seq)

    def _copy_set_aside(self, tally: Tally) -> Tally:
        found = _from_both_ends(
            lambda *, newest_first: self.source.store.set_aside(tally, -1, newest_first=newest_first),
            lambda row: row.entry.message.seq,  # damaged ones as well: a person may still read them
        )
        rows, size, last_seq = 0, 0, tally.last_seq
        for row in self._in_chunks(found):
            rows, last_seq = rows + 1, max(last_seq, row.entry.message.seq)
            size += self.target.store.insert_set_aside(tally.number, row.entry, row.stake, sound=row.sound)
        return replace(tally, set_aside=rows, set_aside_bytes=size, last_seq=last_seq)

    def _copy_ledger(self, tally: Tally) -> Count:
        """Copy the ledger of a destination, made to agree with what was copied; return what it has lost."""
        found = _from_both_ends(
            lambda *, newest_first: self.source.ledger.sound_rows(tally, newest_first=newest_first),
            lambda row: row.day.toordinal(),
        )
        for row in self._in_chunks(found):
            self.target.ledger.write(tally.number, row)
        waiting = by_day(row.stake for row in self.target.store.messages(tally, -1))
        set_aside = by_day(row.stake for row in self.target.store.set_aside(tally, -1))
        ledger = Ledger(self.target.ledger)
        lost = ledger.recount(tally, waiting, set_aside)
        ledger.write({tally.number: tally})
        return lost

    def _copy_journal(self, depth: JournalDepth, *, with_rows: bool) -> None:
        copied = JournalDepth()
        if with_rows:
            found = _from_both_ends(
                lambda *, newest_first: self.source.journal.rows(newest_first=newest_first),
                lambda stored: stored.id if stored.sound else None,
            )
            for stored in self._in_chunks(found):
                copied = copied.plus(1, self.target.journal.restore(stored))
        self.target.store.write_journal_depth(copied)
        if (lost := depth.rows - copied.rows) > 0:
            self.target.losses.add(JOURNAL, "damage", Count(lost), self.now)

    def _in_chunks(self, found: Iterator[R]) -> Iterator[R]:
        for number, row in enumerate(found, 1):
            yield row
            if number % CHUNK_ROWS == 0:
                self.new.execute("COMMIT")
                self.new.execute("BEGIN")


def rescue(
    old: sqlite3.Connection, new: sqlite3.Connection, known: Tallies | None, now: datetime, *, with_messages: bool
) -> None:
    """Copy what ``old`` still tells into ``new``; ``known`` are the numbers in memory, None to read them from ``old``.

    Raises:
        sqlite3.Error: the new outbox can't be written.
    """
    old.execute("PRAGMA writable_schema = ON")  # read what is there of a file cut short instead of refusing it whole
    _show_added_columns(old)
    Rescue(File.of(old), File.of(new), new, now).copy_everything(known, with_messages=with_messages)


def _show_added_columns(old: sqlite3.Connection) -> None:
    """Have a file that is still of the first version read as one of ours, by views that this connection alone sees."""
    for table, view in _ADDED.items():
        with contextlib.suppress(sqlite3.Error):
            columns = [row[1] for row in old.execute("SELECT * FROM pragma_table_info(?, 'main')", (table,))]
            if columns and not {"plain_bytes", "dropped_hand"} & set(columns):
                old.execute(view)


def _from_both_ends(
    read: Callable[..., Iterator[R]],  # read(newest_first=...)
    place_of: Callable[[R], int | None],  # None: not to be copied
) -> Iterator[R]:
    """Yield rows up to where they can't be read, then those behind it, newest first; none out of order or twice."""
    reached = 0
    try:
        for row in read(newest_first=False):
            place = place_of(row)
            if place is not None and place > reached:
                reached = place
                yield row
    except _UNREADABLE:
        above: int | None = None
        with contextlib.suppress(*_UNREADABLE):
            for row in read(newest_first=True):
                place = place_of(row)
                if place is not None and reached < place and (above is None or place < above):
                    above = place
                    yield row


def _balanced(tally: Tally) -> Tally:
    """Return the tally with the rest of what was put counted as lost, so that it adds up whatever was read."""
    settled = tally.delivered + tally.unconfirmed + tally.replaced + tally.waiting + tally.set_aside
    otherwise = sum(getattr(tally, name) for name in DROPPED if name != "dropped_damage")
    lost = tally.put - settled - otherwise
    return replace(tally, dropped_damage=max(lost, 0), put=tally.put + max(-lost, 0))


def _readable_tallies(source: Store) -> list[Tally]:
    with contextlib.suppress(*_UNREADABLE):
        return [tally for tally in source.tallies() if _plausible(tally)]
    return []


def _plausible(tally: Tally) -> bool:
    number, destination, priority, *counts = astuple(tally)
    whole = all(isinstance(count, int) and count >= 0 for count in (number, *counts))  # SQLite keeps to no type
    return whole and isinstance(destination, str) and priority in ("usage", "telemetry")


def _readable_state(source: Store) -> dict[str, bytes]:
    with contextlib.suppress(*_UNREADABLE):
        return source.states()
    return {}


def _readable_depth(source: Store) -> JournalDepth:
    with contextlib.suppress(*_UNREADABLE):
        return source.journal_depth()
    return JournalDepth()


_ADDED = {
    "destination": "CREATE TEMP VIEW destination AS SELECT *, 0 AS dropped_hand FROM main.destination",
    "message": "CREATE TEMP VIEW message AS"
    " SELECT *, NULL AS day, NULL AS amount, NULL AS plain_bytes FROM main.message",
    "set_aside": "CREATE TEMP VIEW set_aside AS"
    " SELECT *, NULL AS day, NULL AS amount, NULL AS plain_bytes FROM main.set_aside",
}
