"""The ledger: what became of each day's usage, one row per destination and day.

It is kept by double entry: what is measured is counted once, and from then on moved from place to place in the same
transaction as the message itself. So each row must add up, and no place can hold less than nothing; a row that says
otherwise was damaged on the disk. Amounts are exact fractions.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from thingmeter.outbox.messages import BEFORE, Count, LedgerRow
from thingmeter.outbox.rows import LAST_SEQ, Damaged, Stake, pack, whole
from thingmeter.outbox.tallies import Outcome, Tally

Place: TypeAlias = Literal["delivered", "waiting", "set_aside", "dropped", "unconfirmed"]
PLACES: tuple[Place, ...] = ("delivered", "waiting", "set_aside", "dropped", "unconfirmed")
MAXIMUM_DAYS = 400  # with a row of their own, per destination: a year, and the month in which its bill is disputed
NOTHING = Count()


def place_of(outcome: Outcome) -> Place:
    """Return where the ledger counts messages that left as ``outcome``; usage that was replaced was never sent."""
    if outcome == "delivered":
        return "delivered"
    return "unconfirmed" if outcome == "unconfirmed" else "dropped"


def by_day(stakes: Iterable[Stake | None]) -> dict[date, Count]:
    """Return how much of each day the messages with these ``stakes`` hold together."""
    points: dict[date, int] = defaultdict(int)
    amounts: dict[date, Fraction] = defaultdict(Fraction)
    for stake in stakes:
        if stake is not None:
            points[stake.day] += 1
            amounts[stake.day] += Fraction(stake.amount)
    return {day: Count(points[day], amounts[day]) for day in points}


class LedgerTable:
    """The rows of the ledger behind one connection. Not thread-safe. Every method raises sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute

    def find(self, tally: Tally, day: date) -> LedgerRow | None:
        """Return the row of one day.

        Raises:
            Damaged: it is not what was written.
        """
        row_id = pack(tally.number, day.toordinal())
        found = self._run("SELECT * FROM ledger WHERE id = ?", (row_id,)).fetchone()
        return _row(tally.destination, found) if found else None

    def rows(self, tally: Tally) -> Iterator[LedgerRow]:
        """Yield every row of a destination by day.

        Raises:
            Damaged: a row is not what was written.
        """
        for found in self._run(_IN_ORDER, whole(tally.number)):
            yield _row(tally.destination, found)

    def sound_rows(self, tally: Tally, *, newest_first: bool) -> Iterator[LedgerRow]:
        """Yield the rows of a destination by day, or against that order, without those that are damaged."""
        for found in self._run(_NEWEST_FIRST if newest_first else _IN_ORDER, whole(tally.number)):
            with contextlib.suppress(Damaged):
                yield _row(tally.destination, found)

    def days(self, tally: Tally) -> tuple[int, date]:
        """Return how many days of a destination have a row of their own, and the oldest of them."""
        bounds = (pack(tally.number, BEFORE.toordinal() + 1), whole(tally.number)[1])
        count, oldest = self._run("SELECT COUNT(*), MIN(id) FROM ledger WHERE id BETWEEN ? AND ?", bounds).fetchone()
        return count, _day(oldest) if count else date.max

    def write(self, number: int, row: LedgerRow) -> None:
        """Write the row of one day."""
        counts = [row.measured, *(getattr(row, place) for place in PLACES)]
        row_id = pack(number, row.day.toordinal())
        values = [value for count in counts for value in (count.points, str(count.amount))]
        self._run(_WRITE, (row_id, _checksum(row_id, values), *values))

    def remove(self, number: int, day: date) -> None:
        """Delete the row of one day."""
        self._run("DELETE FROM ledger WHERE id = ?", (pack(number, day.toordinal()),))


class Ledger:
    """The rows that one transaction changes: read when they are first needed, written at its end.

    A method raises Damaged where the rows can't be what was written.
    """

    def __init__(self, table: LedgerTable, changed: dict[tuple[int, date], LedgerRow] | None = None) -> None:
        self._table = table
        self._changed = changed or {}

    def copy(self) -> Ledger:
        """Return a copy to go back to when an operation fails."""
        return Ledger(self._table, dict(self._changed))

    def measure(self, tally: Tally, stakes: Iterable[Stake | None], place: Place) -> None:
        """Count usage that comes into being, at ``place``."""
        for day, count in by_day(stakes).items():
            row = self._row_for_new(tally, day)
            row = replace(row, measured=_plus(row.measured, count))
            self._enter(tally, _moved(row, place, count))

    def move(self, tally: Tally, stakes: Iterable[Stake | None], source: Place, target: Place) -> None:
        """Count usage that was at ``source`` at ``target`` from now on."""
        for day, count in by_day(stakes).items():
            row = self._find(tally, day) or self._find(tally, BEFORE)
            if row is None:
                raise Damaged(f"the ledger of {tally.destination} has nothing of {day}")
            less = Count(-count.points, -count.amount)
            self._enter(tally, _sound(_moved(_moved(row, source, less), target, count)))

    def recount(self, tally: Tally, waiting: Mapping[date, Count], set_aside: Mapping[date, Count]) -> Count:
        """Make the ledger of one destination agree with the messages that are there.

        What is missing counts as dropped; what is there without having been measured counts as measured.

        Returns:
            what is missing.
        """
        rows = {row.day: row for row in self._table.rows(tally)}
        rows |= {day: row for (number, day), row in self._changed.items() if number == tally.number}
        found = {place: _folded(counts, rows) for place, counts in (("waiting", waiting), ("set_aside", set_aside))}
        lost = NOTHING
        for day in rows.keys() | found["waiting"].keys() | found["set_aside"].keys():
            row = rows.get(day) or LedgerRow(tally.destination, day)
            row = replace(
                row,
                waiting=found["waiting"].get(day, NOTHING),
                set_aside=found["set_aside"].get(day, NOTHING),
            )
            missing = _minus(row.measured, _sum(row))
            gone = Count(max(missing.points, 0), missing.amount if missing.points > 0 else Fraction(0))
            row = replace(row, dropped=_plus(row.dropped, gone))
            self._enter(tally, replace(row, measured=_sum(row)))
            lost = _plus(lost, gone)
        return lost

    def write(self, tallies: Mapping[int, Tally]) -> None:
        """Write what changed; of days beyond ``MAXIMUM_DAYS`` the oldest are added to the row ``BEFORE``."""
        for (number, _), row in self._changed.items():
            self._table.write(number, row)
        for number in {number for number, _ in self._changed}:
            self._fold_oldest(tallies[number])

    def _fold_oldest(self, tally: Tally) -> None:
        count, oldest = self._table.days(tally)
        while count > MAXIMUM_DAYS:
            row = self._table.find(tally, oldest)
            before = self._table.find(tally, BEFORE) or LedgerRow(tally.destination, BEFORE)
            if row is not None:
                self._table.write(tally.number, _joined(before, row))
                self._table.remove(tally.number, oldest)
            count, oldest = self._table.days(tally)

    def _row_for_new(self, tally: Tally, day: date) -> LedgerRow:
        if found := self._find(tally, day):
            return found
        count, oldest = self._table.days(tally)
        if count < MAXIMUM_DAYS or day > oldest:
            return LedgerRow(tally.destination, day)
        return self._find(tally, BEFORE) or LedgerRow(tally.destination, BEFORE)

    def _find(self, tally: Tally, day: date) -> LedgerRow | None:
        return self._changed.get((tally.number, day)) or self._table.find(tally, day)

    def _enter(self, tally: Tally, row: LedgerRow) -> None:
        self._changed[tally.number, row.day] = row


def _plus(one: Count, other: Count) -> Count:
    return Count(one.points + other.points, one.amount + other.amount)


def _minus(one: Count, other: Count) -> Count:
    return Count(one.points - other.points, one.amount - other.amount)


def _sum(row: LedgerRow) -> Count:
    total = NOTHING
    for place in PLACES:
        total = _plus(total, getattr(row, place))
    return total


def _moved(row: LedgerRow, place: Place, count: Count) -> LedgerRow:
    changes: dict[str, Any] = {place: _plus(getattr(row, place), count)}
    return replace(row, **changes)


def _joined(one: LedgerRow, other: LedgerRow) -> LedgerRow:
    one = replace(one, measured=_plus(one.measured, other.measured))
    for place in PLACES:
        one = _moved(one, place, getattr(other, place))
    return one


def _folded(counts: Mapping[date, Count], rows: Mapping[date, LedgerRow]) -> dict[date, Count]:
    """Return ``counts`` with those days under ``BEFORE`` that the ledger no longer tells apart."""
    oldest = min((day for day in rows if day != BEFORE), default=date.max)
    folded: dict[date, Count] = defaultdict(Count)
    for day, count in counts.items():
        is_before = BEFORE in rows and day < oldest
        place = BEFORE if is_before else day
        folded[place] = _plus(folded[place], count)
    return folded


def _sound(row: LedgerRow) -> LedgerRow:
    for place in PLACES:
        count: Count = getattr(row, place)
        if count.points < 0 or (not count.points and count.amount):
            raise Damaged(f"the ledger of {row.destination} and its messages of {row.day} contradict each other")
    return row


def _row(destination: str, found: tuple[object, ...]) -> LedgerRow:
    row_id, checksum, *values = found
    if not isinstance(row_id, int) or checksum != _checksum(row_id, values):
        raise Damaged(f"the ledger of {destination}: a row is not as it was written")
    numbers = zip(values[::2], values[1::2], strict=True)
    counts = [Count(int(str(points)), Fraction(str(amount))) for points, amount in numbers]
    return LedgerRow(destination, _day(row_id), *counts)


def _day(row_id: int) -> date:
    try:
        return date.fromordinal(row_id & LAST_SEQ)
    except (ValueError, OverflowError) as error:
        raise Damaged(f"a row of the ledger is of day {row_id & LAST_SEQ}") from error


def _checksum(row_id: int, values: Iterable[object]) -> int:
    return zlib.crc32(" ".join(map(str, (row_id, *values))).encode("utf-8", "replace"))


_IN_ORDER = "SELECT * FROM ledger WHERE id BETWEEN ? AND ? ORDER BY id"
_NEWEST_FIRST = "SELECT * FROM ledger WHERE id BETWEEN ? AND ? ORDER BY id DESC"
_WRITE = "REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
