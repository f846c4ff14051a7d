"""What a person decides about messages that were set aside: send them again, or give them up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Protocol

from thingmeter.outbox.commits import Commits
from thingmeter.outbox.ledger import by_day
from thingmeter.outbox.messages import Count
from thingmeter.outbox.store import AsideRow
from thingmeter.outbox.tallies import Tallies, Tally
from thingmeter.outbox.tidying import recount
from thingmeter.outbox.transaction import File, Transaction

CHUNK_ROWS = 256  # in one transaction: bounds the log


class Decision(Protocol):
    """One operation on messages of one destination."""

    def __call__(self, transaction: Transaction, destination: str, seqs: Sequence[int]) -> int:
        """Carry it out; return on how many."""


def decide(commits: Commits, decision: Decision, destination: str, seqs: Collection[int] | None) -> int:
    """Carry out ``decision`` on the messages ``seqs`` of ``destination``, None for all; return on how many."""
    if seqs is None:
        seqs = commits.read(lambda file, tallies: _seqs(file, tallies, destination))
    wanted = sorted(set(seqs))
    count = 0
    for start in range(0, len(wanted), CHUNK_ROWS):
        chunk = partial(decision, destination=destination, seqs=wanted[start : start + CHUNK_ROWS])
        count += commits.run(chunk)
    return count


def replay(transaction: Transaction, destination: str, seqs: Sequence[int]) -> int:
    """Put messages that were set aside behind all that wait, with the key and the bytes that they had.

    Those that are damaged stay where they are.

    Returns:
        how many.
    """
    tally = transaction.tallies.get(destination)
    rows = [row for row in _found(transaction, tally, seqs) if row.sound]
    for row in rows:
        tally = transaction.tallies.by_destination[destination]
        old = row.entry.message
        removed = transaction.store.remove("set_aside", tally.number, old.seq, old.seq)
        message = replace(old, seq=tally.last_seq + 1, created=transaction.now)
        size = transaction.store.insert(tally.number, message, row.stake)
        tally = tally.without_set_aside(1, removed.bytes).plus(waiting=1, waiting_bytes=size, last_seq=1)
        transaction.tallies.enter(tally)
    if tally is not None:
        transaction.ledger.move(tally, [row.stake for row in rows], "set_aside", "waiting")
    return len(rows)


def drop(transaction: Transaction, destination: str, seqs: Sequence[int]) -> int:
    """Give up messages that were set aside, for good; return how many."""
    tally = transaction.tallies.get(destination)
    rows = _found(transaction, tally, seqs)
    if tally is None or not rows:
        return 0
    for row in rows:
        removed = transaction.store.remove("set_aside", tally.number, row.entry.message.seq, row.entry.message.seq)
        tally = tally.without_set_aside(1, removed.bytes).plus(dropped_hand=1)
    transaction.tallies.enter(tally)
    stakes = [row.stake for row in rows]
    transaction.ledger.move(tally, stakes, "set_aside", "dropped")
    amount = sum((count.amount for count in by_day(stakes).values()), Fraction(0))
    transaction.note_loss(destination, "hand", Count(len(rows), amount))
    if not all(row.sound for row in rows):
        recount(transaction, tally, 0)  # what the damaged ones held can't be read from them
    return len(rows)


def _seqs(file: File, tallies: Tallies, destination: str) -> list[int]:
    tally = tallies.get(destination)
    return file.store.set_aside_seqs(tally.number) if tally else []


def _found(transaction: Transaction, tally: Tally | None, seqs: Sequence[int]) -> list[AsideRow]:
    if tally is None:
        return []
    each = (transaction.store.set_aside(tally, 1, first=seq, last=seq) for seq in seqs)
    return [row for rows in each for row in rows]
