"""What goes wrong between a caller and DevRev, or in DevRev, however right the request is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from thingmeter.sandbox.http.messages import HttpAnswer

Kind: TypeAlias = Literal[
    "error before", "error after", "throttled", "html", "redirect", "oversized", "not JSON", "no body"
]

ON_THE_WAY: frozenset[Kind] = frozenset({"html", "redirect"})
INSTEAD: frozenset[Kind] = frozenset({"error before", "throttled"})

PROXY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
ELSEWHERE = "https://sign-in.example.net/?next=devrev"


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: "error before" and "error after" answer ``status`` before or after carrying the call out; "throttled"
            answers 429 whatever the budget; "html" is the 502 page of a proxy and "redirect" its 302 to another host,
            neither of which reaches DevRev; "oversized", "not JSON" and "no body" spoil the answer of a call that was
            carried out.
        operation: the one that it strikes, such as ``uoms.create``; empty: every one.
        remaining: how many more times it strikes; None: without end.
        status: of the two errors.
        after_s: of "throttled": seconds to wait.
        padding_bytes: of "oversized".
    """

    kind: Kind
    operation: str = ""
    remaining: int | None = None
    status: int = 500
    after_s: float = 30.0
    padding_bytes: int = 2 * 1024 * 1024

    def strikes(self, operation: str) -> bool:
        """Return whether it strikes the call at hand; uses one up."""
        if self.operation not in {"", operation} or self.remaining == 0:
            return False
        if self.remaining is not None:
            self.remaining -= 1
        return True

    def of_a_proxy(self) -> HttpAnswer:
        """Return what a proxy answers in DevRev's place."""
        if self.kind == "redirect":
            return HttpAnswer(302, b"", {"location": ELSEWHERE, "content-type": "text/html"})
        return HttpAnswer(502, PROXY_PAGE, {"content-type": "text/html"})

    def spoil(self, answer: HttpAnswer) -> HttpAnswer:
        """Return what is left of the answer of a call that was carried out."""
        match self.kind:
            case "oversized":
                return HttpAnswer(answer.status, answer.body + b" " * self.padding_bytes, answer.headers)
            case "not JSON":
                return HttpAnswer(answer.status, b'{"uom": {"id": "don:co', answer.headers)
            case "no body":
                return HttpAnswer(answer.status, b"", answer.headers)
            case _:
                return answer
