"""Spares a service the calls of one registration attempt: spaced, and given up once nobody answers any more."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from thingmeter.destinations.https import Answer, Exchange, Request
from thingmeter.errors import Denied, Unreachable

LEAST, MOST = 0.5, 1.5  # shares of the gap: devices that start together drift apart, and the mean is the gap
PATIENCE = 3  # calls in a row without an answer; a lost one happens, three mean the service or the way to it


def paced(exchange: Exchange, gap_s: float, *, wait: Callable[[float], object], random: Random) -> Exchange:
    """Return an exchange that waits before each call but the first.

    So a fleet that boots at once stays below an account's quotas.

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


def patient(exchange: Exchange) -> Exchange:
    """Return an exchange that makes no more calls once three in a row had no answer, and says so instead.

    An attempt goes on with its other definitions when one call fails: over a dead line each of them would take its
    whole time limit.

    Raises:
        Unreachable: as ``exchange``; and, with the last one's words, in place of every call after three in a row.
    """
    failures = 0
    last = ""

    def send(request: Request) -> Answer:
        nonlocal failures, last
        if failures >= PATIENCE:
            raise Unreachable(last)
        try:
            answer = exchange(request)
        except Denied:
            raise
        except Unreachable as error:
            failures, last = failures + 1, str(error)
            raise
        failures = 0
        return answer

    return send
