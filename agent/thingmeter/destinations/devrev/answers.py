"""What DevRev says in an answer that is no success: its words for people, and how long it asks to wait (pure).

Documented are ``{"message"?, "detail"?, "type"}``; the type is not depended on, and a proxy in between may answer with
anything. Source: DevRev's beta API reference, "Responses" and "Rate limits"; RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec

from thingmeter.config.wording import escape
from thingmeter.destinations.https import Answer

MAXIMUM_WORDS = 300  # characters that are kept of what a service says
DEFAULT_WAIT_S = 60.0
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 3600.0
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")  # whole ones in the standard; a fraction is understood as well


def document_of(answer: Answer) -> Any:
    """Return the JSON document that the body is; None where it is none."""
    try:
        return msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return None


def is_page(answer: Answer) -> bool:
    """Return whether the body is a page for a browser: DevRev itself answers with JSON, a proxy with HTML."""
    content_type = answer.headers.get("content-type", "").lower()
    return "html" in content_type or answer.body.lstrip()[:1] == b"<"


def said(answer: Answer) -> str:
    """Return the status and the words of an answer, in one printable line of bounded length."""
    document = document_of(answer)
    words = ""
    if isinstance(document, Mapping):
        parts = [document.get("message"), document.get("detail")]
        words = ": ".join(dict.fromkeys(part.strip() for part in parts if isinstance(part, str) and part.strip()))
    elif document is None and not is_page(answer):
        words = answer.body[: 4 * MAXIMUM_WORDS].decode("utf-8", "replace").strip()
    return f"{answer.status} {shown(words) or _phrase(answer.status)}".rstrip()


def shown(words: str) -> str:
    """Return a service's words fit for a log: everything that does not print escaped, cut to 300 characters."""
    return escape(words[:MAXIMUM_WORDS])[:MAXIMUM_WORDS]


def wait_s(answer: Answer, now: datetime) -> float:
    """Return how long the service asks to wait, in seconds from 1 to 3600: the longer of what header and body say.

    Args:
        answer: its Retry-After may be seconds or a date, its body may hold retry_after in seconds.
        now: aware; what the date is held against where the answer has no date of its own, which is better: this
            machine's clock may be wrong.
    """
    waits = [_header_wait(answer, now)]
    document = document_of(answer)
    if isinstance(document, Mapping):
        waits.append(_seconds(document.get("retry_after")))
    asked = max((wait for wait in waits if wait is not None), default=DEFAULT_WAIT_S)
    return min(max(asked, SHORTEST_WAIT_S), LONGEST_WAIT_S)


def _header_wait(answer: Answer, now: datetime) -> float | None:
    text = answer.headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(text):
        return float(text)  # however many digits: the bound comes later
    until = _date(text)
    if until is None:
        return None
    return (until - (_date(answer.headers.get("date", "")) or now)).total_seconds()


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    bounded = max(min(value, LONGEST_WAIT_S), 0.0)  # before it becomes a float: an integer may be too large for one
    return float(bounded) if math.isfinite(bounded) else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
