"""How long nobody may use DevRev's token: all who hold it share one budget of calls, usage and registration alike.

Source: DevRev's page "Rate limits": the budget is per token, over all calls, in windows of five minutes.
"""

from __future__ import annotations

import math
import threading
from random import Random

from thingmeter.protocols import Clock

SPREAD = 0.5  # of what was asked for is drawn on top, so that devices that share a token do not come back as one


class Pause:
    """The end of the longest wait that DevRev has asked this agent for. Every method may be called from any thread."""

    def __init__(self, clock: Clock, random: Random | None = None) -> None:
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - jitter, not a secret
        self._lock = threading.Lock()
        self._until = -math.inf  # monotonic

    def ask(self, after_s: float) -> float:
        """Let nobody call for ``after_s`` seconds and a random share more; return the seconds until somebody may.

        A shorter wait does not end a longer one.
        """
        wait_s = after_s * (1 + SPREAD * self._random.random())
        with self._lock:
            self._until = max(self._until, self._clock.monotonic() + wait_s)
        return self.wait_s()

    def wait_s(self) -> float:
        """Return the seconds until a call may be made, 0 when it is now."""
        with self._lock:
            return max(0.0, self._until - self._clock.monotonic())
