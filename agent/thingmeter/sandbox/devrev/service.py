"""DevRev: the calls for UOMs and usage records over HTTP requests, on a clock of the caller's. No I/O, state in memory.

devrev = DevRev(clock)
devrev.tokens.add("secret")
answer = devrev.answer(HttpRequest("POST", "/uoms.create", headers=..., body=...))
devrev.switches.faults.append(Fault("error after", operation="uoms.create", remaining=1))

Source: DevRev's beta API reference (github.com/devrev/fern-api-docs, fern/apis/beta/openapi-beta.yaml).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thingmeter.protocols import Clock
from thingmeter.sandbox.defender.json_reader import read_json
from thingmeter.sandbox.defender.tree import Node
from thingmeter.sandbox.devrev.access import Access, presented_token
from thingmeter.sandbox.devrev.calls import Call, words_of
from thingmeter.sandbox.devrev.faults import INSTEAD, ON_THE_WAY, Fault
from thingmeter.sandbox.devrev.points import Drop, Point
from thingmeter.sandbox.devrev.query import read_query
from thingmeter.sandbox.devrev.refusals import (
    Flaw,
    bad_request,
    not_found,
    server_error,
    too_many_requests,
    wrong_method,
)
from thingmeter.sandbox.devrev.shapes import Check
from thingmeter.sandbox.devrev.switches import Switches
from thingmeter.sandbox.devrev.totals import Group
from thingmeter.sandbox.devrev.uom_calls import UomCalls
from thingmeter.sandbox.devrev.uom_rules import COUNT, CREATE, GET, KEY, LIST, UPDATE
from thingmeter.sandbox.devrev.uoms import Uoms
from thingmeter.sandbox.devrev.usage import Usage
from thingmeter.sandbox.devrev.usage_rules import INGEST
from thingmeter.sandbox.errors import Undecodable
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest
from thingmeter.sandbox.stream import Stream

POST = ("POST",)
GET_OR_POST = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class _Operation:
    """One call: its methods, the shape of its request, and what carries it out."""

    methods: tuple[str, ...]
    shape: Check
    carry_out: Callable[[dict[str, Any]], HttpAnswer]


class DevRev:
    """One organisation at DevRev. ``answer`` is a ``messages.Service``: one thread at a time.

    Points and their ids are kept as long as it lives, for the totals; calls are not.

    Attributes:
        tokens: those that are accepted; add to them.
        uoms: the UOMs there are.
        calls: the newest thousand calls; ``calls.follow`` hands on every one.
    """

    def __init__(self, clock: Clock, switches: Switches | None = None) -> None:
        self.tokens: set[str] = set()
        self.calls: Stream[Call] = Stream()
        self._clock = clock
        self._switches = switches if switches is not None else Switches()
        self.uoms = Uoms(clock, self._switches)
        self._usage = Usage(self.uoms, clock, self._switches)
        self._access = Access(clock, self._switches, self.tokens)
        uom_calls = UomCalls(self.uoms, clock, self._switches)
        self._operations = {
            "metrics.devrev.ingest": _Operation(POST, INGEST, self._usage.ingest),
            "uoms.count": _Operation(GET_OR_POST, COUNT, uom_calls.count),
            "uoms.create": _Operation(POST, CREATE, uom_calls.create),
            "uoms.delete": _Operation(POST, GET, uom_calls.delete),
            "uoms.get": _Operation(GET_OR_POST, GET, uom_calls.get),
            "uoms.list": _Operation(GET_OR_POST, LIST, uom_calls.list_uoms),
            "uoms.update": _Operation(POST, UPDATE, uom_calls.update),
        }

    @property
    def switches(self) -> Switches:
        """How it behaves; change the fields at any time."""
        return self._switches

    @property
    def dropped(self) -> list[Drop]:
        """The points that were dropped behind a 200, oldest first."""
        return self._usage.dropped

    def points(self, metric_name: str) -> tuple[Point, ...]:
        """Return the accepted points of a UOM, in the order of their arrival."""
        return self._usage.points(metric_name)

    def totals(
        self, metric_name: str, since: datetime | None = None, until: datetime | None = None
    ) -> dict[Group, float]:
        """Return what each group would be billed from ``since`` to before ``until``, both aware; see ``totals.py``."""
        return self._usage.totals(metric_name, since, until)

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request, whatever it is."""
        path = request.path.removeprefix("/")
        operation = path if path in self._operations else ""
        body, flaws = _content(request)
        name = self._name(body)
        answer = self._judge(request, operation, body, flaws)
        now, now_s = self._clock.now(), self._clock.monotonic()
        token = presented_token(request)
        self.calls.add(Call(now, now_s, operation, token, answer.status, name, words_of(answer)))
        return answer

    def _judge(self, request: HttpRequest, name: str, body: Node, flaws: list[Flaw]) -> HttpAnswer:
        """Go through all that stands between a request and its answer, in the order of a real service."""
        fault = self._switches.take_fault(name)
        if fault is not None and fault.kind in ON_THE_WAY:
            return fault.of_a_proxy()
        operation = self._operations.get(name)
        if operation is None:
            return not_found(f"There is no call {request.path}"[:200])
        if request.method not in operation.methods:
            return wrong_method(request.method, operation.methods)
        refusal = self._access.refuse(request, name)
        if refusal is not None:
            return refusal
        if fault is not None and fault.kind in INSTEAD:
            return self._instead(fault)
        flaws = flaws or list(operation.shape(body, ""))
        if flaws or not isinstance(body, dict):
            return bad_request(flaws)
        answer = operation.carry_out(body)
        if fault is None:
            return answer
        return server_error(fault.status) if fault.kind == "error after" else fault.spoil(answer)

    def _instead(self, fault: Fault) -> HttpAnswer:
        if fault.kind == "throttled":
            return too_many_requests(fault.after_s, self._switches.throttle_form, self._clock.now())
        return server_error(fault.status)

    def _name(self, body: Node) -> str:
        """Return the metric name that a request concerns, where it concerns one."""
        if not isinstance(body, dict):
            return ""
        name, uom_id = body.get("metric_name"), body.get("id")
        uom = self.uoms.of_id(uom_id) if isinstance(uom_id, str) else None
        if uom is not None:
            return uom.metric_name
        return name if isinstance(name, str) and not any(KEY(name, "")) else ""


def _content(request: HttpRequest) -> tuple[Node, list[Flaw]]:
    """Return what a request asks for, and what is wrong with how it is written."""
    if request.method == "GET":
        return read_query(request.query)
    flaws = [Flaw("bad_request", "", "a query goes with GET only")] if request.query else []
    try:
        return read_json(request.body), flaws
    except Undecodable as error:
        return None, [*flaws, Flaw("parse_error", "", str(error))]
