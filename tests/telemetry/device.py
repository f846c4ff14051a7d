"""A device with telemetry on a real outbox; what it sends is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thingmeter.clock import WallTime
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.config.settings import Topic
from thingmeter.delivery import Delivery, Route
from thingmeter.errors import DeliveryError
from thingmeter.health import Health
from thingmeter.metrics import Metric, Value
from thingmeter.outbox import Outbox
from thingmeter.telemetry import DESTINATION, Telemetry, TelemetrySource
from thingmeter.testing import ManualClock, ScriptedTransport

LEVEL = Metric("pump.level", unit="l", dimensions=("site",))
FLOW = Metric("pump.flow", unit="l/s")


def topic(**settings: Any) -> Topic:
    return Topic(template="telemetry/pump-7", **settings)


@dataclass
class Device:
    """Samples are taken and turns run by hand; ``restart()`` is a new process on the same disk."""

    folder: Path
    settings: Topic = field(default_factory=topic)
    clock: ManualClock = field(default_factory=ManualClock)
    limits: OutboxSettings = field(default_factory=lambda: OutboxSettings(minimum_free_bytes=0))
    sync_wait_s: float = 0

    def __post_init__(self) -> None:
        self.transport = ScriptedTransport()
        self.start()

    def start(self) -> None:
        self.health = Health()
        self.outbox = Outbox.open(self.folder / "outbox.db", limits=self.limits, clock=self.clock)
        wall = WallTime(self.clock, self.sync_wait_s)
        self.telemetry = Telemetry(self.settings, "pump-7", self.outbox, wall, self.health)
        self.source = TelemetrySource(self.outbox, self.health)
        self.deliver_by(self.transport)

    def restart(self) -> None:
        """Start anew, as after kill -9."""
        self.outbox.close()
        self.start()

    def deliver_by(self, transport: ScriptedTransport) -> None:
        self.transport = transport
        route = Route(DESTINATION, self.source, transport, lambda: 0)
        self.delivery = Delivery(route, self.outbox, self.clock, self.health)

    def script(self, *outcomes: DeliveryError | None) -> None:
        """Have the next attempts end like this; those behind them are accepted."""
        self.deliver_by(ScriptedTransport(*outcomes))

    def sample(self, value: Value, metric: Metric = LEVEL, at: Any = None, **dimensions: str) -> None:
        """Take one sample, stamped now or with ``at``."""
        self.telemetry.collected((metric,), [metric.sample(value, dimensions, at or self.clock.now())])

    def pass_interval(self) -> None:
        """Let an interval pass, and end it."""
        self.clock.advance(self.settings.interval_s)
        self.telemetry.turn()

    def drain(self) -> list[Any]:
        """Deliver for as long as there is something and it is taken; return what was sent in all attempts."""
        while self.delivery.step() == 0:
            pass
        return self.sent()

    def sent(self) -> list[Any]:
        return [json.loads(payload) for payload in self.transport.payloads]

    def waiting(self) -> int:
        """Return how many batches wait."""
        return self.outbox.depth().rows

    def count(self, name: str) -> int:
        return self.health.counts().get(name, 0)


def values(sent: list[Any]) -> list[Any]:
    return [sample["value"] for sample in sent]
