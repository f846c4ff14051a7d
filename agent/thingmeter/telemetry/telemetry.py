"""Keeps the newest sample of each series and, each interval, leaves them in the outbox with their own times.

Until the clock is set nothing goes out: what is kept is stamped by the time since boot when it is. A crash loses the
samples of the interval that has not ended.

Counted in health: ``telemetry_samples_refused`` (a value that cannot be published), ``telemetry_samples_dropped``
(more series than an interval has room for), ``telemetry_samples_lost`` (the outbox could not take them).
"""

from __future__ import annotations

import fnmatch
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from thingmeter.clock import WallTime
from thingmeter.config.settings import Topic
from thingmeter.destinations.topic.pace import PUBLISHES_PER_S
from thingmeter.destinations.topic.sample import encode, is_publishable
from thingmeter.errors import OutboxError
from thingmeter.health import Health
from thingmeter.metrics import Dimensions, Metric, Sample
from thingmeter.outbox import Outbox
from thingmeter.telemetry.batch import lines_of, packed

logger = logging.getLogger(__name__)

DESTINATION = "topic"
SERIES_LIMIT = 2000  # kept in memory; some 1 MB
TOLD_LIMIT = 32  # different troubles that are told at WARNING
SHARE = 0.5  # of the publishes of an interval: the rest is for what has waited through an outage

Series: TypeAlias = tuple[str, Dimensions]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A sample, and its time: the wall time, or, of one from before the clock was set, the seconds since boot."""

    sample: Sample
    at: datetime | float


class Telemetry:
    """Makes telemetry of samples. Its methods may be called from any thread.

    Args:
        settings: [topic].
        thing: the thing's name.
        outbox: where batches wait.
        wall: tells the time, and whether it is believed.
        health: where counts are kept.
    """

    def __init__(self, settings: Topic, thing: str, outbox: Outbox, wall: WallTime, health: Health) -> None:
        self._thing = thing
        self._outbox = outbox
        self._wall = wall
        self._health = health
        self._wanted = re.compile("|".join(fnmatch.translate(glob) for glob in settings.metrics))
        self._limit = min(SERIES_LIMIT, max(1, int(SHARE * PUBLISHES_PER_S * settings.interval_s)))
        self._lock = threading.Lock()
        self._newest: dict[Series, _Kept] = {}
        self._told: set[str] = set()
        self._trouble = ""

    def collected(self, metrics: tuple[Metric, ...], samples: Sequence[Sample]) -> None:  # noqa: ARG002  # what was not measured is not sent
        """Take what one collect gave; of each series the newest sample goes out with the next ``turn()``."""
        wanted = [sample for sample in samples if self._is_wanted(sample.metric)]
        if not wanted:
            return
        clock, is_set = self._wall.clock, self._wall.is_set()
        now, uptime_s = clock.now(), clock.boottime()
        dropped = 0
        with self._lock:
            for sample in wanted:
                series = (sample.metric.name, sample.dimensions)
                if series not in self._newest and len(self._newest) >= self._limit:
                    dropped += 1
                    continue
                at = sample.at or now
                kept = _Kept(sample, at if is_set else uptime_s - (now - at).total_seconds())
                self._newest[series] = _newer(self._newest.get(series), kept)
        if dropped:
            self._health.count("telemetry_samples_dropped", dropped)
            self._tell_once(f"more than {self._limit} series in one interval; [topic] metrics or interval_s can help")

    def turn(self) -> None:
        """Leave the newest sample of each series in the outbox, if it has one since the last turn.

        While the clock is not set they stay. What the outbox cannot take is lost, and counted.
        """
        if not self._wall.is_set():
            return
        with self._lock:
            kept, self._newest = self._newest, {}
        now, uptime_s = self._wall.clock.now(), self._wall.clock.boottime()
        lines = list(self._lines(kept.values(), now, uptime_s))
        stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        left = len(lines)
        try:
            for number, batch in enumerate(packed(lines), start=1):
                self._outbox.put(DESTINATION, stamp if number == 1 else f"{stamp}.{number}", batch)
                left -= len(lines_of(batch))
        except OutboxError as error:
            self._health.count("telemetry_samples_lost", left)
            self._tell(str(error))
        else:
            self._tell("")

    def _is_wanted(self, metric: Metric) -> bool:
        return is_publishable(metric) and self._wanted.match(metric.name) is not None

    def _lines(self, kept: Iterable[_Kept], now: datetime, uptime_s: float) -> Iterator[bytes]:
        for each in kept:
            at = each.at
            try:
                when = at if isinstance(at, datetime) else now - timedelta(seconds=uptime_s - at)
                yield encode(each.sample, when, self._thing)
            except (ValueError, OverflowError) as error:  # a time that a plugin gave may be beyond all dates
                self._health.count("telemetry_samples_refused")
                self._tell_once(str(error))

    def _tell_once(self, what: str) -> None:
        with self._lock:
            is_news = what not in self._told and len(self._told) < TOLD_LIMIT
            if is_news:
                self._told.add(what)
        logger.log(logging.WARNING if is_news else logging.DEBUG, "topic: samples are left out: %s", what)

    def _tell(self, trouble: str) -> None:
        if trouble:
            level = logging.DEBUG if trouble == self._trouble else logging.ERROR
            logger.log(level, "topic: the samples of an interval are lost: %s", trouble)
        elif self._trouble:
            logger.info("topic: samples are kept again")
        self._trouble = trouble


def _newer(earlier: _Kept | None, later: _Kept) -> _Kept:
    """Return the one with the later time, as [defender] ``aggregate = "last"`` does; of equals the one that came later.

    Where the clock was set between them, that is the one that came later, too.
    """
    if earlier is None:
        return later
    match earlier.at, later.at:
        case (datetime() as before, datetime() as at):
            return later if at >= before else earlier
        case (float() as before_s, float() as at_s):
            return later if at_s >= before_s else earlier
        case _:
            return later
