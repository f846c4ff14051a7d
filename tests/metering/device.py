"""A device with metering on a real outbox, and a DevRev that judges what it has frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from thingmeter.clock import WallTime
from thingmeter.config.settings import AggregationType, DevRev, Unit, Uom
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.destinations.devrev.usage import UsageRecord, read
from thingmeter.health import Health
from thingmeter.metering import Identity, Metering
from thingmeter.metrics import Metric, Sample, Value
from thingmeter.outbox import LedgerRow, Outbox
from thingmeter.testing import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL_S = 10
MakeDevice = Callable[..., "Device"]
LEVEL = Metric("pump.level", unit="l", dimensions=("site", "line"))
LITRES = Metric("pump.litres", unit="l", kind="counter", dimensions=("site", "line"))


def uom(name: str, kind: AggregationType, source: str = "pump.level", **settings: Any) -> Uom:
    """Return a UOM with the dimension site."""
    own: dict[str, Any] = {"dimensions": ("site",), "unit": Unit(name="l", type="number")}
    return Uom(metric_name=name, name=name, product_id="PROD-1", aggregation_type=kind, from_=source, **own | settings)


def devrev(*uoms: Uom, window_s: int = 60, account_ref: str = "ACC-1", **settings: Any) -> DevRev:
    return DevRev(uom=uoms, window_s=window_s, account_ref=account_ref, **settings)


def limits(maximum_bytes: int = 1 << 26) -> OutboxSettings:
    return OutboxSettings(minimum_free_bytes=0, maximum_bytes=maximum_bytes)


@dataclass
class Device:
    """Samples are taken and turns run by hand; ``restart()`` is a new process on the same disk."""

    folder: Path
    settings: DevRev
    clock: ManualClock = field(default_factory=ManualClock)
    sync_wait_s: float = 0
    bounds: OutboxSettings = field(default_factory=limits)
    machine_id: str = "machine-1"

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        (self.folder / "machine-id").write_text(self.machine_id)
        self.health = Health()
        self.outbox = Outbox.open(self.folder / "outbox.db", limits=self.bounds, clock=self.clock)
        self.identity = Identity(
            "pump-7", self.outbox.state("usage.installation"), machine_id_file=self.folder / "machine-id"
        )
        wall = WallTime(self.clock, self.sync_wait_s)
        self.metering = Metering(self.settings, self.identity, self.outbox, wall, self.health)

    def restart(self, settings: DevRev | None = None) -> None:
        """Start anew, as after kill -9: nothing is committed at the end."""
        self.outbox.close()
        self.settings = settings or self.settings
        self.start()

    def reboot(self, wall: datetime | None = None) -> None:
        """Start the machine anew, with the wall time as it was, or another one."""
        self.clock.reboot()
        if wall is not None:
            self.clock.step((wall - self.clock.now()).total_seconds())
        self.restart()

    def sample(self, value: Value, metric: Metric = LEVEL, at: datetime | None = None, **dimensions: str) -> None:
        """Take one sample now; ``at`` is what it says itself."""
        own = tuple(sorted(dimensions.items()))
        self.metering.collected((metric,), [Sample(metric, value, at or self.clock.now(), own)])

    def samples(self, *values: Value, metric: Metric = LEVEL, **dimensions: str) -> None:
        """Take samples, one each interval, with a turn after each."""
        for value in values:
            self.sample(value, metric, None, **dimensions)
            self.pass_s(INTERVAL_S)

    def pass_s(self, seconds: float) -> None:
        """Let time pass, with one turn behind it."""
        self.clock.advance(seconds)
        self.metering.turn()

    def records(self, name: str) -> list[UsageRecord]:
        """Return what is frozen and waits, in its order."""
        return [read(message.payload) for message in self.outbox.waiting(f"devrev.{name}", 100_000)]

    def values(self, name: str) -> list[float]:
        return [record.point.value for record in self.records(name)]

    def times_s(self, name: str) -> list[float]:
        """Return the records' times, in seconds after the start."""
        return [(record.point.at - START).total_seconds() for record in self.records(name)]

    def aside(self, name: str) -> list[tuple[float, str]]:
        """Return value and reason of what a person has to decide about."""
        found = self.outbox.set_aside_list(f"devrev.{name}", 100_000)
        return [(read(entry.message.payload).point.value, entry.reason) for entry in found]

    def counts(self) -> Mapping[str, int]:
        return self.health.counts()

    def ledger(self, name: str) -> list[LedgerRow]:
        return [row for row in self.outbox.ledger() if row.destination == f"devrev.{name}"]


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
