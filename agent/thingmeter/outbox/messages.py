"""The nouns of the outbox: pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

Priority: TypeAlias = Literal["usage", "telemetry"]
Keep: TypeAlias = Literal["all", "newest"]

NEVER = datetime.fromtimestamp(0, UTC)


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
    """How much is in the outbox: ``rows`` and payload ``bytes`` that wait, and the same of what was set aside."""

    rows: int
    bytes: int
    set_aside_rows: int
    set_aside_bytes: int
