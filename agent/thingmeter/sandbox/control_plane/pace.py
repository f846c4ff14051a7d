"""How many calls a second an account may make, and how many it made.

Source: docs.aws.amazon.com/general/latest/gr/iot_device_defender.html (calls per second of each operation). How AWS
counts is not documented; a token bucket that holds one second's calls is what its other services describe.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from thingmeter.protocols import Clock
from thingmeter.sandbox.control_plane.operations import Operation

CALLS_PER_S: Mapping[Operation, float] = {
    "CreateCustomMetric": 10,
    "DescribeCustomMetric": 25,
    "UpdateCustomMetric": 10,
    "DeleteCustomMetric": 10,
    "ListCustomMetrics": 10,
}
KEPT_CALLS = 1_000_000


class TokenBucket:
    """Lets ``per_s`` calls a second pass, and as many at once after a second without any."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self.per_s = per_s
        self._clock = clock
        self._tokens = per_s
        self._filled_at = clock.monotonic()

    def take(self) -> bool:
        """Return whether the call at hand may pass."""
        now = self._clock.monotonic()
        self._tokens = min(self.per_s, self._tokens + (now - self._filled_at) * self.per_s)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class CallLog:
    """When each call came, by operation, on the monotonic clock; the newest million of each operation.

    Attributes:
        outcomes: how many calls of an operation ended in what: (operation, "" or the type of the error).
    """

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._times: dict[str, deque[float]] = {}

    def note(self, operation: str, at_s: float, error: str = "") -> None:
        """Record a call; calls come in the order of their times."""
        self.outcomes[operation, error] += 1
        self._times.setdefault(operation, deque(maxlen=KEPT_CALLS)).append(at_s)

    def count(self, operation: str | None = None) -> int:
        """Return how many calls came, of one operation or of all."""
        return sum(number for (name, _), number in self.outcomes.items() if operation in {None, name})

    def errors(self, error: str) -> int:
        """Return how many calls ended in an error of this type."""
        return sum(number for (_, found), number in self.outcomes.items() if found == error)

    def peak(self, operation: str, window_s: float = 1.0) -> int:
        """Return the most calls of an operation in any ``window_s`` seconds, wherever they begin."""
        inside: deque[float] = deque()
        most = 0
        for at_s in self._times.get(operation, ()):
            inside.append(at_s)
            while at_s - inside[0] >= window_s:
                inside.popleft()
            most = max(most, len(inside))
        return most
