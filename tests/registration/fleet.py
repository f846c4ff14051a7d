"""A fleet of devices in virtual time, each registering the same custom metrics in one account.

Real are all parts that decide when and what a device asks: registration.py, spread.py, pacing.py, the registrar and its
control plane. They ask the sandbox's service of custom metrics, with the account's limits of calls per second, on the
virtual clock. Left out are HTTPS, signatures, the process of an attempt, and the outbox: ten thousand SQLite files
would measure the disk, so a device keeps its state in memory.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from types import TracebackType
from typing import Self

from registration.fleet_network import Line, Network, SwitchedOff
from registration.fleet_time import VirtualTime
from thingmeter.config.settings import Registration as Settings
from thingmeter.destinations.defender.control_plane import ControlPlane
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.defender.registrar import CustomMetricRegistrar
from thingmeter.destinations.pacing import paced, patient
from thingmeter.plans import Outcome, Standing
from thingmeter.registration.declared import GAP_S
from thingmeter.registration.registration import Registration, Subject
from thingmeter.registration.spread import Timing
from thingmeter.sandbox.control_plane.custom_metrics import CustomMetrics
from thingmeter.sandbox.control_plane.operations import Operation
from thingmeter.sandbox.control_plane.pace import CallLog

HOUR_S = 3600.0
OPERATIONS: Mapping[str, Operation] = {
    "list": "ListCustomMetrics",
    "describe": "DescribeCustomMetric",
    "create": "CreateCustomMetric",
    "update": "UpdateCustomMetric",
}
URL = "https://iot.eu-west-1.amazonaws.com"
DEFAULTS = Settings()

Definitions = Sequence[CustomMetricDefinition]


@dataclass(frozen=True)
class Figures:
    """What a fleet did within some time.

    Attributes:
        devices: how many there are.
        calls: by operation, of the whole fleet; ``OPERATIONS`` has the names.
        peaks: by operation, the most calls in any one second.
        most_calls: of one device.
        attempts: of the whole fleet.
        most_attempts: of one device.
        throttled: calls that the service refused for coming too fast.
        settled_s: from the start of the measuring until the last device knew of each of its definitions how it stands;
            0 where all did before, infinite where one does not.
        standings: how many definitions stand how at the end, of all devices.
        account: what the account has at the end.
        shown: the display names that updates have brought about, by metric, each change in order.
    """

    devices: int
    calls: Mapping[str, int]
    peaks: Mapping[str, int]
    most_calls: int
    attempts: int
    most_attempts: int
    throttled: int
    settled_s: float
    standings: Mapping[Standing, int]
    account: frozenset[str]
    shown: tuple[tuple[str, str], ...]

    @property
    def total(self) -> int:
        """All calls of the whole fleet."""
        return sum(self.calls.values())

    def each(self, operation: str) -> float:
        """Return the calls of an operation for each device, in the mean."""
        return self.calls[operation] / self.devices


class _Memory:
    """A device's state; survives the restarts of its agent."""

    def __init__(self) -> None:
        self._state: dict[str, bytes] = {}

    def state(self, name: str) -> bytes | None:
        return self._state.get(name)

    def put_state(self, state: Mapping[str, bytes]) -> None:
        self._state.update(state)


class Device:
    """One thing and its agent, of which only the registration runs.

    Attributes:
        thing: its name.
        calls: by operation, since they were last cleared.
        attempts: likewise.
        settled_at_s: when it came to know all its definitions' standings; infinite while it does not.
    """

    def __init__(self, thing: str, network: Network, timing: Timing, random: Random) -> None:
        self.thing = thing
        self.calls: Counter[str] = Counter()
        self.attempts = 0
        self.settled_at_s = math.inf
        self._network = network
        self._timing = timing
        self._random = random
        self._memory = _Memory()
        self._starts = 0
        self._definitions: Definitions = ()
        self._registration: Registration | None = None

    def start(self, definitions: Definitions) -> None:
        """Start the agent with a configuration, in place of the one that runs."""
        self.stop()
        subject = Subject("defender", definitions, URL, partial(self._attempt, definitions))
        registration = Registration(subject, self._timing, self._memory, self._network.time.clock, self._random)
        self._registration, self._definitions = registration, definitions
        self._step(registration, self._starts)  # at once: the agent's thread notes that it started

    def stop(self) -> None:
        """Switch the device off, whatever it is about."""
        self._starts += 1
        self._registration = None
        self._definitions = ()
        self.settled_at_s = math.inf

    def standings(self) -> list[Standing]:
        """Return how each definition stands."""
        registration = self._registration
        return [registration.standing(one.name) for one in self._definitions] if registration else []

    def _step(self, registration: Registration, start: int) -> None:
        """Do what the agent's thread does, once."""
        if start != self._starts:
            return
        try:
            wait_s = registration.step()
        except SwitchedOff:
            return
        self._look()
        self._network.time.call_in(wait_s, partial(self._step, registration, start))

    def _look(self) -> None:
        if self.settled_at_s == math.inf and "pending" not in self.standings():
            self.settled_at_s = self._network.time.clock.monotonic()

    def _attempt(self, definitions: Definitions, known: Collection[str]) -> Iterator[Outcome]:
        """Make an attempt as the child process does."""
        self.attempts += 1
        start, clock = self._starts, self._network.time.clock
        line = Line(self._network, self._random, self.calls, lambda: start == self._starts)
        exchange = paced(line.exchange, GAP_S, wait=line.owe, random=self._random)
        registrar = CustomMetricRegistrar(ControlPlane(URL, patient(exchange), clock), self._random)
        try:
            yield from registrar.apply(registrar.plan(definitions, known))
        finally:
            line.pay()


class Fleet:
    """Devices of one account. Between two calls of a method no time passes, but for those that say so.

    Attributes:
        time: virtual.
        service: the account.
        network: of all devices.
        devices: all of them.

    Args:
        things: the devices' names.
        spread_s: [registration] spread_s of each.
        seed: of everything that is drawn.
    """

    def __init__(self, things: Iterable[str], *, spread_s: float = DEFAULTS.spread_s, seed: int = 1) -> None:
        self.time = VirtualTime()
        self.service = CustomMetrics(self.time.clock)
        self.network = Network(self.time, self.service)
        self._random = Random(seed)
        self.devices = [
            Device(thing, self.network, Timing(thing, spread_s, DEFAULTS.verify_interval_s), self._new_random())
            for thing in things
        ]
        self._logger = logging.getLogger("thingmeter.registration")
        self._level = self._logger.level

    def __enter__(self) -> Self:
        self._logger.setLevel(logging.CRITICAL + 1)  # ten thousand logs would take longer than all else
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.time.__exit__(kind, error, at)
        self._logger.setLevel(self._level)

    def start(
        self, definitions: Definitions, *, within_s: float = 1.0, devices: Sequence[Device] | None = None
    ) -> None:
        """Have the devices started, all by default, each at some moment within the next ``within_s`` seconds."""
        for device in self.devices if devices is None else devices:
            self.time.call_in(self._random.uniform(0, within_s), partial(device.start, definitions))

    def measure(self, seconds: float) -> Figures:
        """Let ``seconds`` pass and return what happened in them."""
        begin_s = self.time.clock.monotonic()
        self.service.log = CallLog()
        self.network.shown.clear()
        for device in self.devices:
            device.calls.clear()
            device.attempts = 0
        self.time.wait(seconds)
        return self._figures(begin_s)

    def _figures(self, begin_s: float) -> Figures:
        log = self.service.log
        last_s = max(device.settled_at_s for device in self.devices)
        return Figures(
            devices=len(self.devices),
            calls={word: log.count(name) for word, name in OPERATIONS.items()},
            peaks={word: log.peak(name) for word, name in OPERATIONS.items()},
            most_calls=max(device.calls.total() for device in self.devices),
            attempts=sum(device.attempts for device in self.devices),
            most_attempts=max(device.attempts for device in self.devices),
            throttled=log.errors("ThrottlingException"),
            settled_s=max(0.0, last_s - begin_s),
            standings=Counter(standing for device in self.devices for standing in device.standings()),
            account=frozenset(self.service.metrics),
            shown=tuple(self.network.shown),
        )

    def _new_random(self) -> Random:
        return Random(self._random.getrandbits(64))
