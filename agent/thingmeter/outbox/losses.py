"""What was dropped, when and why: one row for each stretch of time in which one bound took from one destination.

How much was ever dropped is in the tallies and in the ledger, for ever; this list says when, and is bounded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import get_args

from thingmeter.outbox.messages import Count, Loss, Why
from thingmeter.outbox.rows import micros, moment

MAXIMUM_LOSSES = 256
# Losses of one kind that follow each other within this are one stretch: weeks offline are one row, not one an hour.
SAME_STRETCH = timedelta(hours=6)


class LossTable:
    """The rows of the list behind one connection. Not thread-safe. Every method raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute

    def add(self, destination: str, why: Why, lost: Count, now: datetime) -> None:
        """Note a loss: with the last of its kind where that was not long ago, else as the newest."""
        for row_id, *columns in self._run(_NEWEST, (destination, why)).fetchall():
            loss = _loss(columns)
            if loss and loss.first - SAME_STRETCH <= now <= loss.last + SAME_STRETCH:
                both = Count(loss.lost.points + lost.points, loss.lost.amount + lost.amount)
                self._write(row_id, Loss(destination, why, min(loss.first, now), max(loss.last, now), both))
                return
        self.append(Loss(destination, why, now, now, lost))

    def append(self, loss: Loss) -> None:
        """Add ``loss`` as the newest; the oldest goes when they are too many."""
        self._write(None, loss)
        newest = self._run("SELECT MAX(id) FROM loss").fetchone()[0]
        self._run("DELETE FROM loss WHERE id <= ?", (newest - MAXIMUM_LOSSES,))

    def rows(self) -> Iterator[Loss]:
        """Yield every loss, oldest first; one that a damaged file no longer tells is left out."""
        for _, *columns in self._run(_ALL):
            if loss := _loss(columns):
                yield loss

    def _write(self, row_id: int | None, loss: Loss) -> None:
        times = (micros(loss.first), micros(loss.last))
        values = (row_id, loss.destination, loss.why, *times, loss.lost.points, str(loss.lost.amount))
        self._run("REPLACE INTO loss VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def _loss(columns: list[object]) -> Loss | None:
    destination, why, first, last, points, amount = columns
    try:
        lost = Count(int(str(points)), Fraction(str(amount)))
    except (ValueError, ZeroDivisionError):
        return None
    known = next((word for word in get_args(Why) if word == why), None)
    return Loss(str(destination), known, moment(first), moment(last), lost) if known else None


_NEWEST = "SELECT * FROM loss WHERE destination = ? AND why = ? ORDER BY id DESC LIMIT 1"
_ALL = "SELECT * FROM loss ORDER BY id"
