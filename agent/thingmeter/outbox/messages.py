"""The nouns of the outbox: pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Literal, TypeAlias

Priority: TypeAlias = Literal["usage", "telemetry"]
Keep: TypeAlias = Literal["all", "newest"]
Why: TypeAlias = Literal["bytes", "age", "disk", "damage", "hand"]

NEVER = datetime.fromtimestamp(0, UTC)
BEFORE = date.min  # stands in the ledger for all days that are too long ago for a row of their own


@dataclass(frozen=True, slots=True)
class Message:
    """An encoded payload on its way to one destination.

    Attributes:
        destination: the service it goes to, by its name in the configuration.
        key: what names it at the destination; fixed when it was put.
        payload: the bytes to send; they never change.
        seq: its place in the destination's order, from 1, never used twice; 0 until it was put.
        created: when it was put, aware UTC, to the microsecond.
    """

    destination: str
    key: str
    payload: bytes = field(repr=False)
    seq: int = 0
    created: datetime = NEVER


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that its destination refused for good, kept for a person: why, and since when (aware UTC)."""

    message: Message
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is in the outbox: ``rows`` and ``bytes`` that wait, the same of what was set aside and of the journal.

    Bytes are those of payloads as they are stored: usage and journal above 1 KB are compressed.
    """

    rows: int
    bytes: int
    set_aside_rows: int
    set_aside_bytes: int
    journal_rows: int = 0
    journal_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A payload to be put, and what the ledger counts it under.

    Attributes:
        key: what names it at the destination, for ever.
        payload: the bytes to send.
        day: of the usage in it, by UTC; None: the ledger does not count it.
        amount: how much usage it is, in the unit of its destination; 0 where that adds up to nothing.
    """

    key: str
    payload: bytes = field(repr=False)
    day: date | None = None
    amount: int | float = 0


@dataclass(frozen=True, slots=True)
class JournalRow:
    """Samples that wait for the end of their window: its start in seconds since 1970, or -1 before they are stamped."""

    window: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class JournalPage:
    """Rows of the journal that follow one another, and the ids of the first and the last of them."""

    rows: tuple[JournalRow, ...] = ()
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """How many messages, and exactly how much usage is in them."""

    points: int = 0
    amount: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What became of one day's usage on its way to one destination.

    ``measured`` is the sum of the others, at any moment and over any crash. ``day`` is ``BEFORE`` for all days together
    that are too long ago for a row of their own.
    """

    destination: str
    day: date
    measured: Count = Count()
    delivered: Count = Count()
    waiting: Count = Count()
    set_aside: Count = Count()
    dropped: Count = Count()
    unconfirmed: Count = Count()


@dataclass(frozen=True, slots=True)
class Loss:
    """What one bound, or one person, took away over a stretch of time.

    Attributes:
        destination: of the messages; "journal" for samples that were no messages yet.
        why: ``bytes``, ``age``, ``disk``: by a bound of the outbox; ``damage``: of the file; ``hand``: by a person.
        first: when the first of them went, aware UTC.
        last: when the last of them went.
        lost: how many, and the usage in those that the ledger counts.
    """

    destination: str
    why: Why
    first: datetime
    last: datetime
    lost: Count
