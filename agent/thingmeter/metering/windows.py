"""What the samples of each open window come to so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from thingmeter.destinations.devrev.folding import Fold, Window, fold_of, window_of
from thingmeter.metering.measured import Measured, Moment, Series

Place: TypeAlias = tuple[int, Series]
"""A window's length in seconds, and the series."""

Rooms: TypeAlias = dict[int | None, dict[str, set[Series]]]
"""The series of each window (by its start; None: of no window yet) and UOM."""


@dataclass(slots=True)
class OpenWindow:
    """The folds of all windows that begin at one second, and since when (seconds since boot) the first is held."""

    start: int
    held_since_s: float
    folds: dict[Place, Fold] = field(default_factory=dict)

    def window(self, window_s: int) -> Window:
        """Return the window of that length."""
        start = datetime.fromtimestamp(self.start, UTC)
        return Window(start, start + timedelta(seconds=window_s))


class Windows:
    """The open windows. Not thread-safe: its owner holds a lock.

    Windows of another length than the present one, from before the settings changed, are due at once: rows of the
    journal are deleted by the second at which their window begins, so all that begin at one are frozen together.
    """

    def __init__(self, window_s: int) -> None:
        self._window_s = window_s
        self._open: dict[int, OpenWindow] = {}

    def add(self, samples: Iterable[Measured], now: Moment, window_s: int | None = None) -> None:
        """Fold samples, of windows of ``window_s`` seconds (None: of the present length)."""
        window_s = window_s or self._window_s
        window: Window | None = None
        for sample in samples:
            if window is None or not window.start <= sample.at < window.end:  # most share one
                window = window_of(sample.at, window_s)
                held = self._open.setdefault(window.second, OpenWindow(window.second, now.uptime_s))
            place = (window_s, sample.series)
            fold = held.folds.get(place)
            if fold is None:
                fold = held.folds[place] = fold_of(sample.series.aggregation_type)
            fold.add(sample.value, sample.at)

    def due(self, now: Moment) -> list[OpenWindow]:
        """Return the windows that have ended, oldest first.

        A window has ended when the wall time is past its end; or when its length has passed since its first sample,
        whatever the wall time is by now: after a step back it would else be held until that time comes again.
        """
        return sorted((held for held in self._open.values() if self._is_due(held, now)), key=lambda held: held.start)

    def _is_due(self, held: OpenWindow, now: Moment) -> bool:
        if any(window_s != self._window_s for window_s, _ in held.folds):
            return True
        has_ended = held.start + self._window_s <= now.wall.timestamp()
        return has_ended or now.uptime_s - held.held_since_s >= self._window_s

    def forget(self, starts: Iterable[int]) -> None:
        """Drop windows: they are frozen."""
        for start in starts:
            del self._open[start]

    def rooms(self) -> Rooms:
        """Return the series of each window."""
        found: Rooms = {}
        for start, held in self._open.items():
            for _, series in held.folds:
                found.setdefault(start, {}).setdefault(series.group.metric_name, set()).add(series)
        return found
