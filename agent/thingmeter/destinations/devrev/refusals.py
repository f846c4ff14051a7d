"""Tells poison from a service that refuses everything, by what comes in between, and slows down for the latter.

Poison is set aside as fast as it is found. Where one record after the other is refused and none accepted, the fault is
most likely in none of them: an account that was closed, a change of the API, a deployment gone wrong. Then each further
one is tried after a wait that doubles up to a quarter of an hour, so that a day of it costs a person some hundred
records and not the whole backlog; and should all of them be poison, those behind them are reached nevertheless.
"""

from __future__ import annotations

import logging
import math
import random

from thingmeter.protocols import Clock

logger = logging.getLogger(__name__)

IN_A_ROW = 20  # records refused alone, and none accepted between them, before the next one waits
WAIT_FIRST_S = 10.0
WAIT_CAP_S = 900.0
SPREAD = 0.5  # of a wait is random: what is refused by one device is refused by its whole fleet


class Refusals:
    """Counts records refused one by one since the last request that was accepted. For the delivery's thread alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._not_before = -math.inf  # monotonic

    def hold_s(self) -> float:
        """Return the seconds until the next record may be tried, 0 when it may now."""
        return max(0.0, self._not_before - self._clock.monotonic())

    def refused(self, reason: str) -> None:
        """Note that a record was refused that went out alone."""
        self._count += 1
        waits = self._count - IN_A_ROW
        if waits < 0:
            return
        wait_s = min(WAIT_CAP_S, WAIT_FIRST_S * 2 ** min(waits, 20))
        self._not_before = self._clock.monotonic() + wait_s * random.uniform(1 - SPREAD, 1)  # noqa: S311  # no secret
        if waits == 0:
            logger.error(
                "usage: %d records in a row were refused and none was accepted, so the fault may be in none of them: "
                "from now on they are tried one by one, with waits between them: %s",
                self._count,
                reason,
            )

    def accepted(self) -> None:
        """Note that a request was accepted: what was refused before it was poison."""
        if self._count >= IN_A_ROW:
            logger.info("usage: records are accepted again")
        self._count = 0
        self._not_before = -math.inf
