"""One record for each HTTPS request that the sandbox took, for the page and for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest

ERROR_TYPE = "x-amzn-errortype"
FIRST_ERROR = 400
MAXIMUM_WORDS = 300


@dataclass(frozen=True, slots=True)
class Call:
    """A request and what came of it.

    Attributes:
        at: when it was answered, aware UTC.
        service: whose it is, such as ``control plane``.
        operation: such as ``CreateCustomMetric``; method and path where the service has no such operation.
        name: of the metric, UOM or role alias that it concerns; empty for a list.
        client: who asked, as far as the service can tell: the name in the certificate, or the owner of the access key.
        request: as it came.
        status: of the answer; 0 when there was none.
        error: the type of the error as the service has it; empty without one.
        detail: in words, what was wrong.
    """

    at: datetime
    service: str
    operation: str
    name: str
    client: str
    request: HttpRequest = field(repr=False)
    status: int = 0
    error: str = ""
    detail: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it was answered, and not with an error."""
        return 0 < self.status < FIRST_ERROR


def error_of(answer: HttpAnswer) -> tuple[str, str]:
    """Return the type of the error in an answer and its message; both empty in an answer that is no error."""
    if answer.status < FIRST_ERROR:
        return "", ""
    try:
        content = json.loads(answer.body)
    except ValueError:
        content = None
    body: dict[str, Any] = content if isinstance(content, dict) else {}
    named = answer.headers.get(ERROR_TYPE) or body.get("__type") or body.get("code") or body.get("type") or ""
    message = body.get("message") or body.get("Message") or body.get("detail") or ""
    return str(named).split(":", 1)[0].rsplit("#", 1)[-1], str(message)[:MAXIMUM_WORDS]
