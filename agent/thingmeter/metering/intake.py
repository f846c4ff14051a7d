"""Takes samples in: what feeds which UOM, what a counter grew by, at what time it was, and whether there is room.

Nothing here is durable. What was taken waits in memory until ``batch()`` hands it over to be committed, together with
the state of the counters that belongs to exactly these samples; a commit that failed gives it back.

Bounds: ``PENDING_LIMIT`` samples wait for a commit, and ``SERIES_LIMIT`` series of one UOM share a window; what is
beyond is dropped and counted. A counter that feeds a sum is not read then: what it grew by comes with a later sample.
How many such counters are known at once is bounded as well (increases.py).

Counted in health: ``usage_samples_dropped`` (by a bound), ``usage_samples_refused`` (no number, or no possible time),
``usage_samples_ahead`` (said a time in the future; they have the present one), ``usage_times_given_up`` (groups whose
last time was more than a day ahead of the wall time, so that they went on with an earlier one); and what increases.py
counts.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from thingmeter.clock import RELEASED
from thingmeter.destinations.devrev.folding import EPOCH, window_of
from thingmeter.health import Health
from thingmeter.metering.feeding import Claim, Feeding
from thingmeter.metering.increases import Increases
from thingmeter.metering.measured import OWN_TIMES, SERIES_LIMIT, Measured, Moment, Series, Unstamped
from thingmeter.metering.times import Times
from thingmeter.metering.unset import Found
from thingmeter.metering.windows import Rooms
from thingmeter.metrics import Sample

logger = logging.getLogger(__name__)

PENDING_LIMIT = 50_000  # half an hour of 250 samples each 10 s; some 10 MB
AHEAD_LIMIT = timedelta(seconds=60)  # by which a time may be ahead of the wall time: a source's own clock may be fast
TOLD_LIMIT = 32  # different troubles that are told at WARNING
SETTLING_S = 60.0  # what was stamped just before the clock was set is handed over within this time
LAST_TIME = datetime(9000, 1, 1, tzinfo=UTC)  # a window behind it might not end before the calendar does

Taken: TypeAlias = Measured | Unstamped


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known from earlier: what the counters stood at, the last times, and the series of the open windows."""

    increases: Increases
    times: Times
    rooms: Rooms


@dataclass(frozen=True, slots=True)
class Batch:
    """What waits to be committed.

    Attributes:
        samples: in their order.
        counters: the state of the counters that includes them; None when none has changed since the last batch.
        through: how many samples have been taken so far.
    """

    samples: tuple[Taken, ...]
    counters: bytes | None
    through: int

    def stamped(self) -> list[Measured]:
        """Return the samples with a wall time."""
        return [sample for sample in self.samples if isinstance(sample, Measured)]

    def unstamped(self) -> list[Unstamped]:
        """Return the samples without."""
        return [sample for sample in self.samples if isinstance(sample, Unstamped)]


class Intake:
    """Samples that are not committed yet. Its methods may be called from any thread."""

    def __init__(self, feeding: Feeding, window_s: int, kept: Kept, health: Health) -> None:
        self._feeding = feeding
        self._window_s = window_s
        self._increases = kept.increases
        self._times = kept.times
        self._rooms = kept.rooms
        self._health = health
        self._lock = threading.Lock()
        self._pending: list[Taken] = []
        self._through = 0
        self._was_unset = False
        self._set_since_s = -SETTLING_S
        self._told: set[str] = set()

    def take(self, samples: Iterable[Sample], now: Moment, *, is_set: bool) -> None:
        """Take what a collector gave just now; ``is_set``: the wall time is believed."""
        with self._lock:
            if is_set and self._was_unset:
                self._set_since_s = now.uptime_s
            self._was_unset = not is_set
            for sample in samples:
                claims = list(self._feeding.of(sample.metric.name, sample.dimensions, sample.metric))
                if not claims:
                    continue
                at = self._time_of(sample, now, is_set=is_set)
                if at is None or EPOCH <= at < LAST_TIME:
                    self._take(sample, claims, self._not_ahead(sample, at, now), now)
                else:
                    self._refuse(sample.metric.name, f"the time {at} is none that can be")

    def offer(self, claim: Claim, value: float, at: datetime | None, now: Moment) -> tuple[Taken, int] | None:
        """Take a value that was handed in, at ``at``, or just now where there is no wall time yet (None).

        Returns:
            what was taken, and how many samples that makes; None where there is no room.
        """
        with self._lock:
            if not self._has_room(claim.series, at):
                return None
            taken = self._add(claim.series, value, at, now)
            return taken, self._through

    def withdraw(self, taken: Taken) -> None:
        """Take back what was offered and could not be committed."""
        with self._lock:
            self._pending = [each for each in self._pending if each is not taken]

    def batch(self) -> Batch:
        """Hand over all that waits, to be committed or given back before the next batch."""
        with self._lock:
            state = self._increases.state() if self._increases.is_changed else None
            batch = Batch(tuple(self._pending), state, self._through)
            self._pending = []
            self._increases.is_changed = False
            return batch

    def give_back(self, batch: Batch) -> None:
        """Take back a batch that could not be committed."""
        with self._lock:
            self._pending[:0] = batch.samples
            self._increases.is_changed |= batch.counters is not None

    def place(self, found: Iterable[Found]) -> list[Measured]:
        """Return samples from before the clock was set with the times that they have among all others."""
        with self._lock:
            return [self._placed(each.measured, each.uptime_s) for each in found]

    def times_state(self, now: Moment) -> bytes | None:
        """Return the last times to be stored; None when there are none."""
        with self._lock:
            return self._times.state(now) if self._times.known() else None

    def make_room(self, windows: Iterable[int | None]) -> None:
        """Forget the series of windows that are frozen (None: of what had no window yet)."""
        with self._lock:
            for window in windows:
                self._rooms.pop(window, None)

    def _time_of(self, sample: Sample, now: Moment, *, is_set: bool) -> datetime | None:
        """Return a sample's wall time, None where there is none yet: it was stamped by a clock that is not set.

        A time of which the clock was set meanwhile is wrong as well; now is at most one collect behind the right one.
        """
        if not is_set:
            return None
        at = sample.at or now.wall
        age_s = (now.wall - at).total_seconds()
        is_settling = now.uptime_s - self._set_since_s < SETTLING_S
        return now.wall if at < RELEASED or (is_settling and not 0 <= age_s <= SETTLING_S) else at

    def _not_ahead(self, sample: Sample, at: datetime | None, now: Moment) -> datetime | None:
        """Return ``at``, or now where that is in the future: all that comes later would have to be behind it."""
        if at is None or at - now.wall <= AHEAD_LIMIT:
            return at
        self._health.count("usage_samples_ahead")
        self._tell(f"samples of {sample.metric.name} say a time in the future; they have got the present one")
        return now.wall

    def _take(self, sample: Sample, claims: Sequence[Claim], at: datetime | None, now: Moment) -> None:
        increasing = [claim for claim in claims if claim.is_increase]
        for claim in claims:
            if claim.is_increase:
                continue
            try:
                value = claim.projection.number(sample.value)
            except ValueError as error:
                self._refuse(sample.metric.name, str(error))
                continue
            if self._has_room(claim.series, at):
                self._add(claim.series, value, at, now, sample)
            else:
                self._health.count("usage_samples_dropped")
        if increasing and all(self._has_room(claim.series, at) for claim in increasing):
            try:
                increasing[0].projection.number(sample.value)
            except ValueError as error:
                self._refuse(sample.metric.name, str(error))
                return
            if self._increases.has_room(sample, now):
                self._take_increase(sample, increasing, at, now)
            else:
                self._health.count("usage_samples_dropped")
                self._tell(f"{SERIES_LIMIT} counters are known; more of {sample.metric.name} are left out")

    def _take_increase(self, sample: Sample, claims: Sequence[Claim], at: datetime | None, now: Moment) -> None:
        for increase in self._increases.take(sample, now):
            if not math.isfinite(increase):
                self._refuse(sample.metric.name, "it grew by more than a number can say")
                continue
            for claim in claims:
                self._add(_bounded(claim, increase, sample), increase, at, now, sample)

    def _add(
        self, series: Series, value: float, at: datetime | None, now: Moment, sample: Sample | None = None
    ) -> Taken:
        taken: Taken
        if at is None:
            uptime_s = now.uptime_at(sample.at) if sample and sample.at else now.uptime_s
            taken = Unstamped(series, value, uptime_s if 0 <= uptime_s <= now.uptime_s else now.uptime_s)
        else:
            uptime_s = min(now.uptime_at(at), now.uptime_s)  # whatever it says, it was measured by now
            taken = self._placed(Measured(series, value, at.astimezone(UTC)), uptime_s)
        window = self._window(taken.at if isinstance(taken, Measured) else None)
        self._rooms.setdefault(window, {}).setdefault(series.group.metric_name, set()).add(series)
        self._pending.append(taken)
        self._through += 1
        return taken

    def _placed(self, measured: Measured, uptime_s: float) -> Measured:
        if measured.series.aggregation_type not in OWN_TIMES:
            return measured
        group = measured.series.group
        at = self._times.stamp(
            group, measured.at, uptime_s, keeps_lengths=measured.series.aggregation_type == "duration"
        )
        if given_up := self._times.take_given_up():
            self._health.count("usage_times_given_up", given_up)
            self._tell(f"the last time of {group.metric_name} is more than a day ahead of the clock; it is given up")
        return replace(measured, at=at)

    def _window(self, at: datetime | None) -> int | None:
        return None if at is None else window_of(at, self._window_s).second

    def _has_room(self, series: Series, at: datetime | None) -> bool:
        if len(self._pending) >= PENDING_LIMIT:
            self._tell(f"{PENDING_LIMIT} samples wait to be committed; more are left out until they are")
            return False
        known = self._rooms.get(self._window(at), {}).get(series.group.metric_name, ())
        if len(known) < SERIES_LIMIT or series in known:
            return True
        self._tell(f"{series.group.metric_name} has {SERIES_LIMIT} series in one window; more are left out")
        return False

    def _refuse(self, name: str, why: str) -> None:
        self._health.count("usage_samples_refused")
        self._tell(f"a sample of {name} is left out: {why}")

    def _tell(self, trouble: str) -> None:
        is_new = trouble not in self._told and len(self._told) < TOLD_LIMIT
        if is_new:
            self._told.add(trouble)
        logger.log(logging.WARNING if is_new else logging.DEBUG, "usage: %s", trouble)


def _bounded(claim: Claim, increase: float, sample: Sample) -> Series:
    """Return the series that an increase belongs to: one for a person where the counter cannot have grown so much."""
    if claim.maximum_increase is None or increase <= claim.maximum_increase:
        return claim.series
    reason = (
        f"{sample.metric.name} grew by {increase} to {sample.value}, more than maximum_increase = "
        f"{claim.maximum_increase:g}"
    )
    return replace(claim.series, reason=f"{claim.series.reason}; {reason}" if claim.series.reason else reason)
