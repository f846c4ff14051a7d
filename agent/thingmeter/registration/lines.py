"""The lines that an attempt and the process that started it exchange: JSON, one document a line (pure).

in    {"service": "devrev", "account": {...}, "definitions": [{...}], "known": ["litres"], "apply": true, "gap_s": 1.0}
out   {"step": {"name": "litres", "action": "create", "reason": ""}}                                  one for each step
      {"outcome": {"name": "litres", "action": "create", "standing": "registered", "reason": ""}}     with apply: each
      {"end": "done"}                                                                                 the last line
      {"end": "throttled" | "unreachable" | "denied" | "failed", "message": "...", "after_s": 30}     or this one
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from thingmeter.errors import DeliveryError, Denied, Throttled, Unreachable
from thingmeter.plans import Action, Outcome, Standing, Step

Service: TypeAlias = Literal["defender", "devrev"]
EndKind: TypeAlias = Literal["done", "throttled", "unreachable", "denied", "failed"]

MAXIMUM_WORDS = 400  # of a message; those of a reason are cut where they are made

_ACTIONS = frozenset(get_args(Action))
_STANDINGS = frozenset(get_args(Standing)) - {"pending"}
_ENDS = frozenset(get_args(EndKind))


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended. ``after_s`` counts for ``throttled`` only."""

    kind: EndKind
    message: str = ""
    after_s: float = 0.0

    def error(self) -> DeliveryError | None:
        """Return the error that this end amounts to; None for ``done``."""
        match self.kind:
            case "done":
                return None
            case "throttled":
                return Throttled(self.message, after_s=self.after_s)
            case "denied":
                return Denied(self.message)
            case "unreachable" | "failed":
                return Unreachable(self.message)


def end_of(error: Exception) -> End:
    """Return the end that ``error`` makes of an attempt."""
    match error:
        case Throttled():
            return End("throttled", one_line(str(error)), error.after_s)
        case Denied():
            return End("denied", one_line(str(error)))
        case Unreachable():
            return End("unreachable", one_line(str(error)))
        case _:
            return End("failed", one_line(f"{type(error).__name__}: {error}"))


def to_line(said: Step | Outcome | End) -> bytes:
    """Return ``said`` as the attempt writes it, line end included."""
    match said:
        case Step():
            document: Mapping[str, Any] = {"step": asdict(said)}
        case Outcome():
            document = {"outcome": asdict(said)}
        case End("throttled", message, after_s):
            document = {"end": "throttled", "message": message, "after_s": after_s}
        case End("done"):
            document = {"end": "done"}
        case End(kind, message):
            document = {"end": kind, "message": message}
    return json.dumps(document).encode() + b"\n"


def from_line(line: bytes) -> Step | Outcome | End | None:
    """Return what a line says; None when it is none of ours: a library may have printed it, or a crash have cut it."""
    try:
        document = json.loads(line)
        if "step" in document:
            step = Step(**_texts(document["step"]))
            return step if step.action in _ACTIONS else None
        if "outcome" in document:
            outcome = Outcome(**_texts(document["outcome"]))
            return outcome if outcome.action in _ACTIONS and outcome.standing in _STANDINGS else None
        if document["end"] not in _ENDS:
            return None
        return End(document["end"], one_line(str(document.get("message", ""))), _seconds(document.get("after_s", 0)))
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return None


def one_line(words: str, limit: int = MAXIMUM_WORDS) -> str:
    """Return words fit for one line of a log: control characters escaped, what is beyond ``limit`` cut off."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words[:limit])


def _texts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a step or an outcome, every one a text."""
    if not all(isinstance(text, str) for text in document.values()):
        raise TypeError(document)
    return dict(document)


def _seconds(number: float) -> float:
    seconds = float(number)
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
