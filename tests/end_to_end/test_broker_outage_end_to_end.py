"""What the agent does while the broker is away, and when it is back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import Mosquitto
from end_to_end.agent import Agent, Agents
from end_to_end.defender_service import KEEPS_SESSIONS, SAVING_S, DefenderService, wait_for_answers

pytestmark = [pytest.mark.needs_mosquitto, pytest.mark.long]

AWAY_S = 2.2  # and until an attempt to connect has failed: two reports are replaced
BACK_S = 60.0  # the longest wait for the next attempt to connect, after so few failures


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Yield a broker of the test's own, not started, which remembers who was subscribed."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, extra=KEEPS_SESSIONS.format(folder=folder))
    yield broker
    broker.close()


@pytest.fixture
def own_defender(own_broker: Mosquitto) -> Iterator[DefenderService]:
    service = DefenderService(own_broker)
    yield service
    service.stop()


def warnings(agent: Agent, part: str) -> list[str]:
    return [line for line in agent.log.text().splitlines() if " WARNING " in line and part in line]


@pytest.mark.parametrize(
    ("mqtt_client", "how"),
    [
        pytest.param("paho", signal.SIGTERM, id="paho-stopped"),
        pytest.param("awscrt", signal.SIGKILL, id="awscrt-killed", marks=pytest.mark.needs_aws),
    ],
    indirect=["mqtt_client"],
)
def test_after_an_outage_the_newest_report_alone_goes_out(
    agents_of_each_client: Agents, own_broker: Mosquitto, own_defender: DefenderService, how: signal.Signals
) -> None:
    own_broker.start()
    own_defender.start()
    agent = agents_of_each_client.at(own_broker)
    agent.start()
    wait_for_answers(own_broker, agent.thing, 2)
    assert agent.outlives(SAVING_S)

    own_broker.stop(how)
    own_defender.stop()
    assert agent.outlives(AWAY_S)
    agent.wait_for("nothing listens there")
    before = len(own_defender.arrivals(agent.thing))
    back = time.time()
    own_broker.start()
    own_defender.start()
    (first, *_) = own_defender.reports(agent.thing, before + 2, BACK_S)[before:]
    agent.stop()

    arrivals, counts = own_defender.arrivals(agent.thing), agent.counts()
    ids = [arrival.report_id for arrival in arrivals]
    assert first.report_id >= int(back) - 1
    assert ids == sorted(set(ids))
    assert counts["replaced"] >= 1
    assert counts["delivered"] == len(arrivals)
    assert len(warnings(agent, "nothing listens there")) == 1  # an outage is said once


def test_started_without_a_broker_the_agent_samples_and_reports_once_there_is_one(
    agents: Agents, own_broker: Mosquitto, own_defender: DefenderService
) -> None:
    agent = agents.at(own_broker)
    agent.start()
    agent.wait_for("nothing listens there")
    assert agent.outlives(2.5)

    own_broker.start()
    own_defender.start()
    own_defender.reports(agent.thing, 1, BACK_S)
    agent.stop()

    assert agent.counts()["replaced"] >= 1
