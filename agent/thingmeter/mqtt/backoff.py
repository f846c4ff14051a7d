"""When to connect again (pure): full jitter, capped, never more than one CONNECT a second.

Full jitter as in aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter. The count of failures is forgotten
only after a connection that lasted: one that is accepted and dropped at once is a failure like any other.
"""

from __future__ import annotations

from random import Random

FIRST_S = 2.0
CAP_S = 120.0  # 10,000 devices then connect 167 times a second in the mean; AWS IoT Core takes 500 of an account
SPACING_S = 1.1  # AWS IoT Core takes one CONNECT a second per client id; the tenth is for the network's own jitter
LASTED_S = 60.0
TAKEOVER_FIRST_S = 60.0  # two agents with one client id then drop each other once a minute at most, and ever less often
TAKEOVER_CAP_S = 900.0
TAKEOVER_CALM_S = 3600.0  # longer than any takeover delay: a connection that stood so long had no rival
DOUBLINGS = 16  # past every cap; keeps the power small over years of failures


class Backoff:
    """Counts failures and takeovers and draws the delay before the next attempt."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0
        self._takeovers = 0

    def failed(self) -> None:
        """Note an attempt that did not become a connection."""
        self._failures += 1

    def ended(self, lasted_s: float, *, taken_over: bool) -> None:
        """Note the end of a connection that stood for ``lasted_s`` seconds."""
        self._failures = 0 if lasted_s >= LASTED_S else self._failures + 1
        if taken_over:
            self._takeovers = 1 if lasted_s >= TAKEOVER_CALM_S else self._takeovers + 1
        elif lasted_s >= LASTED_S:
            self._takeovers = 0

    def delay_s(self, since_attempt_s: float) -> float:
        """Draw how long to wait from now, ``since_attempt_s`` seconds after the last attempt began."""
        if self._takeovers:
            ceiling = _doubled(TAKEOVER_FIRST_S, self._takeovers - 1, TAKEOVER_CAP_S)
            return ceiling + self._random.uniform(0, ceiling)
        drawn = self._random.uniform(0, _doubled(FIRST_S, self._failures, CAP_S))
        return max(drawn, SPACING_S - since_attempt_s)


def _doubled(first_s: float, times: int, cap_s: float) -> float:
    return float(min(cap_s, first_s * 2 ** min(times, DOUBLINGS)))
