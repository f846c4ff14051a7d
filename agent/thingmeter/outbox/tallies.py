"""What became of every message: one Tally per destination, kept in memory and, by each transaction, on the disk.

Depth and counts are read here and never computed from the rows, so that a full outbox opens as fast as an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from thingmeter.outbox.journal import JournalDepth
from thingmeter.outbox.messages import Depth, Priority
from thingmeter.outbox.rows import Stake

Outcome: TypeAlias = Literal[
    "delivered",
    "unconfirmed",
    "replaced",
    "dropped_bytes",
    "dropped_age",
    "dropped_disk",
    "dropped_damage",
    "dropped_hand",
]
DROPPED: tuple[Outcome, ...] = ("dropped_bytes", "dropped_age", "dropped_disk", "dropped_damage", "dropped_hand")
COUNTS = ("put", "waiting", "set_aside", "delivered", "unconfirmed", "replaced", *DROPPED)

# Messages that left while they may have been in flight, kept until their outcome is known: more than any batch holds.
MAXIMUM_GONE = 4096


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of one destination; the fields are the columns of its row, in this order.

    ``number`` stands for the name in the ids of rows; ``last_seq`` only grows, so that no sequence number comes twice.
    """

    number: int
    destination: str
    priority: Priority
    last_seq: int = 0
    put: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    set_aside: int = 0
    set_aside_bytes: int = 0
    delivered: int = 0
    unconfirmed: int = 0
    replaced: int = 0
    dropped_bytes: int = 0
    dropped_age: int = 0
    dropped_disk: int = 0
    dropped_damage: int = 0
    dropped_hand: int = 0

    def plus(self, **changes: int) -> Tally:
        """Return this tally with each named number changed by as much."""
        return replace(self, **{name: getattr(self, name) + by for name, by in changes.items()})

    def without_waiting(self, rows: int, size: int) -> Tally:
        """Return this tally with ``rows`` messages of ``size`` bytes together no longer waiting."""
        waiting = self.waiting - rows
        left = max(self.waiting_bytes - size, 0) if waiting else 0  # a damaged row may have changed its length
        return replace(self, waiting=waiting, waiting_bytes=left)

    def without_set_aside(self, rows: int, size: int) -> Tally:
        """Return this tally with ``rows`` messages of ``size`` bytes together no longer set aside."""
        kept = self.set_aside - rows
        left = max(self.set_aside_bytes - size, 0) if kept else 0
        return replace(self, set_aside=kept, set_aside_bytes=left)


@dataclass(frozen=True, slots=True)
class Gone:
    """A message that left while it may have been in flight: what it was counted as, and the ledger's stake in it."""

    outcome: Outcome
    stake: Stake | None


@dataclass(slots=True)
class Tallies:
    """The tallies by name, and what is known of messages that left the outbox while they may have been in flight.

    Attributes:
        by_destination: one tally each.
        handed: per destination the highest sequence number that was given out to be sent.
        gone: messages replaced or dropped after they had been given out. When the destination accepts one
            nevertheless, the count moves to where it belongs.
        journal: how much is in the journal.
    """

    by_destination: dict[str, Tally] = field(default_factory=dict)
    handed: dict[str, int] = field(default_factory=dict)
    gone: dict[tuple[str, int], Gone] = field(default_factory=dict)
    journal: JournalDepth = field(default_factory=JournalDepth)

    def copy(self) -> Tallies:
        """Return a copy to work on, to be thrown away when the work fails."""
        return Tallies(dict(self.by_destination), dict(self.handed), dict(self.gone), self.journal)

    def get(self, destination: str) -> Tally | None:
        """Return the tally of ``destination``, None when nothing was ever put for it."""
        return self.by_destination.get(destination)

    def enter(self, tally: Tally) -> None:
        """Put ``tally`` in the place of the one that its destination has."""
        self.by_destination[tally.destination] = tally

    def next_number(self) -> int:
        """Return the number for a destination not seen before."""
        return 1 + max((tally.number for tally in self.by_destination.values()), default=0)

    def hand_out(self, destination: str, seqs: list[int]) -> None:
        """Note what is given out now; with it, whatever was given out before is no longer in flight."""
        for place in [place for place in self.gone if place[0] == destination]:
            del self.gone[place]
        if seqs:
            self.handed[destination] = max(seqs[-1], self.handed.get(destination, 0))

    def leave(self, destination: str, seqs: list[int], stakes: list[Stake | None], outcome: Outcome) -> None:
        """Remember which of the messages that leave as ``outcome`` may be in flight."""
        handed = self.handed.get(destination, 0)
        for seq, stake in zip(seqs, stakes, strict=True):
            if seq <= handed:
                self.gone[destination, seq] = Gone(outcome, stake)
        while len(self.gone) > MAXIMUM_GONE:
            del self.gone[next(iter(self.gone))]

    def depth(self) -> Depth:
        """Return how much is in the outbox."""
        tallies = tuple(self.by_destination.values())
        return Depth(
            rows=sum(tally.waiting for tally in tallies),
            bytes=sum(tally.waiting_bytes for tally in tallies),
            set_aside_rows=sum(tally.set_aside for tally in tallies),
            set_aside_bytes=sum(tally.set_aside_bytes for tally in tallies),
            journal_rows=self.journal.rows,
            journal_bytes=self.journal.bytes,
        )

    def counts(self, destination: str | None = None) -> dict[str, int]:
        """Return the counts of one destination, or of all together; ``dropped`` is the sum over its reasons."""
        tallies = [t for t in self.by_destination.values() if destination in (None, t.destination)]
        counts = {name: sum(getattr(tally, name) for tally in tallies) for name in COUNTS}
        counts["dropped"] = sum(counts[name] for name in DROPPED)
        return counts
