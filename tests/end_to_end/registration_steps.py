"""One device's registrations on a clock that the test moves, with real attempts: processes, files and HTTPS.

What takes minutes and hours between two attempts takes none here; what an attempt does is what an agent does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from end_to_end.agent import Agent
from end_to_end.registration_device import Devices
from thingmeter.config import load
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.plans import Standing
from thingmeter.registration.declared import registrations_of
from thingmeter.registration.registration import Registration
from thingmeter.testing import ManualClock

MOST_STEPS = 5000  # to what a test waits for; a year of hourly looks at the clock


@dataclass(frozen=True)
class Steps:
    """The registration with one service, and the clock that it goes by."""

    registration: Registration
    clock: ManualClock

    def step(self) -> None:
        """Make the step that is due, and let the time until the next one pass."""
        self.clock.advance(self.registration.step())

    def until(self, condition: Callable[[], bool]) -> float:
        """Step until the condition holds; return the seconds that this took a device; fail when it never holds."""
        begin = self.clock.monotonic()
        for _ in range(MOST_STEPS):
            wait_s = self.registration.step()
            if condition():
                return self.clock.monotonic() - begin
            self.clock.advance(wait_s)
        raise AssertionError(f"not after {MOST_STEPS} steps; {self.registration.trouble}")

    def live(self, seconds: float) -> None:
        """Let so many seconds pass, with every step that is due in them."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.step()

    def until_all(self, standing: Standing) -> float:
        """Step until every definition stands so and the last attempt settled all; return the seconds it took."""
        return self.until(lambda: not self.registration.trouble and self.standings() == {standing})

    def standings(self) -> set[Standing]:
        """Return how the definitions stand of which that is known."""
        return {one.standing for one in self.registration.standings().values()}

    def reasons(self) -> set[str]:
        """Return why they stand so."""
        return {one.reason for one in self.registration.standings().values()}


@contextmanager
def steps_of(agent: Agent, clock: ManualClock) -> Iterator[Steps]:
    """Yield the registration of an agent that is not started and declares something to one service only."""
    with agent.outbox() as outbox:
        (registration,) = registrations_of(load(agent.file), outbox, clock, Pause(clock)).values()
        yield Steps(registration, clock)


@pytest.fixture
def uoms(devices: Devices, clock: ManualClock) -> Iterator[Steps]:
    """Yield the registration of the UOMs of a device that has just started for the first time."""
    with steps_of(devices.make(metrics=""), clock) as steps:
        yield steps


@pytest.fixture
def metrics(devices: Devices, clock: ManualClock) -> Iterator[Steps]:
    """Yield the same of custom metrics."""
    with steps_of(devices.make(uoms=""), clock) as steps:
        yield steps
