"""What each counter grew by and has not been reported yet, over windows, restarts and resets.

The first sight of a series sets its baseline and counts nothing. From then on:

- a value that rose counts its rise;
- a value that fell started again from zero, so all of it counts; a counter that says it ``never`` resets fell by
  mistake, so its baseline moves and nothing counts;
- after a reboot a counter that resets at ``boot`` counts all of its value.

No increase is ever negative. What grew is *unreported* until a message that carries it is settled: a report that was
replaced before it went out loses nothing.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from thingmeter.metrics import Dimensions, Sample

logger = logging.getLogger(__name__)

Series: TypeAlias = tuple[str, Dimensions]
Amounts: TypeAlias = Mapping[Series, int | float]

SERIES_LIMIT = 2000  # series with a baseline; beyond it the one seen longest ago goes (400 interfaces, say)


class Counters:
    """Baselines and unreported increases of every series. Not thread-safe: its owner holds a lock."""

    def __init__(self, boot_id: str, stored: bytes | None = None, *, limit: int = SERIES_LIMIT) -> None:
        """Begin with what ``state()`` gave before; what cannot be read begins anew. ``limit``: of series."""
        self._boot_id = boot_id
        self._limit = limit
        self._baselines: dict[Series, int | float] = {}
        self._unreported: dict[Series, int | float] = {}
        self._before_boot: set[Series] = set()
        self._lost = 0
        if stored:
            try:
                self._restore(stored)
            except (ValueError, TypeError, LookupError):
                logger.warning("what the counters stood at is unreadable; they begin anew")

    def _restore(self, stored: bytes) -> None:
        document = json.loads(stored)
        baselines, amounts, not_seen = {}, {}, set()
        for name, dimensions, baseline, unreported, *seen in document["series"]:
            if not (math.isfinite(baseline) and math.isfinite(unreported)):
                raise ValueError(f"{name}: not a number")
            series = (str(name), tuple((str(key), str(value)) for key, value in dimensions))
            baselines[series] = baseline
            if unreported > 0:
                amounts[series] = unreported
            if seen == [False]:
                not_seen.add(series)
        self._before_boot = not_seen if document["boot_id"] == self._boot_id else set(baselines)
        self._baselines, self._unreported = baselines, amounts

    def add(self, sample: Sample) -> None:
        """Take one value of a counter."""
        series = (sample.metric.name, sample.dimensions)
        value = sample.value
        assert isinstance(value, int | float)  # noqa: S101  # Metric refuses counters of another type
        baseline = self._baselines.pop(series, None)
        self._baselines[series] = value  # at the end: the first in the dict is the one seen longest ago
        if baseline is None:
            if len(self._baselines) > self._limit:
                self.forget(next(iter(self._baselines)))
            return
        rebooted = series in self._before_boot and sample.metric.resets == "boot"
        self._before_boot.discard(series)
        if rebooted:
            baseline = 0
        elif value < baseline:
            baseline = value if sample.metric.resets == "never" else 0
        if value > baseline:
            self._unreported[series] = self._unreported.get(series, 0) + value - baseline

    def take_lost(self) -> int:
        """Return how many series were forgotten with something unreported since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def seen(self, series: Series) -> bool:
        """Return whether the series has a baseline, so that no increase means zero and not unknown."""
        return series in self._baselines

    def has_room(self, series: Series, limit: int) -> bool:
        """Return whether ``limit`` series are room enough for this one beside the others; for a known one they are."""
        return series in self._baselines or len(self._baselines) < limit

    def oldest(self) -> Series | None:
        """Return the series that was seen longest ago; None without any."""
        return next(iter(self._baselines), None)

    def forget(self, series: Series) -> None:
        """Drop all that is known of a series; its next sight is the first."""
        del self._baselines[series]
        self._lost += series in self._unreported
        self._unreported.pop(series, None)
        self._before_boot.discard(series)

    def keep(self, is_wanted: Callable[[str, Dimensions], bool]) -> int:
        """Drop every series that is not wanted; return how many."""
        unwanted = [series for series in self._baselines if not is_wanted(*series)]
        for series in unwanted:
            self.forget(series)
        return len(unwanted)

    def unreported(self, in_flight: Amounts) -> dict[Series, int | float]:
        """Return what each series grew by and no settled message carried, less what is in flight now."""
        amounts = {series: amount - in_flight.get(series, 0) for series, amount in self._unreported.items()}
        return {series: amount for series, amount in amounts.items() if amount > 0}

    def settle(self, amounts: Amounts) -> None:
        """Take off what a message carried to its destination."""
        for series, amount in amounts.items():
            left = self._unreported.get(series, 0) - amount
            if left > 0:
                self._unreported[series] = left
            else:
                self._unreported.pop(series, None)

    def give_back(self, amounts: Amounts) -> None:
        """Undo ``settle()``: the message did not get there after all."""
        for series, amount in amounts.items():
            if series in self._baselines:
                self._unreported[series] = self._unreported.get(series, 0) + amount

    def state(self) -> bytes:
        """Return everything as JSON for the outbox."""
        series = [
            [*series, baseline, self._unreported.get(series, 0), series not in self._before_boot]
            for series, baseline in self._baselines.items()
        ]  # the last: whether it was seen since the boot
        return json.dumps({"boot_id": self._boot_id, "series": series}, separators=(",", ":")).encode()
