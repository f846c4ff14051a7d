"""Who may call: the token, how often, and the headers that every call carries."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection

from thingmeter.protocols import Clock
from thingmeter.sandbox.devrev.refusals import Flaw, bad_request, forbidden, too_many_requests, unauthorized
from thingmeter.sandbox.devrev.switches import Switches
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest

WINDOW_S = 300.0
AUTHORIZATION = re.compile(r"(?P<scheme>(?i:bearer) +)?(?P<token>[^\s,]+)")
JSON_TYPE = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)


class Access:
    """Judges everything about a call but its content."""

    def __init__(self, clock: Clock, switches: Switches, tokens: Collection[str]) -> None:
        self._clock = clock
        self._switches = switches
        self._tokens = tokens
        self._taken: dict[str, deque[float]] = {}

    def refuse(self, request: HttpRequest, operation: str) -> HttpAnswer | None:
        """Return why the call is refused, or None; counts it against the budget of its token."""
        token = presented_token(request)
        return (
            self._refuse_token(request)
            or self._refuse_excess(token)
            or self._refuse_headers(request)
            or (forbidden(operation) if operation in self._switches.forbidden else None)
        )

    def _refuse_token(self, request: HttpRequest) -> HttpAnswer | None:
        given = request.headers.get("authorization", "")
        if not given:
            return unauthorized("The header Authorization is missing")
        found = AUTHORIZATION.fullmatch(given)
        if found is None:
            return unauthorized("The header Authorization is neither Bearer TOKEN nor a bare token")
        form = "bearer" if found["scheme"] else "bare"
        if self._switches.schemes not in {"both", form}:
            return unauthorized(f"The token must be sent {'bare' if form == 'bearer' else 'as Bearer TOKEN'}")
        if found["token"] in self._switches.expired_tokens:
            return unauthorized("The token has expired")
        return None if found["token"] in self._tokens else unauthorized("The token is not valid")

    def _refuse_excess(self, token: str) -> HttpAnswer | None:
        """What is refused does not count: a caller that comes back too early waits no longer for it."""
        budget = self._switches.calls_per_window
        if budget is None:
            return None
        now_s = self._clock.monotonic()
        taken = self._taken.setdefault(token, deque())
        while taken and taken[0] <= now_s - WINDOW_S:
            taken.popleft()
        if len(taken) < budget:
            taken.append(now_s)
            return None
        after_s = taken[0] + WINDOW_S - now_s if taken else WINDOW_S
        return too_many_requests(after_s, self._switches.throttle_form, self._clock.now())

    def _refuse_headers(self, request: HttpRequest) -> HttpAnswer | None:
        flaws = []
        if self._switches.needs_scope and request.headers.get("x-devrev-scope") != "beta":
            flaws.append(Flaw("bad_request", "", "the header X-Devrev-Scope: beta is missing"))
        declared = JSON_TYPE.fullmatch(request.headers.get("content-type", ""))
        if self._switches.needs_content_type and request.method == "POST" and declared is None:
            flaws.append(Flaw("bad_request", "", "the header Content-Type: application/json is missing"))
        return bad_request(flaws) if flaws else None


def presented_token(request: HttpRequest) -> str:
    """Return the token of a call, whether it is a good one or not; empty without one."""
    found = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    return found["token"] if found is not None else ""
