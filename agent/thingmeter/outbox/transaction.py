"""The changes to an outbox, as they happen inside one transaction.

Each method changes rows through the store and numbers through the tallies, so that the two always agree. Nothing here
begins, commits or rolls back: commits.py does, and gives a copy of the tallies that it throws away on failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from thingmeter.errors import OutboxFull
from thingmeter.outbox.bounds import Bounds
from thingmeter.outbox.messages import Keep, Message, Priority, SetAside
from thingmeter.outbox.store import LAST_SEQ, Damaged, Store, Table
from thingmeter.outbox.tallies import Outcome, Tallies, Tally

# Rows that one change drops by age for each destination: a put after weeks without power must not take seconds.
EXPIRE_ROWS = 64


@dataclass(slots=True)
class Transaction:
    """The open transaction: where rows are, the working copy of the tallies, the bounds, and what time it is."""

    store: Store
    tallies: Tallies
    bounds: Bounds
    now: datetime

    def put(self, draft: Message, keep: Keep, priority: Priority) -> Message:
        """Add ``draft`` as the newest message of its destination; return it with its sequence number.

        Raises:
            OutboxFull: no room, and nothing that may be given up.
            ValueError: the destination has the other priority.
        """
        tally = self._tally(draft.destination, priority)
        in_place = keep == "newest" and tally.waiting > 0
        if in_place:
            self._leave(tally, "message", LAST_SEQ, "replaced")
        self._expire()
        self._make_room(draft, in_place=in_place)
        tally = self.tallies.by_destination[draft.destination]  # making room may have changed it
        message = replace(draft, seq=tally.last_seq + 1, created=self.now)
        self.store.insert(tally.number, message)
        size = len(message.payload)
        self.tallies.enter(tally.plus(put=1, waiting=1, waiting_bytes=size, last_seq=1))
        return message

    def settle(self, message: Message, outcome: Outcome) -> None:
        """Delete ``message`` and count it as ``outcome``.

        One that was replaced or dropped while it was being sent is counted as what it came to after all; one that was
        settled before changes nothing.
        """
        if taken := self._take(message):
            self.tallies.enter(taken.plus(**{outcome: 1}))

    def settle_through(self, destination: str, seq: int) -> None:
        """Delete every message of ``destination`` up to sequence number ``seq`` and count it as delivered."""
        tally = self.tallies.get(destination)
        if tally is None:
            return
        removed = self.store.remove("message", tally.number, 1, seq)
        rows = len(removed.seqs)
        tally = tally.without_waiting(rows, removed.bytes).plus(delivered=rows)
        for place in [place for place in self.tallies.gone if place[0] == destination and place[1] <= seq]:
            tally = tally.plus(**{self.tallies.gone.pop(place): -1, "delivered": 1})
        self.tallies.enter(tally)
        self._refuse_ghost(tally, 1, seq)

    def set_aside(self, message: Message, reason: str, *, sound: bool = True) -> None:
        """Move ``message`` to where a person finds it, with the reason of its refusal."""
        if taken := self._take(message):
            self.store.insert_set_aside(taken.number, SetAside(message, reason, self.now), sound=sound)
            self.tallies.enter(taken.plus(set_aside=1, set_aside_bytes=len(message.payload)))

    def write_state(self, state: Mapping[str, bytes]) -> None:
        """Write small durable values."""
        self.store.write_state(state)

    def tidy(self, destination: str, limit: int) -> list[Message]:
        """Clear the way to the next ``limit`` messages: what is too old goes, what the disk has damaged is set aside.

        Returns:
            the damaged ones, as they are now.

        Raises:
            Damaged: the file as a whole is.
        """
        self._expire()
        tally = self.tallies.get(destination)
        if tally is None:
            return []
        damaged = self._unsound(tally, limit)
        for message in damaged:
            self.set_aside(message, "damaged on the disk: its bytes no longer match their checksum", sound=False)
        if {message.seq for message in damaged} & {message.seq for message in self._unsound(tally, limit)}:
            raise Damaged(f"damaged messages of {destination} can't be deleted")
        tally = self.tallies.by_destination[destination]
        if tally.waiting and self.store.head("message", tally.number) is None:
            lost = tally.waiting  # rows that a damaged file no longer has
            self.tallies.enter(tally.without_waiting(lost, tally.waiting_bytes).plus(dropped_damage=lost))
        return damaged

    def _unsound(self, tally: Tally, limit: int) -> list[Message]:
        return [row.message for row in self.store.messages(tally, limit) if not row.sound]

    def _tally(self, destination: str, priority: Priority) -> Tally:
        tally = self.tallies.get(destination)
        if tally is None:
            tally = Tally(self.tallies.next_number(), destination, priority)
            self.tallies.enter(tally)
        elif tally.priority != priority:
            raise ValueError(f"destination {destination!r} holds {tally.priority}, not {priority}")
        return tally

    def _take(self, message: Message) -> Tally | None:
        """Take ``message`` out of the row or the count where it is; None when it was settled before."""
        tally = self.tallies.get(message.destination)
        if tally is None:
            return None
        removed = self.store.remove("message", tally.number, message.seq, message.seq)
        if removed.seqs:
            return tally.without_waiting(1, removed.bytes)
        counted_as = self.tallies.gone.pop((message.destination, message.seq), None)
        if counted_as is None:
            self._refuse_ghost(tally, message.seq, message.seq)
        return tally.plus(**{counted_as: -1}) if counted_as else None

    def _refuse_ghost(self, tally: Tally, first: int, last: int) -> None:
        """Make sure that what was just deleted is not found first: it would be sent again and again.

        Raises:
            Damaged: it is; in a damaged tree a row may be shown that can't be looked up.
        """
        head = self.store.head("message", tally.number)
        if head and first <= head.seq <= last:
            raise Damaged(f"message {head.seq} of {tally.destination} can't be deleted")

    def _leave(self, tally: Tally, table: Table, last: int, outcome: Outcome) -> Tally:
        """Delete the rows of a destination up to sequence number ``last`` and count them as ``outcome``."""
        removed = self.store.remove(table, tally.number, 1, last)
        rows = len(removed.seqs)
        if table == "message":
            self.tallies.leave(tally.destination, removed.seqs, outcome)
            tally = tally.without_waiting(rows, removed.bytes)
        else:
            tally = tally.without_set_aside(rows, removed.bytes)
        tally = tally.plus(**{outcome: rows})
        self.tallies.enter(tally)
        return tally

    def _expire(self) -> None:
        cutoff = self.bounds.expired_before(self.now)
        for table in _TABLES:
            for destination in [tally.destination for tally in self._telemetry(table)]:
                for _ in range(EXPIRE_ROWS):
                    tally = self.tallies.by_destination[destination]
                    head = self.store.head(table, tally.number)
                    if head is None or head.created >= cutoff:
                        break
                    self._leave(tally, table, head.seq, "dropped_age")

    def _make_room(self, draft: Message, *, in_place: bool) -> None:
        if not self.bounds.can_ever_hold(draft):
            raise OutboxFull(f"a message of {len(draft.payload)} bytes is larger than the whole outbox may be")
        self._give_up_until(lambda: self.bounds.has_bytes_for(draft, self.tallies.depth()), "dropped_bytes")
        self._give_up_until(lambda: self.bounds.has_disk_for(draft, self.store, in_place=in_place), "dropped_disk")

    def _give_up_until(self, enough: Callable[[], bool], outcome: Outcome) -> None:
        while not enough():
            if not self._give_up(outcome):
                why = "maximum_bytes is reached" if outcome == "dropped_bytes" else "the disk is full"
                raise OutboxFull(f"{why}, and no telemetry waits that could make room")

    def _give_up(self, outcome: Outcome) -> bool:
        """Drop the oldest telemetry: what was set aside first, then what waits. False when there is none."""
        for table in _TABLES:
            heads = [(self.store.head(table, tally.number), tally) for tally in self._telemetry(table)]
            found = [(head.created, head.seq, tally) for head, tally in heads if head]
            if found:
                _, seq, tally = min(found, key=lambda entry: entry[0])
                self._leave(tally, table, seq, outcome)
                return True
        return False

    def _telemetry(self, table: Table) -> list[Tally]:
        tallies = [tally for tally in self.tallies.by_destination.values() if tally.priority == "telemetry"]
        return [tally for tally in tallies if (tally.waiting if table == "message" else tally.set_aside)]


_TABLES: tuple[Table, ...] = ("set_aside", "message")
