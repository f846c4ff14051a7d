"""Every answer that refuses: what is wrong with a request, and the bodies that say so.

A body is ``{"message"?, "detail"?, "type"}`` with what its type adds. Source: the error schemas of DevRev's beta API.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal, TypeAlias

from thingmeter.sandbox.devrev.switches import ThrottleForm
from thingmeter.sandbox.http.messages import HttpAnswer

FlawType: TypeAlias = Literal[
    "bad_request",
    "invalid_enum_value",
    "invalid_field",
    "invalid_id",
    "missing_required_field",
    "parse_error",
    "unexpected_id_type",
    "unexpected_json_type",
    "value_not_permitted",
]

SHOWN_FLAWS = 3
WORDS = {
    500: ("internal_error", "Internal error"),
    502: ("internal_error", "Bad gateway"),
    503: ("service_unavailable", "Service unavailable"),
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong with a request.

    Attributes:
        type: of the answer.
        field_name: which field, as a path such as ``metrics[0].name``; empty for the request as a whole.
        message: what is wrong and what is allowed.
        members: what the type adds to the body beside ``field_name``.
    """

    type: FlawType
    field_name: str
    message: str
    members: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.field_name}: {self.message}" if self.field_name else self.message


def bad_request(flaws: Sequence[Flaw]) -> HttpAnswer:
    """Return 400: the type of the first flaw, and the first few in words."""
    first = flaws[0]
    body: dict[str, Any] = {"message": "; ".join(map(str, flaws[:SHOWN_FLAWS])), "type": first.type}
    if len(flaws) > SHOWN_FLAWS:
        body["detail"] = f"and {len(flaws) - SHOWN_FLAWS} more"
    if first.type not in {"bad_request", "parse_error"}:
        body["field_name"] = first.field_name
    return HttpAnswer.of_json(400, {**body, **first.members})


def unauthorized(message: str) -> HttpAnswer:
    """Return 401."""
    return HttpAnswer.of_json(401, {"message": message, "type": "unauthenticated"}, {"www-authenticate": "Bearer"})


def forbidden(operation: str) -> HttpAnswer:
    """Return 403."""
    return HttpAnswer.of_json(403, {"message": f"The token may not call {operation}", "type": "forbidden"})


def not_found(message: str) -> HttpAnswer:
    """Return 404."""
    return HttpAnswer.of_json(404, {"message": message, "type": "not_found"})


def wrong_method(method: str, allowed: Sequence[str]) -> HttpAnswer:
    """Return 405, which the reference does not know."""
    words = f"{method} is not one of {', '.join(allowed)}"
    return HttpAnswer.of_json(405, {"message": words, "type": "bad_request"}, {"allow": ", ".join(allowed)})


def conflict(message: str) -> HttpAnswer:
    """Return 409."""
    return HttpAnswer.of_json(409, {"message": message, "type": "conflict"})


def server_error(status: int) -> HttpAnswer:
    """Return a 5xx."""
    kind, message = WORDS.get(status, WORDS[500])
    body = {"message": message, "type": kind}
    return HttpAnswer.of_json(status, body | ({"reference_id": "sandbox"} if kind == "internal_error" else {}))


def too_many_requests(after_s: float, form: ThrottleForm, now: datetime) -> HttpAnswer:
    """Return 429 with the wait where ``form`` has it."""
    body: dict[str, Any] = {"message": "Too many requests with this token", "type": "too_many_requests"}
    headers: dict[str, str] = {}
    seconds = max(1, math.ceil(after_s))
    match form:
        case "both" | "seconds":
            headers["retry-after"] = str(seconds)
        case "fraction":
            headers["retry-after"] = f"{after_s:.3f}"
        case "date":
            headers["retry-after"] = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
        case "body" | "none":
            pass
    if form in {"both", "body"}:
        body["retry_after"] = seconds
    return HttpAnswer.of_json(429, body, headers)
