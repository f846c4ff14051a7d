"""A service with what stands around it: who asks for what, what goes wrong on the way, and the record of each call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from thingmeter.protocols import Clock
from thingmeter.sandbox.http.calls import Call, error_of
from thingmeter.sandbox.http.faults import HttpFault, HttpFaults
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest, Service
from thingmeter.sandbox.stream import Stream

Manner: TypeAlias = Literal["whole", "half", "nothing", "garbage"]

FAULT_WORDS: dict[HttpFault, str] = {
    "missing": "carried out, but the connection was closed without an answer",
    "refused": "the connection was closed before it was carried out",
    "half": "carried out, but the connection was closed amid the answer",
    "garbage": "carried out, but answered by garbage",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the client: ``manner`` of ``content``, ``delay_s`` from now."""

    content: HttpAnswer | bytes = b""
    manner: Manner = "whole"
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Site:
    """A service as it is reached over HTTPS.

    Attributes:
        name: such as ``control plane``.
        service: answers requests.
        operation_of: returns the operation that a request asks for, and the name that it concerns.
        client_of: returns who asks.
        faults: what goes wrong.
        calls: gets a record of each request.
        clock: gives each record its time.
    """

    name: str
    service: Service
    operation_of: Callable[[HttpRequest], tuple[str, str]]
    client_of: Callable[[HttpRequest], str]
    faults: HttpFaults
    calls: Stream[Call]
    clock: Clock

    def reply(self, request: HttpRequest) -> Reply:
        """Have a request answered, or not, and record it."""
        operation, name = self.operation_of(request)
        fault = self.faults.take(operation, request.path)
        client = self.client_of(request)
        answer = None if fault == "refused" else self.faults.literal(fault) or self.service(request)
        lost = fault in FAULT_WORDS
        status = 0 if answer is None or lost else answer.status
        error, detail = ("", FAULT_WORDS[fault]) if answer is None or lost else error_of(answer)
        self.calls.add(
            Call(self.clock.now(), self.name, operation, name, client, request, status, error=error, detail=detail)
        )
        return self._reply(fault, answer)

    def _reply(self, fault: HttpFault, answer: HttpAnswer | None) -> Reply:
        if answer is None or fault == "missing":
            return Reply(manner="nothing")
        if fault == "half":
            return Reply(answer, "half")
        if fault == "garbage":
            return Reply(self.faults.garbage, "garbage")
        return Reply(answer, delay_s=self.faults.delay_s if fault == "late" else 0.0)
