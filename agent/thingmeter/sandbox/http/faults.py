"""Switches that make an HTTPS service of the sandbox misbehave on the way, whatever the service itself would answer.

An ``HttpFaults`` is read at each request, from the sandbox's own thread; change its fields at any time from any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from thingmeter.sandbox.http.messages import HttpAnswer

HttpFault: TypeAlias = Literal["none", "missing", "refused", "late", "html", "status", "half", "garbage"]

HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
BAD_GATEWAY = 502


@dataclass(slots=True)
class HttpFaults:
    """What goes wrong; without an argument, nothing.

    Attributes:
        kind: what becomes of a request. "missing": it is carried out, and the connection closes without an answer.
            "refused": the connection closes before it is carried out. "late": answered after ``delay_s``. "html": a
            proxy's page says that it found no server; not carried out. "status": ``status``, ``body`` and ``headers``
            as they are; not carried out. "half": carried out, but the connection closes amid the answer's body.
            "garbage": carried out, and answered by the bytes ``garbage``.
        only: an operation such as ``CreateCustomMetric``, or the beginning of a path; empty: every request.
        remaining: how many more times it goes wrong; None: without end.
        delay_s: of "late".
        status: of "status".
        body: of "status".
        headers: of "status".
        garbage: of "garbage".
    """

    kind: HttpFault = "none"
    only: str = ""
    remaining: int | None = None
    delay_s: float = 0.2
    status: int = 503
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    garbage: bytes = b"\x00\xff\xfe not HTTP\r\n"

    def take(self, operation: str, path: str) -> HttpFault:
        """Return what becomes of the request at hand."""
        if self.kind == "none" or self.remaining == 0 or not self._concerns(operation, path):
            return "none"
        if self.remaining is not None:
            self.remaining -= 1
        return self.kind

    def literal(self, fault: HttpFault) -> HttpAnswer | None:
        """Return the answer that a fault gives in place of the service's; None when the service is asked."""
        if fault == "html":
            return HttpAnswer(BAD_GATEWAY, HTML, {"content-type": "text/html"})
        if fault == "status":
            return HttpAnswer(self.status, self.body, self.headers)
        return None

    def _concerns(self, operation: str, path: str) -> bool:
        if self.only.startswith("/"):
            return path.startswith(self.only)
        return self.only in {"", operation}
