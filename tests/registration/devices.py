"""One device and a service of which nothing is real but how it answers an attempt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from thingmeter.outbox import Outbox
from thingmeter.plans import Outcome, Standing
from thingmeter.protocols import Definition
from thingmeter.registration.registration import Registration, Subject
from thingmeter.registration.spread import Timing
from thingmeter.testing import ManualClock

KEY = "registration.defender"
SPREAD_S = 7200
VERIFY_S = 86_400

Answer = Outcome | Exception


@dataclass(frozen=True)
class Metric:
    """A definition; ``words`` are for people."""

    name: str
    type: str = "number"
    words: str = ""

    def fingerprint(self) -> str:
        return f"{self.name} {self.type} {self.words}"

    def essence(self) -> str:
        return f"{self.name} {self.type}"


class ScriptedAttempts:
    """Attempts whose outcomes are written down beforehand; behind the last all is registered.

    ``known`` has what each attempt was told to be known already.
    """

    def __init__(self, metrics: Iterable[Definition], *attempts: Iterable[Answer]) -> None:
        self.known: list[frozenset[str]] = []
        self._metrics = tuple(metrics)
        self._attempts = deque(attempts)

    def __call__(self, known: Collection[str]) -> Iterator[Outcome]:
        self.known.append(frozenset(known))
        for answer in self._attempts.popleft() if self._attempts else (registered(one.name) for one in self._metrics):
            if isinstance(answer, Exception):
                raise answer
            yield answer

    @property
    def count(self) -> int:
        return len(self.known)


def registered(name: str, reason: str = "") -> Outcome:
    return Outcome(name, "create", "registered", reason)


def outcome(name: str, standing: Standing, reason: str = "a reason") -> Outcome:
    return Outcome(name, "conflict" if standing == "conflict" else "adopt", standing, reason)


@dataclass
class Device:
    """A thing whose agent can be started again and again on the same outbox."""

    outbox: Outbox
    clock: ManualClock
    thing: str = "pump-7"
    spread_s: int = SPREAD_S
    identity: str = "eu-west-1"
    version: Callable[[], str] = field(default=lambda: "first")

    @property
    def timing(self) -> Timing:
        return Timing(self.thing, self.spread_s, VERIFY_S)

    def start(self, attempts: ScriptedAttempts, *metrics: Definition) -> Registration:
        subject = Subject("defender", metrics, self.identity, attempts, self.version)
        return Registration(subject, self.timing, self.outbox, self.clock, Random(1))

    def live(self, registration: Registration, seconds: float) -> None:
        """Let ``seconds`` pass with ``registration`` stepped whenever it wants to be."""
        end = self.clock.monotonic() + seconds
        while (wait_s := registration.step()) <= end - self.clock.monotonic():
            self.clock.advance(wait_s)
        self.clock.advance(end - self.clock.monotonic())
