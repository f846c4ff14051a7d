"""When a device asks, so that a fleet never asks all at once (pure).

Every device has a share of each delay, a number in [0, 1) that follows from its thing name alone: devices that boot in
the same second spread over ``spread_s`` without knowing of each other, and a device keeps its place over restarts.

    pump-0001, pump-0002, ...   numbered fleets: the fractional parts of n times the golden ratio, which fill [0, 1) far
                                more evenly than chance, however many of the numbers are in use (Weyl's sequence; in
                                integers Knuth's multiplicative hashing, The Art of Computer Programming 6.4)
    any other name              a hash of it: even as chance has it

Source of full jitter: aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import datetime
from random import Random

RETRY_FIRST_S = 10.0
RETRY_CAP_S = 900.0  # at least: a day without the service costs some 200 attempts, with the default spread some 30
DENIED_FIRST_S = 900.0  # a right is granted within minutes or within days
LOOK_JITTER = 0.05  # of verify_interval_s: looks that fell together drift apart

_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, made odd
_BITS = 64
_FLOAT_BITS = 53  # a float holds no more: with all 64 a share could round up to 1
_DOUBLINGS = 20  # past every cap; keeps the power small over years of failures
_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})", re.ASCII | re.DOTALL)


def share(thing: str) -> float:
    """Return the share of ``thing``, in [0, 1): always the same for the same name."""
    numbered = _NUMBERED.fullmatch(thing)
    rest, number = (numbered[1], int(numbered[2])) if numbered else (thing, 0)
    start = int.from_bytes(hashlib.sha256(rest.encode("utf-8", "surrogateescape")).digest()[: _BITS // 8])
    place = (start + number * _GOLDEN) % 2**_BITS
    return float((place >> (_BITS - _FLOAT_BITS)) / 2**_FLOAT_BITS)


def backoff(failures: int, cap_s: float, random: Random) -> float:
    """Draw the seconds to wait after ``failures`` (from 1) failures in a row: anything from 0 to a doubling limit."""
    limit_s = math.ldexp(RETRY_FIRST_S, min(failures - 1, _DOUBLINGS))
    return random.uniform(0, min(limit_s, cap_s))


@dataclass(frozen=True, slots=True)
class Timing:
    """The delays of one device.

    Attributes:
        thing: its name.
        spread_s: over how long the fleet spreads its first calls; 0 for at once.
        verify_interval_s: after how long a device looks again at what is registered.
    """

    thing: str
    spread_s: float
    verify_interval_s: float

    def delay_s(self, waited_s: float = 0.0) -> float:
        """Return the seconds to wait before asking when the whole fleet may have the same reason to ask.

        ``waited_s`` of it were waited before, in runs that ended too early.
        """
        return max(0.0, share(self.thing) * self.spread_s - waited_s)

    def until_look_s(self, looked_at: datetime, now: datetime) -> float | None:
        """Return the seconds left until the next look by the wall clock: 0 when it is overdue.

        None where the clock says that the last look is still to come: then it tells nothing.
        """
        age_s = (now - looked_at).total_seconds()
        if age_s < 0:
            return None
        left_s = self.verify_interval_s + share(self.thing) * self.spread_s - age_s
        return left_s if left_s >= 1 else 0.0  # a fraction may be less than the clock can tell

    def next_look_s(self, random: Random) -> float:
        """Draw the seconds from one look to the next."""
        return self.verify_interval_s * (1 + random.uniform(0, LOOK_JITTER))

    def retry_s(self, failures: int, random: Random) -> float:
        """Draw the seconds to wait after ``failures`` (from 1) attempts in a row without an answer.

        Twice the spread at most: a fleet whose network comes back then asks at the rate of a first boot.
        """
        return backoff(failures, max(2 * self.spread_s, RETRY_CAP_S), random)

    def throttled_s(self, failures: int, random: Random) -> float:
        """Draw the seconds to wait on top of what a service asked for.

        From the whole spread, the first time too: where one device of a fleet is asked to wait, all are.
        """
        return max(random.uniform(0, self.spread_s), backoff(failures, RETRY_CAP_S, random))

    def denied_s(self, denials: int, random: Random) -> float:
        """Draw the seconds to wait after ``denials`` (from 1) attempts in a row that settled nothing for good."""
        limit_s = min(DENIED_FIRST_S * 2.0 ** min(denials - 1, _DOUBLINGS), self.verify_interval_s)
        return random.uniform(limit_s / 2, limit_s)
