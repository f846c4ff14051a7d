"""How often each window of each UOM was frozen already: what comes later is a further part, with a stamp of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

PARTS_LIMIT = 300  # windows of UOMs; of one forgotten a later part is stamped as the first was, under another id


class Parts:
    """The number of parts by window and UOM. Never changes: ``plus()`` gives the next one."""

    def __init__(self, counts: Mapping[tuple[int, str], int] | None = None) -> None:
        self._counts = dict(counts or {})

    @classmethod
    def read(cls, stored: bytes | None) -> Parts:
        """Return what ``state()`` gave before; what cannot be read begins anew."""
        try:
            rows = json.loads(stored or b"[]")
            return cls({(int(window), str(name)): int(count) for window, name, count in rows})
        except (TypeError, ValueError):
            logger.warning("how often windows were frozen is unreadable; it begins anew")
            return cls()

    def of(self, window: int, metric_name: str) -> int:
        """Return the number of the next part of a window, from 0."""
        return self._counts.get((window, metric_name), 0)

    def plus(self, frozen: Iterable[tuple[int, str]]) -> Parts:
        """Return these with one more part of each of the windows (its start, and the UOM's metric name)."""
        counts = dict(self._counts)
        for place in frozen:
            counts[place] = counts.pop(place, 0) + 1  # at the end: the first was frozen longest ago
        for place in list(counts)[: max(0, len(counts) - PARTS_LIMIT)]:
            del counts[place]
        return Parts(counts)

    def state(self) -> bytes:
        """Return everything as JSON for the outbox."""
        rows = [[window, name, count] for (window, name), count in self._counts.items()]
        return json.dumps(rows, separators=(",", ":")).encode()
