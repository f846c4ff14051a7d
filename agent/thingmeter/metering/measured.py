"""The nouns of metering: pure data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from thingmeter.config.settings import AggregationType
from thingmeter.destinations.devrev.points import Group
from thingmeter.protocols import Clock

SERIES_LIMIT = 10_000  # of one UOM in a window; of all counters that feed sums; of groups whose times have an order
OWN_TIMES = frozenset(("duration", "latest", "oldest", "running_total"))  # their order is part of what they say


@dataclass(frozen=True, slots=True)
class Series:
    """What is folded apart within a window.

    Attributes:
        group: who is billed for what.
        aggregation_type: of the UOM when the sample was taken; it stays what it was when the settings change.
        reason: why it cannot be billed: a person decides about its records. Empty: it can.
    """

    group: Group
    aggregation_type: AggregationType
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of one series at one instant (aware UTC)."""

    series: Series
    value: int | float
    at: datetime


@dataclass(frozen=True, slots=True)
class Unstamped:
    """One value of one series from before the clock was set, so many seconds after the boot."""

    series: Series
    value: int | float
    uptime_s: float


@dataclass(frozen=True, slots=True)
class Moment:
    """All clocks at one instant: which boot, the seconds since it, and the wall time (aware UTC)."""

    boot_id: str
    uptime_s: float
    wall: datetime

    @classmethod
    def of(cls, clock: Clock) -> Moment:
        """Return what a clock says now."""
        return cls(clock.boot_id(), clock.boottime(), clock.now())

    def uptime_at(self, at: datetime) -> float:
        """Return how many seconds after the boot an instant was; negative before it."""
        return self.uptime_s - (self.wall - at).total_seconds()

    def wall_at(self, uptime_s: float) -> datetime:
        """Return the wall time of an instant of this boot."""
        return self.wall - timedelta(seconds=self.uptime_s - uptime_s)


def by_series(samples: Iterable[Measured | Unstamped]) -> dict[Series, int]:
    """Return a number for each series, from 0, in the order of their first sample."""
    numbers: dict[Series, int] = {}
    for sample in samples:
        numbers.setdefault(sample.series, len(numbers))
    return numbers
