"""Usage records in an outbox, and two transports at the seam: one with poison in mind, one that leads to a DevRev."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from thingmeter.config.settings import AggregationType
from thingmeter.delivery import Delivery, Route
from thingmeter.destinations.devrev.batches import Feed, UsageSource, queue_of
from thingmeter.destinations.devrev.points import Group, UsagePoint
from thingmeter.destinations.devrev.sizing import Limits
from thingmeter.destinations.devrev.usage import encode
from thingmeter.errors import Denied, Rejected, Throttled, Unanswered, Unreachable
from thingmeter.health import Health
from thingmeter.outbox import Entry, Outbox
from thingmeter.protocols import Transport
from thingmeter.sandbox.devrev import DevRev
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.testing import ManualClock

TOKEN = "t0ken"
HEADERS = {"authorization": f"Bearer {TOKEN}", "x-devrev-scope": "beta", "content-type": "application/json"}
START = datetime(2026, 1, 1, tzinfo=UTC)

Fate: TypeAlias = Literal["fine", "lost after", "lost before", "denied", "throttled", "unreachable"]


def record(number: int, name: str = "litres", kind: AggregationType = "sum", pad: int = 0) -> bytes:
    """Return the frame of record ``number``, whose value is its number."""
    dimensions = (("site", "x" * pad),) if pad else ()
    group = Group(name, "ACC-1", dimensions=dimensions)
    return encode(UsagePoint(group, float(number), START + timedelta(seconds=number)), f"{name}-{number}", kind)


def freeze(outbox: Outbox, numbers: Iterable[int], name: str = "litres", kind: AggregationType = "sum") -> None:
    """Leave records in the outbox, as at the end of a window."""
    entries = [Entry(f"{name}-{n}", record(n, name, kind), START.date(), float(n)) for n in numbers]
    outbox.freeze({queue_of(name): entries})


def ids_in(payload: bytes) -> list[str]:
    """Return the ids of a request's records, in its order."""
    return [point["id"] for metric in json.loads(payload)["metrics"] for point in metric["data_points"]]


def waiting(outbox: Outbox, name: str = "litres") -> list[str]:
    """Return the ids of what waits."""
    return [message.key for message in outbox.waiting(queue_of(name), 10_000)]


def aside(outbox: Outbox, name: str = "litres") -> list[str]:
    """Return the ids of what was set aside."""
    return [one.message.key for one in outbox.set_aside_list(queue_of(name), 10_000)]


@dataclass
class Bench:
    """The delivery of usage on one outbox, stepped by hand."""

    outbox: Outbox
    clock: ManualClock
    transport: Transport
    names: tuple[str, ...] = ("litres",)
    is_ready: Callable[[str], bool] = lambda _: True
    limits: Limits = field(default_factory=Limits)
    is_clock_set: Callable[[], bool] = lambda: True
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start, or start again as a new process does."""
        feed = Feed(self.names, self.is_ready, self.limits, self.is_clock_set)
        self.source = UsageSource(feed, self.outbox, self.clock, self.health)
        route = Route(
            "devrev",
            self.source,
            self.transport,
            self.source.hold_s,
            queues=self.source.queues,
            kept=self.source.kept,
        )
        self.delivery = Delivery(route, self.outbox, self.clock, self.health)

    def step(self, times: int = 1) -> None:
        """Make attempts, whatever wait is due between them."""
        for _ in range(times):
            self.delivery.wake()
            wait_s = self.delivery.step()
            if 0 < wait_s < float("inf"):
                self.clock.advance(wait_s)

    def drain(self, limit: int = 10_000) -> None:
        """Make attempts until nothing is left to send."""
        for _ in range(limit):
            self.delivery.wake()
            wait_s = self.delivery.step()
            if wait_s == float("inf"):
                return
            self.clock.advance(wait_s)
        raise AssertionError(f"not done after {limit} steps")


class Picky:
    """Rejects every request with a poisoned record in it, or with too many bytes."""

    def __init__(self, poison: Iterable[str] = (), maximum_bytes: int = 1 << 30) -> None:
        self.poison = set(poison)
        self.maximum_bytes = maximum_bytes
        self.requests: list[list[str]] = []
        self.accepted: list[str] = []

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # the protocol's signature
        ids = ids_in(payload)
        self.requests.append(ids)
        if self.poison & set(ids) or len(payload) > self.maximum_bytes:
            raise Rejected("400 Bad Request: a value is not permitted")
        self.accepted.extend(ids)

    def close(self) -> None:
        pass


class ToDevRev:
    """Leads to a DevRev; ``fates`` says what becomes of each request, in turn, and behind the last one all is fine."""

    def __init__(self, devrev: DevRev, fates: Iterable[Fate] = ()) -> None:
        self.devrev = devrev
        self.fates = list(fates)

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # the protocol's signature
        fate = self.fates.pop(0) if self.fates else "fine"
        if fate == "denied":
            raise Denied("401")
        if fate == "throttled":
            raise Throttled("429", after_s=30)
        if fate == "unreachable":
            raise Unreachable("no connection")
        if fate == "lost before":
            raise Unanswered("the request was lost")
        answer = self.devrev.answer(HttpRequest("POST", "/metrics.devrev.ingest", headers=HEADERS, body=payload))
        if fate == "lost after":
            raise Unanswered("the answer was lost")
        if answer.status == 400:
            raise Rejected(str(answer.body))
        assert answer.status == 200

    def close(self) -> None:
        pass


def devrev_on(clock: ManualClock, **uoms: AggregationType) -> DevRev:
    """Return a DevRev with UOMs by name."""
    devrev = DevRev(clock)
    devrev.tokens.add(TOKEN)
    for name, kind in uoms.items():
        content = {
            "aggregation_detail": {"aggregation_type": kind},
            "metric_name": name,
            "name": name,
            "product_id": "PROD-1",
            "unit": {"name": "unit", "type": "number"},
        }
        answer = devrev.answer(HttpRequest("POST", "/uoms.create", headers=HEADERS, body=json.dumps(content).encode()))
        assert answer.status == 201, answer.body
    return devrev
