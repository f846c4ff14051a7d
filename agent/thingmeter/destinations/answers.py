"""What any service's answer over HTTP tells: its words fit for a log, how long it asks to wait, what it refuses (pure).

Source: RFC 9110, section 10.2.3, for Retry-After, and section 6.6.1 for Date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Generic, TypeVar

from thingmeter.config.wording import escape
from thingmeter.destinations.https import Answer

MAXIMUM_WORDS = 300  # characters that are kept of what a service says
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 3600.0
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")  # whole ones in the standard; a fraction is understood as well

KindT = TypeVar("KindT", bound=str)


@dataclass(frozen=True, slots=True)
class Refusal(Generic[KindT]):
    """Why a call did not do its work, as far as one definition is concerned; ``reason`` is one line for people."""

    kind: KindT
    reason: str


def shown(words: str) -> str:
    """Return a service's words with everything that does not print escaped, cut to 300 characters."""
    return escape(words[:MAXIMUM_WORDS])[:MAXIMUM_WORDS]


def one_line(words: str) -> str:
    """Return a service's words as ``shown()`` does, but with a space for each run of white space."""
    return shown(" ".join(words[:MAXIMUM_WORDS].split()))


def phrase(status: int) -> str:
    """Return what HTTP calls a status; empty for one that it does not know."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def date_of(text: str) -> datetime | None:
    """Return the aware time that a header's text is; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def wait_s(answer: Answer, now: datetime, *, default_s: float, also_s: float | None = None) -> float:
    """Return how long an answer asks to wait, in seconds from 1 to 3600: the longest wait that it names.

    Args:
        answer: its Retry-After may be seconds or a date.
        now: aware; what that date is held against where the answer has no date of its own, which is better: this
            machine's clock may be wrong.
        default_s: where it names none.
        also_s: what its body asks for, if anything.
    """
    asked = max((wait for wait in (_header_wait_s(answer, now), also_s) if wait is not None), default=default_s)
    return min(max(asked, SHORTEST_WAIT_S), LONGEST_WAIT_S)


def _header_wait_s(answer: Answer, now: datetime) -> float | None:
    text = answer.headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(text):
        return float(text)  # however many digits: the bound comes later
    until = date_of(text)
    if until is None:
        return None
    return (until - (date_of(answer.headers.get("date", "")) or now)).total_seconds()
