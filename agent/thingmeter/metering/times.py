"""Strictly increasing times, group by group, for the aggregation types in which the order of samples says something.

The wall clock may step back between two samples; the second is then stamped a millisecond behind the first, so that
what was measured later stays later. Where the time between them is what counts, it is stamped as much later as it was
measured later, by the time since boot, which does not step: a duration stays as long as it was. A group that is more
than ``AHEAD_LIMIT`` ahead of the wall time by now began with a time that was wrong; it goes on with the wall time, out
of order this once. A sample that says itself that it is from before keeps its time: which of the two was measured later
is told by the time since boot as well.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from datetime import datetime, timedelta
from typing import Any

from thingmeter.destinations.devrev.folding import EPOCH, MICROSECOND, MILLISECOND, floored
from thingmeter.destinations.devrev.points import Group
from thingmeter.metering.measured import SERIES_LIMIT, Moment

logger = logging.getLogger(__name__)

GROUPS_LIMIT = (
    SERIES_LIMIT  # beyond it the group seen longest ago is forgotten: only a step back could then put it in disorder
)

AHEAD_LIMIT = timedelta(days=1)


class Times:
    """The last time of each group. Not thread-safe: its owner holds a lock."""

    def __init__(self, now: Moment, stored: bytes | None = None) -> None:
        """Begin with what ``state()`` gave before; what cannot be read begins anew."""
        self._last: dict[str, tuple[datetime, float]] = {}  # with the time since boot; the first: seen longest ago
        self._boot_id = now.boot_id
        self._given_up = 0
        if stored:
            try:
                self._restore(json.loads(stored))
            except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
                logger.warning("the last times of usage records are unreadable; they begin anew")

    def _restore(self, document: dict[str, Any]) -> None:
        uptime_s = float(document["uptime_s"]) if document["boot_id"] == self._boot_id else 0.0
        for key, microseconds in document["last"].items():
            self._last[str(key)] = (EPOCH + int(microseconds) * MICROSECOND, uptime_s)

    def stamp(self, group: Group, at: datetime, uptime_s: float, *, keeps_lengths: bool = False) -> datetime:
        """Return the time of the group's next sample, which was measured ``uptime_s`` after this boot.

        It is ``at``; later only where a sample that was measured before has that time or a later one, by a day at most.
        ``keeps_lengths``: the time since that sample stays what it is.
        """
        key = _digest(group)
        last = self._last.get(key)
        if last is not None:
            last_at, last_uptime_s = last
            if at > last_at:
                at = max(at, floored(last_at) + MILLISECOND)  # points are told apart by milliseconds
            elif uptime_s < last_uptime_s:
                pass
            elif last_at - at > AHEAD_LIMIT:
                self._given_up += 1
                del self._last[key]
            else:
                later = floored(last_at + timedelta(seconds=uptime_s - last_uptime_s)) if keeps_lengths else at
                at = max(later, floored(last_at) + MILLISECOND)
        self.note(group, at, uptime_s)
        return at

    def note(self, group: Group, at: datetime, uptime_s: float) -> None:
        """Take a sample that has its time already; ``uptime_s`` is at least when it was measured."""
        key = _digest(group)
        self._last[key] = max(self._last.pop(key, (at, uptime_s)), (at, uptime_s))
        if len(self._last) > GROUPS_LIMIT:
            del self._last[next(iter(self._last))]

    def take_given_up(self) -> int:
        """Return how many groups were too far ahead to go on from there, since the last call."""
        given_up, self._given_up = self._given_up, 0
        return given_up

    def known(self) -> int:
        """Return how many groups have a last time."""
        return len(self._last)

    def state(self, now: Moment) -> bytes:
        """Return everything as JSON for the outbox."""
        last = {key: (at - EPOCH) // MICROSECOND for key, (at, _) in self._last.items()}
        document = {"boot_id": now.boot_id, "uptime_s": now.uptime_s, "last": last}
        return json.dumps(document, separators=(",", ":")).encode()


@functools.lru_cache(maxsize=GROUPS_LIMIT)
def _digest(group: Group) -> str:
    """Return what stands for a group in the state; two that shared it would only share their times."""
    names = (group.metric_name, group.account_ref, group.org_ref, group.user_ref, group.dimensions)
    return hashlib.blake2b(json.dumps(names).encode(), digest_size=8).hexdigest()
