"""What tells a point that was seen before: its id, or its content when it has none."""

from __future__ import annotations

from collections.abc import Hashable

from thingmeter.protocols import Clock
from thingmeter.sandbox.devrev.points import Point, Reason
from thingmeter.sandbox.devrev.switches import Switches
from thingmeter.sandbox.devrev.uom import Uom


class Memory:
    """Remembers points for as long as the switches say; without an end it grows with every point."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._seen_s: dict[Hashable, float] = {}

    def take(self, point: Point, uom: Uom) -> Reason | None:
        """Return as what the point was seen before; remembers it when it was not."""
        self._forget()
        if point.id and self._switches.remembers_ids:
            key: Hashable = (point.id, uom.serial if self._switches.id_scope == "uom" else 0)
            reason: Reason = "duplicate id"
        elif not point.id and self._switches.remembers_content:
            key, reason = point.content, "duplicate content"
        else:
            return None
        if key in self._seen_s:
            return reason
        self._seen_s[key] = self._clock.monotonic()
        return None

    def _forget(self) -> None:
        """The oldest stand in front."""
        limit_s = self._switches.memory_s
        if limit_s is None:
            return
        now_s = self._clock.monotonic()
        while self._seen_s:
            key = next(iter(self._seen_s))
            if now_s - self._seen_s[key] < limit_s:
                return
            del self._seen_s[key]
