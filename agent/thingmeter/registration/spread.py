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
SOON_S = 300.0  # what the spread shrinks to when there is a reason to ask before its time
NARROWEST_S = 60.0  # what the spread shrinks to for a device that never runs long enough
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

    def start_delay_s(self, starts: int) -> float:
        """Return the seconds from a start to its attempt, when ``starts`` starts before it ended before theirs.

        Each of those halves the delay: a device that is never up for as long as ``spread_s`` comes to its turn, too.
        """
        narrowest_s = min(self.spread_s, NARROWEST_S)
        return share(self.thing) * max(math.ldexp(self.spread_s, -min(starts, _DOUBLINGS)), narrowest_s)

    def soon_s(self) -> float:
        """Return the seconds to wait when there is a reason to ask at once, which the whole fleet may have."""
        return share(self.thing) * min(self.spread_s, SOON_S)

    def until_look_s(self, looked_at: datetime, now: datetime) -> float:
        """Return the seconds left until the next look after a restart; 0 when it is overdue.

        Never more than ``verify_interval_s + spread_s``, wherever a step of the wall clock put ``now``.
        """
        age_s = (now - looked_at).total_seconds()
        left_s = self.verify_interval_s + share(self.thing) * self.spread_s - age_s
        return min(max(left_s, 0.0), self.verify_interval_s + self.spread_s)

    def next_look_s(self, random: Random) -> float:
        """Draw the seconds from one look to the next."""
        return self.verify_interval_s * (1 + random.uniform(0, LOOK_JITTER))

    def retry_s(self, failures: int, random: Random) -> float:
        """Draw the seconds to wait after ``failures`` (from 1) attempts in a row without a result."""
        return backoff(failures, max(self.spread_s, RETRY_CAP_S), random)
