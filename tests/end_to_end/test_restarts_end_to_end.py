"""What holds over the ends of the agent, in good order and not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

import pytest

from brokers import Mosquitto
from end_to_end.agent import Agent, Agents
from end_to_end.defender_service import Arrival, DefenderService

pytestmark = pytest.mark.needs_mosquitto

ROUNDS = 8  # with each client
LIFETIMES_S = (0.1, 1.6)  # from the start: before the outbox is open to after the first report
CONNECTED_S = (0.0, 1.3)  # from the connection on, however late it came: before the first report to after the second
OUTCOMES = ("delivered", "waiting", "set_aside", "dropped", "replaced", "unconfirmed")
DELAY_S = 0.25  # how much later the first of two reports may have come than it was sent, on a busy machine


def broken_promises(arrivals: Sequence[Arrival], counts: Sequence[Mapping[str, int]]) -> list[str]:
    """Return what does not hold: between reports as they came, and within the outbox after each end."""
    broken = [f"report {arrival.report_id}: {arrival.problems}" for arrival in arrivals if arrival.problems]
    for before, after in pairwise(arrivals):
        if after.report_id < before.report_id:
            broken.append(f"report {after.report_id} came after {before.report_id}")
        if after.report_id == before.report_id:
            how = "twice" if after.payload == before.payload else "with two different contents"
            broken.append(f"report {after.report_id} came {how}")
    for number, count in enumerate(counts):
        if count["put"] != sum(count[outcome] for outcome in OUTCOMES):
            broken.append(f"after end {number}: {dict(count)}")
    return broken


def run_and_kill(agent: Agent, random: Random, *, connected: bool) -> Mapping[str, int]:
    agent.start()
    if connected:
        agent.wait_for("mqtt: connected")
    assert agent.outlives(random.uniform(*(CONNECTED_S if connected else LIFETIMES_S)))
    agent.kill()
    return agent.counts()


@pytest.mark.long
def test_killed_at_random_moments_the_agent_breaks_no_promise(
    agents_of_each_client: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents_of_each_client.at(broker)
    random = Random(agents_of_each_client.client)

    counts = [run_and_kill(agent, random, connected=number % 2 == 1) for number in range(ROUNDS)]

    arrivals = defender.arrivals(agent.thing)
    assert len(arrivals) > 1
    assert broken_promises(arrivals, counts) == []


def test_in_a_crash_loop_reports_keep_the_minimum_interval(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker, interval_s=2, minimum_interval_s=2)

    for reports in range(1, 5):
        agent.start()
        defender.reports(agent.thing, reports)
        agent.kill()

    arrivals = defender.arrivals(agent.thing)
    assert min(after.at - before.at for before, after in pairwise(arrivals)) > 2 - DELAY_S


def test_after_a_restart_report_ids_grow_and_the_first_report_has_no_network_stats(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker)
    agent.start()
    defender.reports(agent.thing, 2)
    agent.stop()

    before = len(defender.arrivals(agent.thing))
    agent.start()
    reports = defender.reports(agent.thing, before + 2)[before:]
    agent.stop()

    assert [report.network_stats is None for report in reports] == [True, False]
    ids = [arrival.report_id for arrival in defender.arrivals(agent.thing)]
    assert ids == sorted(set(ids))


def test_a_second_agent_on_the_same_outbox_ends_and_names_the_first(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    first = agents.at(broker)
    first.start()
    defender.reports(first.thing, 1)
    second = Agent(first.config)

    second.start()

    assert second.wait() == 1
    assert f"in use by process {first.pid}" in second.log.text()


@pytest.mark.parametrize("moment_s", [0.15, 0.25, 0.35, 0.45])
def test_sigterm_soon_after_the_start_ends_in_good_order(agents: Agents, broker: Mosquitto, moment_s: float) -> None:
    agent = agents.at(broker)
    agent.start()
    agent.wait_for("collectors cpu, network, sockets")
    agent.outlives(moment_s - 0.15)

    code = agent.stop()

    assert (code, "Traceback" in agent.log.text()) == (0, False)
