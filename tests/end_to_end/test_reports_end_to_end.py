"""What a running agent says over mutual TLS to Mosquitto, in every encoding and through both MQTT clients."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from brokers import Mosquitto
from end_to_end.agent import CUSTOM_METRICS, Agent, Agents
from end_to_end.defender_service import Arrival, DefenderService

pytestmark = pytest.mark.needs_mosquitto

REPORTS = 3
ENCODINGS = tuple(itertools.product(("json", "cbor"), ("long", "short")))
EVERY = [
    pytest.param((client, *encoding), id="-".join((client, *encoding)), marks=marks)
    for client, marks in (("paho", ()), ("awscrt", pytest.mark.needs_aws))
    for encoding in ENCODINGS
]

Spoken = tuple[str, str, str]  # client, format, names


@dataclass(frozen=True, slots=True)
class Recording:
    """All that was heard of one agent, from its start to after its SIGTERM."""

    agent: Agent
    reports: list[Arrival]
    statuses: list[bytes]
    exit_code: int
    counts: Mapping[str, int]


@pytest.fixture(scope="module")
def recordings(
    broker: Mosquitto, defender: DefenderService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Spoken, Recording]]:
    """Yield what was heard of agents of each client and encoding, which ran side by side."""
    pytest.importorskip("awscrt", reason="the extra aws is not installed")
    running: dict[Spoken, Agent] = {}
    made = [Agents(tmp_path_factory.mktemp(client), client) for client in ("paho", "awscrt")]
    for agents, (format, names) in itertools.product(made, ENCODINGS):
        agent = agents.at(broker, format=format, names=names, defender=CUSTOM_METRICS)
        running[agents.client, format, names] = agent
    observers = {spoken: broker.observe(f"status/{agent.thing}") for spoken, agent in running.items()}
    for agent in running.values():
        agent.start()
    found = {}
    for spoken, agent in running.items():
        defender.reports(agent.thing, REPORTS)
        code = agent.stop()
        statuses = [payload for _, payload in observers[spoken].messages(2)]
        found[spoken] = Recording(agent, defender.arrivals(agent.thing), statuses, code, agent.counts())
    yield found
    for agents in made:
        agents.close()


@pytest.fixture(params=EVERY)
def recording(request: pytest.FixtureRequest, recordings: dict[Spoken, Recording]) -> Recording:
    return recordings[request.param]


def test_every_report_is_what_device_defender_takes(recording: Recording) -> None:
    assert [report.problems for report in recording.reports] == [()] * len(recording.reports)


def test_a_report_arrives_in_the_format_that_is_set(recording: Recording) -> None:
    assert {report.encoding for report in recording.reports} == {recording.agent.config.format}


def test_a_report_is_spelled_as_is_set(recording: Recording) -> None:
    header = b"header" if recording.agent.config.names == "long" else b"hed"

    assert all(header in report.payload for report in recording.reports)


def test_every_report_that_was_accepted_is_acknowledged(recording: Recording) -> None:
    counts = recording.counts

    assert (counts["delivered"], counts["set_aside"], counts["unconfirmed"]) == (len(recording.reports), 0, 0)


def test_the_first_report_has_no_network_stats(recording: Recording) -> None:
    assert recording.reports[0].network_stats is None


def test_the_second_report_has_network_stats(recording: Recording) -> None:
    assert recording.reports[1].network_stats is not None


def test_the_first_report_has_the_other_three_blocks(recording: Recording) -> None:
    blocks = {"listening_tcp_ports", "listening_udp_ports", "tcp_connections"}

    assert recording.reports[0].content["metrics"].keys() == blocks


def test_every_type_of_custom_metric_is_reported(recording: Recording) -> None:
    custom = recording.reports[-1].content["custom_metrics"]

    types = {name: tuple(values[0]) for name, values in custom.items()}
    assert types == {
        "cpu_usage": ("number",),
        "cpu_usages": ("number_list",),
        "listeners": ("string_list",),
        "peers": ("ip_list",),
    }


def test_the_port_of_the_broker_is_among_those_listening(recording: Recording, broker: Mosquitto) -> None:
    ports = recording.reports[-1].content["metrics"]["listening_tcp_ports"]["ports"]

    assert broker.port in {entry["port"] for entry in ports}


def test_the_status_topic_says_online_and_after_sigterm_offline(recording: Recording) -> None:
    thing = recording.agent.thing.encode()

    expected = [b'{"thing": "%s", "status": "%s"}' % (thing, status) for status in (b"online", b"offline")]
    assert recording.statuses == expected


def test_sigterm_ends_with_exit_code_0(recording: Recording) -> None:
    assert recording.exit_code == 0


def test_nothing_that_happened_is_logged_as_worse_than_info(recording: Recording) -> None:
    log = recording.agent.log.text().splitlines()

    assert [line for line in log if " INFO " not in line] == []


def test_after_kill_9_the_last_will_says_offline(
    agents_of_each_client: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents_of_each_client.at(broker)
    observer = broker.observe(f"status/{agent.thing}")
    agent.start()
    defender.reports(agent.thing, 1)

    agent.kill()

    _, (_, payload) = observer.messages(2)
    assert payload == b'{"thing": "%s", "status": "offline"}' % agent.thing.encode()


def test_the_first_report_does_not_wait_for_the_interval(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker, interval_s=3600)

    agent.start()

    assert defender.reports(agent.thing, 1)
