"""Scenarios in which the agent or its broker ends while there is traffic, and what was reported of that traffic.

The traffic is frames of our own over a pair of virtual interfaces that nobody else uses, so it is known to the byte.
Prints {"kernel": COUNTERS, "reported": COUNTERS, "reports": N} and the outbox's counts.
"""

from __future__ import annotations

import json
import socket
import sys
from collections import Counter
from pathlib import Path

from brokers import Mosquitto
from end_to_end.agent import Agent, Agents
from end_to_end.defender_service import KEEPS_SESSIONS, SAVING_S, DefenderService, accept, silence, wait_for_answers
from end_to_end.namespace import ip

WATCHED, PEER = "veth0", "veth1"
EXPERIMENTAL = b"\x88\xb5"  # EtherType for local experiments, IEEE 802
COLUMNS = {"bytes_in": 0, "packets_in": 1, "bytes_out": 8, "packets_out": 9}  # of /proc/net/dev, proc(5)
OUTAGE_S = 2.2
PATIENCE_S = 60.0

COLLECTORS = f"""
[collectors.network]
interval_s = 1
include = ["{WATCHED}"]
"""


class Scenario:
    """The namespace, its broker and its agent."""

    def __init__(self, folder: Path) -> None:
        for family in ("default", "all"):
            Path(f"/proc/sys/net/ipv6/conf/{family}/disable_ipv6").write_text("1")  # it would send packets of its own
        ip("link", "set", "lo", "up")
        ip("link", "add", WATCHED, "type", "veth", "peer", "name", PEER)
        ip("link", "set", WATCHED, "up")
        ip("link", "set", PEER, "up")
        self.broker = Mosquitto(folder, extra=KEEPS_SESSIONS.format(folder=folder))
        self.broker.start()
        self.defender = DefenderService(self.broker)
        self.defender.start()
        self.agents = Agents(folder)
        blocks = 'blocks = ["network_stats", "listening_tcp_ports"]'
        self.agent: Agent = self.agents.at(self.broker, defender=blocks, collectors=COLLECTORS)

    def kernel(self) -> Counter[str]:
        rows = (row.partition(":") for row in Path("/proc/net/dev").read_text().splitlines())
        (columns,) = [counts.split() for name, _, counts in rows if name.strip() == WATCHED]
        return Counter({name: int(columns[column]) for name, column in COLUMNS.items()})

    def reported(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for arrival in self.defender.arrivals(self.agent.thing):
            total.update(arrival.network_stats or {})
        return total

    def send(self, frames: int, size: int) -> None:
        """Send so many frames in, and half as many out."""
        for interface, count in ((PEER, frames), (WATCHED, frames // 2)):
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
                link.bind((interface, 0))
                for _ in range(count):
                    link.send(b"\xff" * 6 + b"\x02" * 6 + EXPERIMENTAL + bytes(size))

    def wait_for_all(self, base: Counter[str]) -> None:
        """Return when everything is reported, or when that has taken too long; the test looks at the sums."""
        wanted = self.kernel() - base
        try:
            self.defender.wait_for(self.agent.thing, lambda _: self.reported() == wanted, PATIENCE_S)
        except AssertionError as error:
            sys.stdout.write(f"{error}\n")

    def answered(self, reports: int) -> None:
        """Return when so many reports are answered: none is in flight then, for a while."""
        wait_for_answers(self.broker, self.agent.thing, reports)
        assert self.agent.outlives(SAVING_S)

    def close(self) -> None:
        self.agents.close()
        self.defender.stop()
        self.broker.close()


def away_and_back(scenario: Scenario) -> None:
    """The broker is killed and comes back, then the agent is stopped and started; traffic goes on throughout."""
    agent, defender, base = scenario.agent, scenario.defender, scenario.kernel()
    agent.start()
    scenario.answered(1)
    scenario.send(10, 100)
    scenario.answered(3)

    scenario.broker.kill()
    defender.stop()
    scenario.send(20, 200)
    assert agent.outlives(OUTAGE_S)
    scenario.send(30, 300)
    scenario.broker.start()
    defender.start()
    scenario.wait_for_all(base)
    defender.next_reports(agent.thing, 1)  # in which nothing may come twice

    agent.stop()
    scenario.send(40, 400)
    agent.start()
    scenario.wait_for_all(base)
    defender.next_reports(agent.thing, 1)


def killed_before_the_answer(scenario: Scenario) -> None:
    """The agent is killed when a report has been published and not answered yet."""
    agent, defender = scenario.agent, scenario.defender
    agent.start()
    scenario.answered(1)
    scenario.send(10, 100)
    defender.always(agent.thing, silence)
    defender.wait_for(agent.thing, lambda arrival: bool(arrival.network_stats and arrival.network_stats["packets_in"]))
    scenario.broker.log.wait_for(lambda line: f"Sending PUBACK to {agent.thing}" in line, 2)
    assert agent.outlives(0.2)  # it has the PUBACK
    agent.kill()

    defender.always(agent.thing, accept)
    agent.start()
    defender.next_reports(agent.thing, 3)


SCENARIOS = {play.__name__: play for play in (away_and_back, killed_before_the_answer)}


def main(name: str, folder: Path) -> None:
    scenario = Scenario(folder)
    base = scenario.kernel()
    try:
        SCENARIOS[name](scenario)
        scenario.agent.stop()
        kernel, reported, counts = scenario.kernel() - base, scenario.reported(), scenario.agent.counts()
        arrivals = scenario.defender.arrivals(scenario.agent.thing)
    finally:
        scenario.close()
    json.dump({"kernel": kernel, "reported": reported, "reports": len(arrivals), **counts}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
