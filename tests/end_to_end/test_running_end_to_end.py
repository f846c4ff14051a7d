"""What a running agent does on signals, with a collector that hangs, and when the clock steps."""

from __future__ import annotations

import signal
from itertools import pairwise
from pathlib import Path

import pytest

from brokers import Mosquitto
from end_to_end.agent import COLLECTORS, CUSTOM_METRICS, Agents
from end_to_end.clock_shim import ClockShim, clock_shim
from end_to_end.defender_service import DefenderService

__all__ = ["clock_shim"]  # a fixture

pytestmark = pytest.mark.needs_mosquitto

HOUR_S = 3600

HUNG = """
import threading
from thingmeter import Metric
LITRES = Metric("litres", unit="l")
class Hung:
    metrics = (LITRES,)
    def collect(self):
        threading.Event().wait()
        yield LITRES.sample(1)
"""

HUNG_TABLE = """
[collectors.a_hung]
use = "hung"
interval_s = 1
timeout_s = 0.5
"""


@pytest.fixture
def hung_plugin(tmp_path: Path) -> str:
    """Return the folder of an installed package whose collector never returns."""
    site = tmp_path / "site-packages"
    metadata = site / "hung-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "hung_module.py").write_text(HUNG)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hung\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[thingmeter.collectors]\nhung = hung_module:Hung\n")
    return str(site)


def test_a_collector_that_hangs_does_not_keep_the_others_from_being_reported(
    agents: Agents, broker: Mosquitto, defender: DefenderService, hung_plugin: str
) -> None:
    agent = agents.at(broker, collectors=HUNG_TABLE + COLLECTORS, defender=CUSTOM_METRICS)
    agent.environment = {"PYTHONPATH": hung_plugin}

    agent.start()
    reports = defender.reports(agent.thing, 3)

    assert "cpu_usage" in reports[-1].content["custom_metrics"]
    assert [report.problems for report in reports] == [(), (), ()]
    assert len([line for line in agent.log.text().splitlines() if "a_hung: has not returned" in line]) == 1


def test_a_collector_that_hangs_does_not_delay_sigterm(
    agents: Agents, broker: Mosquitto, defender: DefenderService, hung_plugin: str
) -> None:
    agent = agents.at(broker, collectors=HUNG_TABLE + COLLECTORS)
    agent.environment = {"PYTHONPATH": hung_plugin}
    agent.start()
    defender.reports(agent.thing, 2)

    assert agent.stop() == 0


def test_sigterm_during_the_first_collect_of_a_hung_collector_ends_in_good_order(
    agents: Agents, broker: Mosquitto, hung_plugin: str
) -> None:
    agent = agents.at(broker, collectors=HUNG_TABLE.replace("0.5", "1") + COLLECTORS)
    agent.environment = {"PYTHONPATH": hung_plugin}
    agent.start()
    agent.wait_for("collectors a_hung")

    code = agent.stop()

    assert (code, "Traceback" in agent.log.text()) == (0, False)


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("mqtt_client", "step_s"),
    [
        pytest.param("paho", 3 * HOUR_S, id="paho-3 h on"),
        pytest.param("awscrt", -3 * HOUR_S, id="awscrt-3 h back", marks=pytest.mark.needs_aws),
    ],
    indirect=["mqtt_client"],
)
def test_after_a_step_of_the_clock_reports_go_on_without_a_burst(
    agents_of_each_client: Agents, broker: Mosquitto, defender: DefenderService, clock_shim: ClockShim, step_s: int
) -> None:
    agent = agents_of_each_client.at(broker)
    agent.environment = clock_shim.environment()
    agent.start()
    defender.reports(agent.thing, 2)

    clock_shim.step_to(step_s)
    defender.next_reports(agent.thing, 4)

    arrivals = defender.arrivals(agent.thing)
    ids = [arrival.report_id for arrival in arrivals]
    assert ids == sorted(set(ids))
    assert min(after.at - before.at for before, after in pairwise(arrivals)) > 0.75  # of 1 s, less the network's jitter


@pytest.mark.needs_compiler
def test_after_a_restart_with_the_clock_3_h_back_reports_go_on_with_higher_ids(
    agents: Agents, broker: Mosquitto, defender: DefenderService, clock_shim: ClockShim
) -> None:
    agent = agents.at(broker)
    agent.environment = clock_shim.environment()
    agent.start()
    defender.reports(agent.thing, 1)
    agent.stop()

    clock_shim.step_to(-3 * HOUR_S)
    agent.start()
    defender.reports(agent.thing, 3)

    ids = [arrival.report_id for arrival in defender.arrivals(agent.thing)]
    assert ids == sorted(set(ids))


def test_sighup_applies_a_good_configuration(agents: Agents, broker: Mosquitto, defender: DefenderService) -> None:
    agent = agents.at(broker, names="long")
    agent.start()
    defender.reports(agent.thing, 1)
    agent.config.names = "short"
    agent.write()

    agent.signal(signal.SIGHUP)

    assert defender.wait_for(agent.thing, lambda arrival: b'"hed"' in arrival.payload).problems == ()


def test_sighup_with_a_bad_configuration_keeps_the_old_one_and_says_where_the_mistake_is(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker)
    agent.start()
    defender.reports(agent.thing, 1)
    agent.write(agent.config.text().replace("interval_s = 1", "intervall_s = 1", 1))

    agent.signal(signal.SIGHUP)
    agent.wait_for("the configuration stays as it was")

    (line,) = agent.wait_for("intervall_s = 1: unknown key")
    assert line.startswith(f"{agent.file}:")
    assert defender.next_reports(agent.thing, 2)


def test_sighup_with_an_outbox_that_cannot_be_opened_keeps_the_old_configuration(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker)
    agent.start()
    defender.reports(agent.thing, 1)
    outbox = agent.config.folder / "outbox.db"
    agent.write(agent.config.text().replace(str(outbox), "/proc/nowhere/outbox.db"))

    agent.signal(signal.SIGHUP)

    assert defender.next_reports(agent.thing, 2)


def test_sigusr1_reports_at_once(agents: Agents, broker: Mosquitto, defender: DefenderService) -> None:
    agent = agents.at(broker, interval_s=3600)
    agent.start()
    defender.reports(agent.thing, 1)
    agent.outlives(1.2)  # the minimum interval

    agent.signal(signal.SIGUSR1)

    assert defender.reports(agent.thing, 2)


def test_sigusr1_never_undercuts_the_minimum_interval(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker, interval_s=3600, minimum_interval_s=3600)
    agent.start()
    defender.reports(agent.thing, 1)

    for _ in range(3):
        agent.signal(signal.SIGUSR1)
    agent.wait_for("nothing to flush now")
    agent.stop()

    assert len(defender.arrivals(agent.thing)) == 1
