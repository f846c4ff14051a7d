"""A record of each call, for tests, for simulations and for whoever watches the sandbox."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from thingmeter.sandbox.http.messages import HttpAnswer

OPERATIONS = (
    "metrics.devrev.ingest",
    "uoms.count",
    "uoms.create",
    "uoms.delete",
    "uoms.get",
    "uoms.list",
    "uoms.update",
)
FIRST_ERROR_STATUS = 400


@dataclass(frozen=True, slots=True)
class Call:
    """One call and what came of it.

    Attributes:
        at: when it was answered, aware UTC.
        monotonic_s: the same by the clock that never steps, for rates.
        operation: one of ``OPERATIONS``; empty for a path that is none.
        token: as it was presented, without the scheme; empty without one.
        status: of the answer.
        name: the metric name that it concerns, where it concerns one.
        words: why it was refused; empty when it was not.
    """

    at: datetime
    monotonic_s: float
    operation: str
    token: str = field(repr=False)
    status: int
    name: str = ""
    words: str = ""


def words_of(answer: HttpAnswer) -> str:
    """Return the message that an answer carries; empty for one that refuses nothing or says nothing."""
    if answer.status < FIRST_ERROR_STATUS:
        return ""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return ""
    return str(content.get("message", "")) if isinstance(content, dict) else ""
