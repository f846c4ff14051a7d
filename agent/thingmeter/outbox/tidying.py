"""What one transaction does about single damaged rows; a file that is damaged as a whole is replaced (damage.py)."""

from __future__ import annotations

from thingmeter.outbox.journal import JOURNAL, JournalDepth
from thingmeter.outbox.ledger import by_day
from thingmeter.outbox.messages import Count, Message, SetAside
from thingmeter.outbox.room import expire
from thingmeter.outbox.rows import Damaged
from thingmeter.outbox.tallies import Tally
from thingmeter.outbox.transaction import Transaction

DAMAGED = "damaged on the disk: its bytes no longer match their checksum"


def tidy(transaction: Transaction, destination: str, limit: int) -> list[Message]:
    """Clear the way to the next ``limit`` messages: what is too old goes, what the disk has damaged is set aside.

    The ledger counts what is damaged as dropped: it can never be sent.

    Returns:
        the damaged ones, as they are now.

    Raises:
        Damaged: the file as a whole is.
    """
    expire(transaction)
    tally = transaction.tallies.get(destination)
    if tally is None:
        return []
    damaged = _unsound(transaction, tally, limit)
    for message in damaged:
        tally = _set_aside_damaged(transaction, tally, message)
    if {message.seq for message in damaged} & {message.seq for message in _unsound(transaction, tally, limit)}:
        raise Damaged(f"damaged messages of {destination} can't be deleted")
    lost = 0
    if tally.waiting and transaction.store.head("message", tally.number) is None:
        lost = tally.waiting  # rows that a damaged file no longer has
        transaction.tallies.enter(tally.without_waiting(lost, tally.waiting_bytes).plus(dropped_damage=lost))
    if damaged or lost:
        recount(transaction, tally, lost)
    return damaged


def recount(transaction: Transaction, tally: Tally, rows_lost: int) -> None:
    """Make the ledger agree with the messages of a destination after damage; takes time in proportion to them.

    ``rows_lost`` are messages that are gone and not even set aside.
    """
    waiting = by_day(row.stake for row in transaction.store.messages(tally, -1))
    set_aside = by_day(row.stake for row in transaction.store.set_aside(tally, -1))
    lost = transaction.ledger.recount(tally, waiting, set_aside)
    if rows_lost or lost.points:
        points = max(rows_lost, lost.points)
        transaction.note_loss(tally.destination, "damage", Count(points, lost.amount))


def tidy_journal(transaction: Transaction) -> int:
    """Delete the journal's damaged rows, and count anew what it has; return how many rows were lost.

    Raises:
        Damaged: the file as a whole is.
    """
    depth, lost = JournalDepth(), 0
    for stored in list(transaction.file.journal.rows()):
        if stored.sound:
            depth = depth.plus(1, stored.bytes)
        else:
            transaction.file.journal.remove_row(stored.id)
            lost += 1
    if not all(stored.sound for stored in transaction.file.journal.rows()):
        raise Damaged("damaged rows of the journal can't be deleted")
    lost = max(lost, transaction.tallies.journal.rows - depth.rows)
    transaction.tallies.journal = depth
    if lost:
        transaction.note_loss(JOURNAL, "damage", Count(lost))
    return lost


def _unsound(transaction: Transaction, tally: Tally, limit: int) -> list[Message]:
    return [row.message for row in transaction.store.messages(tally, limit) if not row.sound]


def _set_aside_damaged(transaction: Transaction, tally: Tally, message: Message) -> Tally:
    removed = transaction.store.remove("message", tally.number, message.seq, message.seq)
    rows = len(removed.seqs)
    entry = SetAside(message, DAMAGED, transaction.now)
    if rows:
        size = transaction.store.insert_set_aside(tally.number, entry, None, sound=False)
        tally = tally.without_waiting(rows, removed.bytes).plus(set_aside=1, set_aside_bytes=size)
        transaction.tallies.enter(tally)
    return tally
