"""How many usage records the next request carries: fewer after trouble, more after each success (no I/O).

    rejected     half of the same records, until one alone is rejected: that one is the poison
    accepted     twice as many as before, up to the limits
    unanswered   the same again; half of them when that is unanswered too: the link may be slow, or one break the server

One poison among n costs at most 2 log2(n) + 1 requests more: log2(n) to find it, and as many until requests have their
size again. Poison after poison costs one request each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from thingmeter.config.settings import DevRev
from thingmeter.destinations.publisher import MAXIMUM_BYTES
from thingmeter.outbox import Message

LEAST_BYTES = 8192  # what a limit that a server shows by its answers is taken to be at least
REGROWTH = 64  # an accepted request raises such a limit by this share: after 45 of them it has doubled
PATIENCE = 2  # unanswered attempts with as many records, before half of them are tried
STUCK = 3  # unanswered attempts with one record, before others go first


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a request, and how long an unanswered one may be sent again.

    Attributes:
        points: records in one request at most.
        bytes: size of one request at most.
        dedupe_horizon_s: how long DevRev is trusted to know a record again.
    """

    points: int = 500
    bytes: int = 262_144
    dedupe_horizon_s: float = 86_400.0


def limits_of(settings: DevRev) -> Limits:
    """Return what is configured; over MQTT requests no larger than a broker takes, and half of the horizon.

    The other half is for what posts the request: it may keep the last copy for as long before DevRev sees it.
    """
    limits = Limits(settings.maximum_points, settings.maximum_request_bytes, settings.dedupe_horizon_s)
    if settings.route != "mqtt":
        return limits
    return Limits(limits.points, min(limits.bytes, MAXIMUM_BYTES), limits.dedupe_horizon_s / 2)


class Sizing:
    """The size of requests, by what became of those before.

    Attributes:
        points: records in the next request at most.
        bytes: size of the next request at most.
        suspects: records of a rejected request; at least one of them is at fault.
    """

    def __init__(self, limits: Limits) -> None:
        self.points = limits.points
        self.bytes = limits.bytes
        self.suspects: tuple[Message, ...] = ()
        self._limits = limits
        self._rejected_bytes = 0  # of the request that the suspects come from
        self._unanswered = 0  # in a row, with the same number of records

    def next_suspects(self) -> tuple[Message, ...]:
        """Return which suspects go out next: half of them, or the last one; empty without any."""
        return self.suspects[: ceil(len(self.suspects) / 2)] if len(self.suspects) > 1 else self.suspects

    def accepted(self, sent: tuple[Message, ...]) -> None:
        """Note that a request was accepted."""
        self._unanswered = 0
        self.points = min(self._limits.points, 2 * self.points)
        self.bytes = min(self._limits.bytes, self.bytes + self.bytes // REGROWTH)
        if self.suspects:
            self.suspects = self.suspects[len(sent) :]
            if not self.suspects:  # none was at fault: together they were too large
                self.bytes = min(self.bytes, max(LEAST_BYTES, self._rejected_bytes // 2))

    def rejected(self, sent: tuple[Message, ...], size: int) -> None:
        """Note that a request of ``size`` bytes was rejected."""
        self._unanswered = 0
        self.points = max(1, len(sent) // 2)
        if not self.suspects:
            self._rejected_bytes = size
        self.suspects = sent if len(sent) > 1 else ()

    def unanswered(self, sent: tuple[Message, ...]) -> bool:
        """Note that nobody knows what became of a request; return whether its only record may break the server."""
        self.suspects = ()
        self._unanswered += 1
        if len(sent) == 1:
            is_stuck = self._unanswered >= STUCK
            self._unanswered %= STUCK
            return is_stuck
        if self._unanswered >= PATIENCE:
            self._unanswered = 0
            self.points = max(1, len(sent) // 2)
        return False

    def forget_suspects(self) -> None:
        """Let the next request be any: much may have changed since the suspects were sent."""
        self.suspects = ()


def fair_shares(waiting: Mapping[str, int], limit: int) -> dict[str, int]:
    """Return how many of the first ``limit`` places each queue gets: as many as any other, or all that it has.

    Args:
        waiting: how many records each queue has, in the order in which they are served.
        limit: records together. Where it is less than there are queues, the first ones get one each.
    """
    served = [queue for queue, count in waiting.items() if count > 0][:limit]
    shares: dict[str, int] = {}
    left = limit
    for place, queue in enumerate(sorted(served, key=waiting.__getitem__)):
        shares[queue] = min(waiting[queue], left // (len(served) - place))
        left -= shares[queue]
    return {queue: shares[queue] for queue in served}
