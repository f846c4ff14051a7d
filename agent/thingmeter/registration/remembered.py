"""What a device remembers of one service, over restarts (pure): the standing of each definition, and the last look.

Stored as JSON, a few hundred bytes for each definition::

    {"version": 1, "looked_at": TIME or null, "starts": 0,
     "definitions": {NAME: {"fingerprint": HEX, "standing": "registered", "reason": "", "at": TIME}}}

What can't be read is not an error but forgotten: asking again is always safe, and costs a few calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from thingmeter.plans import Standing

VERSION = 1

_STANDINGS = frozenset(get_args(Standing)) - {"pending"}


@dataclass(frozen=True, slots=True)
class Remembered:
    """How one definition stands.

    ``fingerprint`` is of the definition and the service it stands so with. ``reason`` is one line for people, empty
    when there is nothing to say. ``at`` is the wall time at which it came to stand so, aware UTC.
    """

    fingerprint: str
    standing: Standing
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered of one service.

    ``looked_at`` is the wall time of the last attempt that settled every definition, aware UTC; None without one.
    ``starts`` counts the starts since the last attempt of any kind that had one before them.
    """

    definitions: Mapping[str, Remembered] = field(default_factory=dict)
    looked_at: datetime | None = None
    starts: int = 0


def to_bytes(memory: Memory) -> bytes:
    """Return what to store."""
    document = {
        "version": VERSION,
        "looked_at": memory.looked_at,
        "starts": memory.starts,
        "definitions": {name: asdict(one) for name, one in memory.definitions.items()},
    }
    return json.dumps(document, default=datetime.isoformat, separators=(",", ":")).encode()


def from_bytes(stored: bytes) -> Memory:
    """Return what was stored.

    Raises:
        ValueError: it is damaged, or of another version; the message says which.
    """
    try:
        document = json.loads(stored)
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']!r:.20}, not {VERSION}")
        return Memory(
            {str(name): _remembered(one) for name, one in document["definitions"].items()},
            None if document["looked_at"] is None else _time(document["looked_at"]),
            max(0, int(document["starts"])),
        )
    except (TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"damaged: {error!r:.100}") from error


def _remembered(document: Any) -> Remembered:
    standing = document["standing"]
    if standing not in _STANDINGS:
        raise ValueError(f"unknown standing {standing!r:.20}")
    return Remembered(str(document["fingerprint"]), standing, str(document["reason"]), _time(document["at"]))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without zone: {text:.40}")
    return time.astimezone(UTC)
