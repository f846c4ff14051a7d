"""How messages and samples come into the outbox. A function is one operation of a transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from thingmeter.outbox.bounds import Need
from thingmeter.outbox.journal import PackedRow
from thingmeter.outbox.messages import Entry, JournalPage, Keep, Message, Priority, SetAside
from thingmeter.outbox.room import expire, make_room
from thingmeter.outbox.rows import LAST_SEQ, stake_of
from thingmeter.outbox.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Freezing:
    """Windows that have ended: what became of them, and their rows in the journal, which are to go.

    ``puts`` and ``aside`` have the entries of each destination; those ``aside`` come with the reason.
    """

    puts: Mapping[str, Sequence[Entry]]
    aside: Mapping[str, Sequence[tuple[Entry, str]]]
    windows: Collection[int]

    def need(self) -> Need:
        """Return the room that the entries take."""
        entries = [entry for each in self.puts.values() for entry in each]
        entries += [entry for each in self.aside.values() for entry, _ in each]
        size = sum(len(entry.payload) for entry in entries)
        return Need(len(entries), size, trees=len(self.puts) + len(self.aside))


def put(transaction: Transaction, draft: Message, keep: Keep, priority: Priority) -> Message:
    """Add ``draft`` as the newest message of its destination; return it with its sequence number.

    Raises:
        OutboxFull: no room, and nothing that may be given up.
        ValueError: the destination has the other priority.
    """
    tally = transaction.tally(draft.destination, priority)
    in_place = keep == "newest" and tally.waiting > 0
    if in_place:
        transaction.leave(tally, "message", LAST_SEQ, "replaced")
    expire(transaction)
    make_room(transaction, Need(1, len(draft.payload), in_place=in_place))
    return _add(transaction, draft)


def freeze(transaction: Transaction, freezing: Freezing) -> None:
    """Put what became of windows, and delete their samples.

    Raises:
        OutboxFull: no room, and nothing that may be given up.
        ValueError: a destination holds telemetry, or an amount is no finite number.
    """
    transaction.forget_journal(freezing.windows)
    expire(transaction)
    make_room(transaction, freezing.need())
    for destination, entries in freezing.puts.items():
        _add_all(transaction, destination, entries)
    for destination, refused in freezing.aside.items():
        _add_all_set_aside(transaction, destination, refused)


def append_journal(transaction: Transaction, rows: Sequence[PackedRow], instead_of: JournalPage) -> None:
    """Add samples to the journal, in the place of those of a page (of an empty one: of none).

    Raises:
        OutboxFull: no room, and nothing that may be given up.
        ValueError: no window begins when a row says.
    """
    if instead_of.rows:
        removed = transaction.file.journal.remove_between(instead_of.first, instead_of.last)
        transaction.tallies.journal = transaction.tallies.journal.plus(-removed.rows, -removed.bytes)
    expire(transaction)
    make_room(transaction, Need(len(rows), sum(len(packed.stored) for packed in rows), trees=1))
    for packed in rows:
        size = transaction.file.journal.append(packed)
        transaction.tallies.journal = transaction.tallies.journal.plus(1, size)


def _add(transaction: Transaction, draft: Message) -> Message:
    tally = transaction.tallies.by_destination[draft.destination]  # making room may have changed it
    message = replace(draft, seq=tally.last_seq + 1, created=transaction.now)
    size = transaction.store.insert(tally.number, message)
    transaction.tallies.enter(tally.plus(put=1, waiting=1, waiting_bytes=size, last_seq=1))
    return message


def _add_all(transaction: Transaction, destination: str, entries: Sequence[Entry]) -> None:
    tally = transaction.tally(destination, "usage")
    stakes = [stake_of(entry) for entry in entries]
    size = 0
    for seq, (entry, stake) in enumerate(zip(entries, stakes, strict=True), tally.last_seq + 1):
        message = Message(destination, entry.key, entry.payload, seq, transaction.now)
        size += transaction.store.insert(tally.number, message, stake)
    rows = len(entries)
    transaction.tallies.enter(tally.plus(put=rows, waiting=rows, waiting_bytes=size, last_seq=rows))
    transaction.ledger.measure(tally, stakes, "waiting")


def _add_all_set_aside(transaction: Transaction, destination: str, refused: Sequence[tuple[Entry, str]]) -> None:
    tally = transaction.tally(destination, "usage")
    stakes = [stake_of(entry) for entry, _ in refused]
    size = 0
    for seq, ((entry, reason), stake) in enumerate(zip(refused, stakes, strict=True), tally.last_seq + 1):
        message = Message(destination, entry.key, entry.payload, seq, transaction.now)
        size += transaction.store.insert_set_aside(tally.number, SetAside(message, reason, transaction.now), stake)
    rows = len(refused)
    transaction.tallies.enter(tally.plus(put=rows, set_aside=rows, set_aside_bytes=size, last_seq=rows))
    transaction.ledger.measure(tally, stakes, "set_aside")
