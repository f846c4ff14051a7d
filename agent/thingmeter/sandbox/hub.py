"""What all connections of the broker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from thingmeter.protocols import Clock
from thingmeter.sandbox.events import Event, EventKind
from thingmeter.sandbox.faults import Faults
from thingmeter.sandbox.limits import Limits
from thingmeter.sandbox.packets import Reason
from thingmeter.sandbox.policy import Policy, policy_of
from thingmeter.sandbox.router import Router
from thingmeter.sandbox.stream import Stream

ARRIVAL_SLACK = 0.9  # a client that keeps the interval at its own end may seem a little early at ours
REMEMBERED_CLIENTS = 1000


class Session(Protocol):
    """A connection that has a client id."""

    def end(self, reason: int, words: str) -> None:
        """Disconnect the client with ``reason``."""


@dataclass(slots=True)
class Hub:
    """The broker's shared state. Not thread-safe, but for ``faults`` and ``events``: it belongs to the loop."""

    router: Router
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    events: Stream[Event] = field(default_factory=Stream)
    policy_of: Callable[[str], Policy] = policy_of
    sessions: dict[str, Session] = field(default_factory=dict)
    connects: int = 0
    _last_connects: dict[str, float] = field(default_factory=dict)

    def admit(self, client_id: str, session: Session) -> Reason:
        """Register a connection under its client id, ending an older one; anything but SUCCESS refuses it.

        A refused connect leaves the older connection as it is, and does not count for the next one.
        """
        now = self.clock.monotonic()
        last = self._last_connects.get(client_id)
        if last is not None and now - last < self.limits.connect_interval_s * ARRIVAL_SLACK:
            return Reason.CONNECTION_RATE_EXCEEDED
        if self.faults.maximum_connects is not None and self.connects >= self.faults.maximum_connects:
            return Reason.QUOTA_EXCEEDED
        self._last_connects.pop(client_id, None)
        self._last_connects[client_id] = now
        if len(self._last_connects) > REMEMBERED_CLIENTS:
            del self._last_connects[next(iter(self._last_connects))]
        self.connects += 1
        older = self.sessions.get(client_id)
        if older is not None:
            older.end(Reason.SESSION_TAKEN_OVER, "another connection has the same client id")
        self.sessions[client_id] = session
        return Reason.SUCCESS

    def forget(self, client_id: str, session: Session) -> None:
        """Unregister a connection that has ended, unless another has taken its place."""
        if self.sessions.get(client_id) is session:
            del self.sessions[client_id]

    def tell(self, kind: EventKind, client: str, detail: str = "", payload: bytes = b"") -> None:
        """Record an event."""
        self.events.add(Event(self.clock.now(), kind, client, detail, payload))
