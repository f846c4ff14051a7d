"""Keeps two publishes of one thing at least ``minimum_interval_s`` apart, also over restarts and a crash loop.

The time of the newest publish is stored before it happens. Within one boot it is measured in boot time, which no
clock step can touch; after a reboot by the wall clock; and never is the wait longer than the interval itself, so a
wall clock that was wrong cannot silence a thing.
"""

from __future__ import annotations

import json
import threading

from thingmeter.protocols import Clock


class Pace:
    """When the next report may be published. Every method may be called from any thread."""

    def __init__(self, minimum_interval_s: float, clock: Clock, stored: bytes | None = None) -> None:
        """Begin with what ``mark()`` returned last, if anything."""
        self.minimum_interval_s = minimum_interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, object] | None = json.loads(stored) if stored else None

    def wait_s(self) -> float:
        """Return the seconds until a publish is allowed, 0 when it is now."""
        with self._lock:
            last = self._last
        if last is None:
            return 0
        if last["boot_id"] == self._clock.boot_id():
            elapsed = self._clock.boottime() - float(str(last["boottime"]))
        else:
            elapsed = self._clock.now().timestamp() - float(str(last["wall"]))
        return min(max(self.minimum_interval_s - elapsed, 0), self.minimum_interval_s)

    def mark(self) -> bytes:
        """Note that a report is published now; return what to store."""
        last: dict[str, object] = {
            "wall": self._clock.now().timestamp(),
            "boottime": self._clock.boottime(),
            "boot_id": self._clock.boot_id(),
        }
        with self._lock:
            self._last = last
        return json.dumps(last).encode()
