"""What each counter that feeds a sum grew by between two of its samples.

A counter without a baseline would be seen for the first time for ever, and none of it billed. So the bound of what is
known at once, ``SERIES_LIMIT``, refuses counters that are new and keeps those that are known. Only one that was not
seen for ``ABSENT_S`` makes room for a new one: counters named after what comes and goes (a container, a connection)
would else fill the place of all that come later.

Counted in health: ``usage_counter_series_lost`` (forgotten to make room).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from thingmeter.health import Health
from thingmeter.metering.measured import SERIES_LIMIT, Moment
from thingmeter.metrics import Dimensions, Sample
from thingmeter.window import Counters

logger = logging.getLogger(__name__)

ABSENT_S = 86_400.0  # a counter whose collector is repaired within a day loses nothing


class Increases:
    """The baselines of the counters that feed sums. Not thread-safe: its owner holds a lock.

    Args:
        now: the present moment.
        stored: what ``state()`` gave before; what cannot be read begins anew.
        is_wanted: tells whether a sum takes a counter of that name and with those dimensions. What is known of others
            is dropped: what they grew by while no sum took them is nobody's.
        health: where counts are kept.
    """

    def __init__(
        self, now: Moment, stored: bytes | None, is_wanted: Callable[[str, Dimensions], bool], health: Health
    ) -> None:
        self._counters = Counters(now.boot_id, stored, limit=SERIES_LIMIT)
        self._began_s = now.uptime_s
        self._seen_s: dict[tuple[str, Dimensions], float] = {}
        self._health = health
        if dropped := self._counters.keep(is_wanted):
            logger.info("usage: %d counters feed no UOM any more; they are forgotten", dropped)
        self.is_changed = dropped > 0

    def has_room(self, sample: Sample, now: Moment) -> bool:
        """Return whether the sample's counter is known, or can be."""
        series = (sample.metric.name, sample.dimensions)
        if self._counters.has_room(series, SERIES_LIMIT):
            return True
        oldest = self._counters.oldest()
        if oldest is not None and now.uptime_s - self._seen_s.get(oldest, self._began_s) >= ABSENT_S:
            self._counters.forget(oldest)
            self._seen_s.pop(oldest, None)
            self._health.count("usage_counter_series_lost")
            return True
        return False

    def take(self, sample: Sample, now: Moment) -> list[int | float]:
        """Take a sample that there is room for; return what its counter grew by, nothing where it did not."""
        self._counters.add(sample)
        self._seen_s[sample.metric.name, sample.dimensions] = now.uptime_s
        self.is_changed = True
        grown = self._counters.unreported({})
        self._counters.settle(grown)  # from here on it is in the samples of usage
        return list(grown.values())

    def state(self) -> bytes:
        """Return everything as JSON for the outbox."""
        return self._counters.state()
