"""Makes room: what is too old goes, then as much telemetry as a bound asks for; usage never."""

from __future__ import annotations

from collections.abc import Callable

from thingmeter.errors import OutboxFull
from thingmeter.outbox.bounds import Need
from thingmeter.outbox.store import Table
from thingmeter.outbox.tallies import Outcome, Tally
from thingmeter.outbox.transaction import Transaction

# Rows that one change drops by age for each destination: a put after weeks without power must not take seconds.
EXPIRE_ROWS = 64


def expire(transaction: Transaction) -> None:
    """Drop telemetry that is too old, so much of it as takes a short time."""
    cutoff = transaction.bounds.expired_before(transaction.now)
    for table in _TABLES:
        for destination in [tally.destination for tally in _telemetry(transaction, table)]:
            for _ in range(EXPIRE_ROWS):
                tally = transaction.tallies.by_destination[destination]
                head = transaction.store.head(table, tally.number)
                if head is None or head.created >= cutoff:
                    break
                transaction.leave(tally, table, head.seq, "dropped_age")


def make_room(transaction: Transaction, need: Need) -> None:
    """Give up telemetry until what is to come fits both the bounds and the disk.

    Raises:
        OutboxFull: it doesn't, and there is no telemetry left; the transaction is to be undone.
    """
    bounds = transaction.bounds
    if not bounds.can_ever_hold(need):
        raise OutboxFull(f"{need.describe()} of {need.bytes} bytes: more than the whole outbox may hold")
    _give_up_until(transaction, lambda: bounds.has_bytes_for(need, transaction.tallies.depth()), "dropped_bytes")
    _give_up_until(transaction, lambda: bounds.has_disk_for(need, transaction.store), "dropped_disk")


def _give_up_until(transaction: Transaction, enough: Callable[[], bool], outcome: Outcome) -> None:
    while not enough():
        if not _give_up(transaction, outcome):
            why = "maximum_bytes is reached" if outcome == "dropped_bytes" else "the disk is full"
            raise OutboxFull(f"{why}, and no telemetry waits that could make room")


def _give_up(transaction: Transaction, outcome: Outcome) -> bool:
    """Drop the oldest telemetry: what was set aside first, then what waits. False when there is none."""
    for table in _TABLES:
        heads = [(transaction.store.head(table, tally.number), tally) for tally in _telemetry(transaction, table)]
        found = [(head.created, head.seq, tally) for head, tally in heads if head]
        if found:
            _, seq, tally = min(found, key=lambda entry: entry[0])
            transaction.leave(tally, table, seq, outcome)
            return True
    return False


def _telemetry(transaction: Transaction, table: Table) -> list[Tally]:
    tallies = [tally for tally in transaction.tallies.by_destination.values() if tally.priority == "telemetry"]
    return [tally for tally in tallies if (tally.waiting if table == "message" else tally.set_aside)]


_TABLES: tuple[Table, ...] = ("set_aside", "message")
