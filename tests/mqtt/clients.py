"""Both MQTT clients as a parameter, and what a test of a session needs around it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from random import Random

import pytest

from thingmeter.clock import SystemClock
from thingmeter.config.settings import Mqtt
from thingmeter.mqtt.session import Session

PATIENCE_S = 20.0


class Hasty(Random):
    """Draws the shortest delay, so that only the spacing of one second is left."""

    def uniform(self, a: float, _b: float) -> float:
        return a


class Journal(logging.Handler):
    """Keeps log records and lets a test wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._records.append(record)
            self._changed.notify_all()

    def messages(self, level: int = logging.WARNING) -> list[str]:
        with self._changed:
            return [record.getMessage() for record in self._records if record.levelno >= level]

    def wait_for(self, part: str, *, count: int = 1, level: int = logging.WARNING) -> str:
        """Return the first of ``count`` messages that contain ``part``; fail when they do not come."""

        def found() -> list[str]:
            return [message for message in self.messages(level) if part in message]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count, PATIENCE_S)
        assert len(found()) >= count, f"{part!r} was not logged; this was: {self.messages()}"
        return found()[0]


class Sessions:
    """Makes sessions that are closed at the end of the test."""

    def __init__(self) -> None:
        self._made: list[Session] = []

    def start(self, mqtt: Mqtt, thing: str = "pump-7") -> Session:
        session = Session(mqtt, thing, clock=SystemClock(), random=Hasty())
        self._made.append(session)
        session.start()
        return session

    def close(self) -> None:
        for session in self._made:
            session.close(PATIENCE_S)


@pytest.fixture(params=["paho", pytest.param("awscrt", marks=pytest.mark.needs_aws)])
def mqtt_client(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name == "awscrt":
        pytest.importorskip("awscrt", reason="the extra aws is not installed")
    return name


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    made = Sessions()
    yield made
    made.close()


@pytest.fixture
def mqtt_log() -> Iterator[Journal]:
    handler = Journal()
    logger = logging.getLogger("thingmeter.mqtt")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)
