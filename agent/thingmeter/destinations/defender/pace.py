"""Keeps two publishes of one thing at least ``minimum_interval_s`` apart, also over restarts and a crash loop.

The time of the newest publish is stored before it happens. Within one boot it is measured in boot time, which no
clock step can touch; after a reboot by the wall clock; and never is the wait longer than the interval itself, counted
from the start of the agent at the latest, so a wall clock that went back cannot silence a thing.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict, dataclass

from thingmeter.protocols import Clock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Mark:
    """When a report was published: by the wall clock, and in seconds of that boot."""

    wall: float
    boottime: float
    boot_id: str


class Pace:
    """When the next report may be published. Every method may be called from any thread."""

    def __init__(self, minimum_interval_s: float, clock: Clock, stored: bytes | None = None) -> None:
        """Begin with what ``mark()`` returned last, if anything."""
        self.minimum_interval_s = minimum_interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._started = clock.boottime()
        self._last = _readable(stored) if stored else None

    def wait_s(self) -> float:
        """Return the seconds until a publish is allowed, 0 when it is now."""
        with self._lock:
            last = self._last
        if last is None:
            return 0
        if last.boot_id == self._clock.boot_id():
            elapsed = self._clock.boottime() - last.boottime
        else:
            since_start = self._clock.boottime() - self._started
            elapsed = max(self._clock.now().timestamp() - last.wall, since_start)
        return min(max(self.minimum_interval_s - elapsed, 0), self.minimum_interval_s)

    def mark(self) -> bytes:
        """Note that a report is published now; return what to store."""
        last = _Mark(self._clock.now().timestamp(), self._clock.boottime(), self._clock.boot_id())
        with self._lock:
            self._last = last
        return json.dumps(asdict(last)).encode()


def _readable(stored: bytes) -> _Mark | None:
    """Return the stored mark; None where the disk has damaged it."""
    try:
        document = json.loads(stored)
        return _Mark(float(document["wall"]), float(document["boottime"]), str(document["boot_id"]))
    except (ValueError, TypeError, LookupError):
        logger.warning("the time of the last publish is unreadable; the next one does not wait for it")
        return None
