"""Spaces the calls of one registration attempt, so that a fleet that boots at once stays below an account's quotas."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from thingmeter.destinations.https import Answer, Exchange, Request

LEAST, MOST = 0.5, 1.5  # shares of the gap: devices that start together drift apart, and the mean is the gap


def paced(exchange: Exchange, gap_s: float, *, wait: Callable[[float], object], random: Random) -> Exchange:
    """Return an exchange that waits before each call but the first.

    Args:
        exchange: what carries the calls out; its errors pass through.
        gap_s: the mean wait in seconds; each is drawn between half and one and a half of it. 0: no wait at all.
        wait: blocks for so many seconds; what it returns is ignored.
        random: where the waits are drawn from.
    """
    if gap_s <= 0:
        return exchange
    first = True

    def send(request: Request) -> Answer:
        nonlocal first
        if not first:
            wait(gap_s * random.uniform(LEAST, MOST))
        first = False
        return exchange(request)

    return send
