"""The thread of all registrations: it steps each when it is due, and none can end it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection, Iterator
from random import Random

import pytest

from registration.devices import Metric
from thingmeter.clock import SystemClock
from thingmeter.errors import Unreachable
from thingmeter.outbox import Outbox
from thingmeter.plans import Outcome
from thingmeter.registration.registration import Attempt, Registration, Subject
from thingmeter.registration.rounds import Rounds
from thingmeter.registration.spread import Timing

PATIENCE_S = 20.0
CPU = Metric("cpu")

Start = Callable[..., Rounds]


def registration_of(
    outbox: Outbox, service: str, attempt: Attempt, stop: Callable[[], None] = lambda: None
) -> Registration:
    subject = Subject(service, [CPU], "eu-west-1", attempt, stop=stop)
    return Registration(subject, Timing("pump-7", 0, 86_400), outbox, SystemClock(), Random(1))


class Attempts:
    """Attempts that tell when they are made and end as ``error`` says, or register."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._error = error

    def __call__(self, _known: Collection[str]) -> Iterator[Outcome]:
        self.made.put(None)
        if self._error:
            raise self._error
        yield Outcome("cpu", "create", "registered")


class HungAttempts:
    """Attempts that hang until they are stopped."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self._stopped = threading.Event()

    def __call__(self, _known: Collection[str]) -> Iterator[Outcome]:
        self.has_begun.set()
        if self._stopped.wait(PATIENCE_S):
            raise Unreachable("the agent is stopping")
        yield Outcome("cpu", "create", "registered")

    def stop(self) -> None:
        self._stopped.set()


@pytest.fixture
def start() -> Iterator[Start]:
    """Yield a function that starts rounds, which are stopped at the end."""
    started: list[Rounds] = []

    def start(*registrations: Registration) -> Rounds:
        started.append(rounds := Rounds(registrations))
        rounds.start()
        return rounds

    yield start
    for rounds in started:
        rounds.stop(PATIENCE_S)


def test_what_is_due_is_attempted(outbox: Outbox, start: Start) -> None:
    attempts = Attempts()

    start(registration_of(outbox, "defender", attempts))

    attempts.made.get(timeout=PATIENCE_S)


def test_every_service_has_its_turn(outbox: Outbox, start: Start) -> None:
    defender, devrev = Attempts(Unreachable("no route")), Attempts()

    start(registration_of(outbox, "defender", defender), registration_of(outbox, "devrev", devrev))

    devrev.made.get(timeout=PATIENCE_S)


def test_what_one_service_could_not_foresee_leaves_the_other(
    outbox: Outbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    defender, devrev = Attempts(KeyError("region")), Attempts()

    start(registration_of(outbox, "defender", defender), registration_of(outbox, "devrev", devrev))

    devrev.made.get(timeout=PATIENCE_S)
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["registration defender failed unexpectedly"]


def test_a_stop_ends_the_wait(outbox: Outbox, start: Start) -> None:
    attempts = Attempts()
    rounds = start(registration_of(outbox, "defender", attempts))
    attempts.made.get(timeout=PATIENCE_S)

    assert rounds.stop(PATIENCE_S)


def test_a_stop_ends_a_running_attempt(outbox: Outbox, start: Start) -> None:
    attempts = HungAttempts()
    rounds = start(registration_of(outbox, "defender", attempts, attempts.stop))
    attempts.has_begun.wait(PATIENCE_S)

    assert rounds.stop(PATIENCE_S)


def test_a_stop_that_comes_first_is_fine(outbox: Outbox) -> None:
    assert Rounds([registration_of(outbox, "defender", Attempts())]).stop(PATIENCE_S)


def test_without_registrations_there_is_no_thread() -> None:
    before = threading.active_count()

    Rounds([]).start()

    assert threading.active_count() == before
