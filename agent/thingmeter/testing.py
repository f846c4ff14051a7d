"""For tests, of plugins and of thingmeter itself: a clock to move, a scripted transport, a check of collectors.

def test_the_pump_collector_is_sound(tmp_path: Path) -> None:
    (tmp_path / "pump").write_text("12 on")

    samples = check_collector(PumpCollector(path=tmp_path / "pump"))

    assert [sample.value for sample in samples] == [6.0, True]
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

from thingmeter.collectors.checks import by_name, checked, declared_problem
from thingmeter.metrics import Sample
from thingmeter.protocols import Collector

__all__ = ["ManualClock", "ScriptedTransport", "check_collector"]


class ManualClock:
    """A clock that stands still until it is moved; a ``protocols.Clock``.

    Attributes:
        is_synchronised: what ``synchronised()`` returns; set it.

    Args:
        now: the wall time it starts at, aware.
        uptime_s: how long the machine has been up then.
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, uptime_s: float = 1000.0) -> None:
        self.is_synchronised = True
        self._now = now.astimezone(UTC)
        self._monotonic = self._boottime = uptime_s
        self._boots = 1

    def now(self) -> datetime:
        """Return the wall time, aware UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that neither ``step()`` nor ``suspend()`` moves."""
        return self._monotonic

    def boottime(self) -> float:
        """Return seconds since boot, which ``step()`` doesn't move."""
        return self._boottime

    def boot_id(self) -> str:
        """Return the name of this boot; another one after each ``reboot()``."""
        return f"00000000-0000-4000-8000-{self._boots:012x}"

    def synchronised(self) -> bool:
        """Return ``is_synchronised``."""
        return self.is_synchronised

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, for all clocks."""
        self.suspend(seconds)
        self._monotonic += seconds

    def suspend(self, seconds: float) -> None:
        """Let ``seconds`` pass while the machine sleeps: the monotonic clock stands still."""
        if seconds < 0:
            raise ValueError(f"{seconds} s: time does not go back; step() moves the wall clock")
        self._now += timedelta(seconds=seconds)
        self._boottime += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back when negative; no time passes."""
        self._now += timedelta(seconds=seconds)

    def reboot(self) -> None:
        """Start the machine anew: another boot id, no uptime, and the wall time as it was."""
        self._boots += 1
        self._monotonic = self._boottime = 0.0


class ScriptedTransport:
    """A transport whose outcomes are written down beforehand; a ``protocols.Transport``.

    Attributes:
        sent: (key, payload) of every ``send()``, in order, whatever its outcome.
        is_closed: whether ``close()`` was called.

    Args:
        outcomes: one for each ``send()``: None accepts, an exception is raised. Behind the last one all is accepted.
    """

    def __init__(self, *outcomes: Exception | None) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.is_closed = False
        self._outcomes = deque(outcomes)

    @property
    def keys(self) -> list[str]:
        """The keys of ``sent``."""
        return [key for key, _ in self.sent]

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of ``sent``."""
        return [payload for _, payload in self.sent]

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # the protocol's signature
        """Take note of the message; end as the script says."""
        self.sent.append((key, payload))
        outcome = self._outcomes.popleft() if self._outcomes else None
        if outcome is not None:
            raise outcome

    def close(self) -> None:
        """Take note of it."""
        self.is_closed = True


def check_collector(collector: Collector) -> tuple[Sample, ...]:
    """Run ``collector`` once and return its samples, not stamped and with the short names.

    Raises:
        AssertionError: it declares or yields what the agent would refuse, with every mistake: a metric that is not
            declared, a value of the wrong type or not finite, wrong dimensions, a time without zone.
        CollectError: as ``collect()`` raised it; so for every other exception.
    """
    problem = declared_problem(collector.metrics)
    if problem is not None:
        raise AssertionError(problem)
    declared = by_name(collector.metrics)
    samples, mistakes = [], []
    for candidate in collector.collect():
        try:
            samples.append(checked(candidate, declared))
        except (TypeError, ValueError) as error:
            mistakes.append(f"{candidate!r:.300}: {error}")
    if mistakes:
        raise AssertionError("\n".join(mistakes))
    return tuple(samples)
