"""What the end-to-end tests share: one broker with one Device Defender for each module, and agents.

A test that stops, floods or reconfigures a broker makes one of its own; any other takes a new thing at the shared one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import OBSERVER, PROGRAM, Mosquitto
from end_to_end.agent import Agents
from end_to_end.defender_service import DefenderService, defender_at


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Yield a broker that every test of the module shares; it is never stopped."""
    if PROGRAM is None or OBSERVER is None:
        pytest.skip("mosquitto and mosquitto_sub are not installed (Debian packages mosquitto, mosquitto-clients)")
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def defender(broker: Mosquitto) -> Iterator[DefenderService]:
    """Yield the Device Defender at that broker."""
    with defender_at(broker) as service:
        yield service


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Agents]:
    """Yield what makes agents of the default MQTT client."""
    made = Agents(tmp_path)
    yield made
    made.close()


@pytest.fixture
def agents_of_each_client(tmp_path: Path, mqtt_client: str) -> Iterator[Agents]:
    """Yield what makes agents of one MQTT client; the test runs once for each."""
    made = Agents(tmp_path, mqtt_client)
    yield made
    made.close()
