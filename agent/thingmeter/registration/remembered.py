"""What a device remembers of one service, over restarts (pure): the standing of each definition, and the last look.

Stored as JSON, a few hundred bytes for each definition::

    {"version": 1, "looked_at": TIME or null, "credentials": DIGEST, "waited_s": 0,
     "definitions": {NAME: {"fingerprint": HEX, "essence": HEX, "standing": "registered", "reason": "", "at": TIME}}}

What can't be read is not an error but forgotten: asking again is always safe, and costs a few calls.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from thingmeter.plans import Standing

VERSION = 1

_MEMBERS = ("fingerprint", "essence", "standing", "reason", "at")
_STANDINGS = frozenset(get_args(Standing)) - {"pending"}


@dataclass(frozen=True, slots=True)
class Remembered:
    """How one definition stands.

    ``fingerprint`` is of the definition and the service it stands so with, ``essence`` of what decides that. ``reason``
    is one line for people, empty when there is nothing to say. ``at`` is the wall time at which it came to stand so,
    aware UTC.
    """

    fingerprint: str
    essence: str
    standing: Standing
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered of one service.

    Attributes:
        definitions: how each stands, by its name.
        looked_at: the wall time of the last attempt that settled every definition, aware UTC; None without one.
        credentials: the version of those that the last attempt of any kind was made with.
        waited_s: for how long runs since that attempt have waited for the next one.
    """

    definitions: Mapping[str, Remembered] = field(default_factory=dict)
    looked_at: datetime | None = None
    credentials: str = ""
    waited_s: float = 0.0


def to_bytes(memory: Memory) -> bytes:
    """Return what to store."""
    document = {
        "version": VERSION,
        "looked_at": memory.looked_at,
        "credentials": memory.credentials,
        "waited_s": memory.waited_s,
        "definitions": {name: {key: getattr(one, key) for key in _MEMBERS} for name, one in memory.definitions.items()},
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
            str(document["credentials"]),
            _seconds(document["waited_s"]),
        )
    except (TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"damaged: {error!r:.100}") from error


def _remembered(document: Any) -> Remembered:
    standing = document["standing"]
    if standing not in _STANDINGS:
        raise ValueError(f"unknown standing {standing!r:.20}")
    fingerprint, essence, reason = (str(document[key]) for key in ("fingerprint", "essence", "reason"))
    return Remembered(fingerprint, essence, standing, reason, _time(document["at"]))


def _seconds(number: Any) -> float:
    seconds = float(number)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"no number of seconds: {number!r:.20}")
    return seconds


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without zone: {text:.40}")
    return time.astimezone(UTC)
