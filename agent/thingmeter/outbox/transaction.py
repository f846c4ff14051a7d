"""What one transaction changes, and how a message leaves.

Each method changes rows through the store, and numbers through the tallies and the ledger, so that they always agree.
How messages come in is in putting.py, how room is made for them in room.py, what follows damage in tidying.py. Nothing
here begins, commits or rolls back: commits.py does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from thingmeter.outbox.bounds import Bounds
from thingmeter.outbox.journal import Journal
from thingmeter.outbox.ledger import Ledger, LedgerTable, Place, by_day, place_of
from thingmeter.outbox.losses import LossTable
from thingmeter.outbox.messages import Count, Message, Priority, SetAside, Why
from thingmeter.outbox.rows import Damaged, Stake
from thingmeter.outbox.store import Store, Table
from thingmeter.outbox.tallies import Outcome, Tallies, Tally

WHY: Mapping[Outcome, Why] = {
    "dropped_bytes": "bytes",
    "dropped_age": "age",
    "dropped_disk": "disk",
    "dropped_damage": "damage",
    "dropped_hand": "hand",
}


@dataclass(frozen=True, slots=True)
class File:
    """Every table of the file behind one connection."""

    store: Store
    journal: Journal
    ledger: LedgerTable
    losses: LossTable

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> File:
        """Return the tables of the file that ``connection`` has open."""
        return cls(Store(connection), Journal(connection), LedgerTable(connection), LossTable(connection))


@dataclass(frozen=True, slots=True)
class Taken:
    """A message taken out of where it was: the tally without it, the ledger's stake in it, and where it is counted."""

    tally: Tally
    stake: Stake | None
    place: Place


@dataclass(frozen=True, slots=True)
class Savepoint:
    """The numbers as they were before an operation that may fail."""

    tallies: Tallies
    ledger: Ledger
    losses: dict[tuple[str, Why], Count]


class Transaction:
    """The open transaction: where rows are, the working copies of the numbers, the bounds, and what time it is."""

    def __init__(self, file: File, tallies: Tallies, bounds: Bounds, now: datetime) -> None:
        self.file = file
        self.store = file.store
        self.bounds = bounds
        self.now = now
        self.tallies = tallies.copy()
        self.ledger = Ledger(file.ledger)
        self._losses: dict[tuple[str, Why], Count] = {}
        self._before = tallies

    def savepoint(self) -> Savepoint:
        """Return the numbers as they are."""
        return Savepoint(self.tallies.copy(), self.ledger.copy(), dict(self._losses))

    def go_back(self, savepoint: Savepoint) -> None:
        """Take the numbers back to what they were."""
        self.tallies, self.ledger, self._losses = savepoint.tallies, savepoint.ledger, savepoint.losses

    def write_numbers(self) -> None:
        """Write the numbers that changed."""
        for destination, tally in self.tallies.by_destination.items():
            if tally != self._before.get(destination):
                self.store.write_tally(tally)
        if self.tallies.journal != self._before.journal:
            self.store.write_journal_depth(self.tallies.journal)
        self.ledger.write({tally.number: tally for tally in self.tallies.by_destination.values()})
        for (destination, why), lost in self._losses.items():
            self.file.losses.add(destination, why, lost, self.now)

    def write_state(self, state: Mapping[str, bytes]) -> None:
        """Write small durable values."""
        self.store.write_state(state)

    def tally(self, destination: str, priority: Priority) -> Tally:
        """Return the tally of ``destination``, which is new or has this priority.

        Raises:
            ValueError: it has the other one.
        """
        tally = self.tallies.get(destination)
        if tally is None:
            tally = Tally(self.tallies.next_number(), destination, priority)
            self.tallies.enter(tally)
        elif tally.priority != priority:
            raise ValueError(f"destination {destination!r} holds {tally.priority}, not {priority}")
        return tally

    def settle(self, message: Message, outcome: Outcome) -> None:
        """Delete ``message`` and count it as ``outcome``.

        One that was replaced or dropped while it was being sent is counted as what it came to after all; one that was
        settled before changes nothing.
        """
        if taken := self._take(message):
            self.tallies.enter(taken.tally.plus(**{outcome: 1}))
            self.ledger.move(taken.tally, [taken.stake], taken.place, place_of(outcome))

    def settle_through(self, destination: str, seq: int, outcome: Outcome = "delivered") -> None:
        """Delete every message of ``destination`` up to sequence number ``seq`` and count it as ``outcome``."""
        tally = self.tallies.get(destination)
        if tally is None:
            return
        removed = self.store.remove("message", tally.number, 1, seq)
        rows = len(removed.seqs)
        self.ledger.move(tally, removed.stakes, "waiting", place_of(outcome))
        tally = tally.without_waiting(rows, removed.bytes).plus(**{outcome: rows})
        for place in [place for place in self.tallies.gone if place[0] == destination and place[1] <= seq]:
            gone = self.tallies.gone.pop(place)
            tally = tally.plus(**{gone.outcome: -1}).plus(**{outcome: 1})
            self.ledger.move(tally, [gone.stake], place_of(gone.outcome), place_of(outcome))
        self.tallies.enter(tally)
        self._refuse_ghost(tally, 1, seq)

    def set_aside(self, message: Message, reason: str) -> None:
        """Move ``message`` to where a person finds it, with the reason of its refusal."""
        if taken := self._take(message):
            tally = taken.tally
            size = self.store.insert_set_aside(tally.number, SetAside(message, reason, self.now), taken.stake)
            self.tallies.enter(tally.plus(set_aside=1, set_aside_bytes=size))
            self.ledger.move(tally, [taken.stake], taken.place, "set_aside")

    def leave(self, tally: Tally, table: Table, last: int, outcome: Outcome) -> None:
        """Delete the rows of a destination up to sequence number ``last`` and count them as ``outcome``."""
        removed = self.store.remove(table, tally.number, 1, last)
        rows = len(removed.seqs)
        self.ledger.move(tally, removed.stakes, "waiting" if table == "message" else "set_aside", place_of(outcome))
        if table == "message":
            self.tallies.leave(tally.destination, removed.seqs, removed.stakes, outcome)
            tally = tally.without_waiting(rows, removed.bytes)
        else:
            tally = tally.without_set_aside(rows, removed.bytes)
        self.tallies.enter(tally.plus(**{outcome: rows}))
        if rows and (why := WHY.get(outcome)):
            amounts = (count.amount for count in by_day(removed.stakes).values())
            self.note_loss(tally.destination, why, Count(rows, sum(amounts, Fraction(0))))

    def note_loss(self, destination: str, why: Why, lost: Count) -> None:
        """Note what was dropped, for the list of losses."""
        known = self._losses.get((destination, why), Count())
        self._losses[destination, why] = Count(known.points + lost.points, known.amount + lost.amount)

    def forget_journal(self, windows: Collection[int]) -> None:
        """Delete the journal's rows of ``windows``."""
        for window in windows:
            removed = self.file.journal.remove(window)
            self.tallies.journal = self.tallies.journal.plus(-removed.rows, -removed.bytes)

    def _take(self, message: Message) -> Taken | None:
        """Take ``message`` out of the row or the count where it is; None when it was settled before."""
        tally = self.tallies.get(message.destination)
        if tally is None:
            return None
        removed = self.store.remove("message", tally.number, message.seq, message.seq)
        if removed.seqs:
            return Taken(tally.without_waiting(1, removed.bytes), removed.stakes[0], "waiting")
        gone = self.tallies.gone.pop((message.destination, message.seq), None)
        if gone is None:
            self._refuse_ghost(tally, message.seq, message.seq)
            return None
        return Taken(tally.plus(**{gone.outcome: -1}), gone.stake, place_of(gone.outcome))

    def _refuse_ghost(self, tally: Tally, first: int, last: int) -> None:
        """Make sure that what was just deleted is not found first: it would be sent again and again.

        Raises:
            Damaged: it is; in a damaged tree a row may be shown that can't be looked up.
        """
        head = self.store.head("message", tally.number)
        if head and first <= head.seq <= last:
            raise Damaged(f"message {head.seq} of {tally.destination} can't be deleted")
