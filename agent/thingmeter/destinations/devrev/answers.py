"""What DevRev says in an answer that is no success: its words for people, and how long it asks to wait (pure).

Documented are ``{"message"?, "detail"?, "type"}``; the type is not depended on, and a proxy in between may answer with
anything. Source: DevRev's beta API reference, "Responses" and "Rate limits".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from thingmeter.destinations import answers
from thingmeter.destinations.answers import LONGEST_WAIT_S, MAXIMUM_WORDS, phrase, shown
from thingmeter.destinations.https import Answer

DEFAULT_WAIT_S = 60.0


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
    return f"{answer.status} {shown(words) or phrase(answer.status)}".rstrip()


def wait_s(answer: Answer, now: datetime) -> float:
    """Return how long DevRev asks to wait, in seconds from 1 to 3600: the longer of what header and body say.

    Args:
        answer: its Retry-After may be seconds or a date, its body may hold retry_after in seconds.
        now: aware, this machine's; of use where the answer has no date of its own.
    """
    document = document_of(answer)
    also_s = _seconds(document.get("retry_after")) if isinstance(document, Mapping) else None
    return answers.wait_s(answer, now, default_s=DEFAULT_WAIT_S, also_s=also_s)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    bounded = max(min(value, LONGEST_WAIT_S), 0.0)  # before it becomes a float: an integer may be too large for one
    return float(bounded) if math.isfinite(bounded) else None
