"""Copies what can still be read of a damaged outbox into a new one.

A damaged page hides the rows on it, or a whole branch of the tree. So each queue is read twice: from the oldest row up
to the damage, and from the newest down to it. A message whose bytes don't match their checksum is left behind. What is
not found again is counted as ``dropped_damage``.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, replace

from thingmeter.outbox.messages import Message
from thingmeter.outbox.store import LAST_SEQ, Store
from thingmeter.outbox.tallies import Tally

DAMAGED_COUNT = "outbox.damaged"  # the durable value that counts the files replaced so far
CHUNK_ROWS = 256  # in one transaction: bounds the log of the new file

# What reading garbage as a row raises: SQLite's own errors, and ours on values that make no sense.
_UNREADABLE = (sqlite3.Error, ValueError, TypeError, OverflowError, AttributeError)


def rescue(old: sqlite3.Connection, new: sqlite3.Connection, known: list[Tally] | None, *, with_messages: bool) -> None:
    """Copy state, counts and, ``with_messages``, messages; ``known`` are the tallies, None to read them from ``old``.

    Raises:
        sqlite3.Error: the new outbox can't be written.
    """
    old.execute("PRAGMA writable_schema = ON")  # read what is there of a file cut short instead of refusing it whole
    source, target = Store(old), Store(new)
    new.execute("BEGIN")
    state = _readable_state(source)
    counted = state.get(DAMAGED_COUNT, b"")
    replaced = 1 + (int(counted) if counted.isdigit() else 0)
    target.write_state({**state, DAMAGED_COUNT: str(replaced).encode()})
    for tally in _readable_tallies(source) if known is None else known:
        kept = replace(tally, waiting=0, waiting_bytes=0, set_aside=0, set_aside_bytes=0)
        if with_messages:
            kept = _copy_waiting(kept, source, new)
            kept = _copy_set_aside(kept, source, target)
        target.write_tally(_balanced(kept))
    new.execute("COMMIT")


def _copy_waiting(tally: Tally, source: Store, new: sqlite3.Connection) -> Tally:
    target = Store(new)
    for copied, message in enumerate(_readable_messages(tally, source)):
        target.insert(tally.number, message)
        tally = tally.plus(waiting=1, waiting_bytes=len(message.payload))
        tally = replace(tally, last_seq=max(tally.last_seq, message.seq))
        if copied % CHUNK_ROWS == CHUNK_ROWS - 1:
            new.execute("COMMIT")
            new.execute("BEGIN")
    return tally


def _copy_set_aside(tally: Tally, source: Store, target: Store) -> Tally:
    entries = []
    with contextlib.suppress(*_UNREADABLE):
        entries = source.set_aside(tally, -1)
    for entry in {entry.message.seq: entry for entry in entries}.values():
        target.insert_set_aside(tally.number, entry)
        tally = tally.plus(set_aside=1, set_aside_bytes=len(entry.message.payload))
    return tally


def _balanced(tally: Tally) -> Tally:
    """Return the tally with the rest of what was put counted as lost, so that it adds up whatever was read."""
    settled = tally.delivered + tally.unconfirmed + tally.replaced + tally.waiting + tally.set_aside
    lost = tally.put - settled - tally.dropped_bytes - tally.dropped_age - tally.dropped_disk
    return replace(tally, dropped_damage=max(lost, 0), put=tally.put + max(-lost, 0))


def _readable_messages(tally: Tally, source: Store) -> Iterator[Message]:
    reached, above = 0, LAST_SEQ
    try:
        for row in source.messages(tally, -1):
            if row.sound and row.message.seq > reached:
                reached = row.message.seq
                yield row.message
    except _UNREADABLE:
        with contextlib.suppress(*_UNREADABLE):
            for row in source.messages(tally, -1, newest_first=True):
                if row.sound and reached < row.message.seq < above:
                    above = row.message.seq
                    yield row.message


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
