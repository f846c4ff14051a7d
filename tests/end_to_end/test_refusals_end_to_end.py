"""What the agent says, and goes on doing, when it is refused: by certificates, by names, by policy, by a rival."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from brokers import ACL, Mosquitto, free_port
from end_to_end.agent import Agent, Agents
from end_to_end.defender_service import DefenderService
from thingmeter.clock import SystemClock
from thingmeter.sandbox.authority import Authority

pytestmark = pytest.mark.needs_mosquitto

SAMPLING_S = 2.5  # long enough for a report to be replaced
CONNECTED = re.compile(r"^(\S+ \S+) INFO .* connected to ")


def days_from_now(days: int) -> datetime:
    return SystemClock().now() + timedelta(days=days)


def own_certificate(
    agent: Agent, authority: Authority, *, not_before: datetime | None = None, not_after: datetime | None = None
) -> None:
    """Give the agent a certificate in its own folder; called again, another one in the same files."""
    own = authority.issue(agent.thing, agent.config.folder / "own", not_before=not_before, not_after=not_after)
    agent.config.tls = {"certificate_file": own.certificate_file, "private_key_file": own.private_key_file}
    agent.write()


def trust_another_authority(agent: Agent, _broker: Mosquitto) -> list[str]:
    other = Authority.open(agent.config.folder / "other-authority").ca_file
    agent.config.tls = {"ca_file": other}
    return ["was not issued by an authority in", str(other)]


def expired_certificate(agent: Agent, broker: Mosquitto) -> list[str]:
    own_certificate(agent, broker.authority, not_after=days_from_now(-1))
    return ["expired", str(agent.config.tls["certificate_file"])]


def certificate_of_tomorrow(agent: Agent, broker: Mosquitto) -> list[str]:
    own_certificate(agent, broker.authority, not_before=days_from_now(1))
    return ["not yet valid", str(agent.config.tls["certificate_file"])]


def certificate_of_another_authority(agent: Agent, _broker: Mosquitto) -> list[str]:
    own_certificate(agent, Authority.open(agent.config.folder / "other-authority"))
    return ["the server refused it", str(agent.config.tls["certificate_file"])]


def key_of_another_certificate(agent: Agent, broker: Mosquitto) -> list[str]:
    other = broker.authority.issue("other", agent.config.folder / "other")
    agent.config.tls = {"private_key_file": other.private_key_file}
    return [str(other.private_key_file), agent.config.mqtt.tls.certificate_file]


def port_where_nobody_listens(agent: Agent, _broker: Mosquitto) -> list[str]:
    agent.config.mqtt = replace(agent.config.mqtt, port=free_port())
    return ["nothing listens there"]


def host_without_address(agent: Agent, _broker: Mosquitto) -> list[str]:
    agent.config.mqtt = replace(agent.config.mqtt, host="broker.invalid")
    return ["cannot resolve", '"broker.invalid"']


REFUSALS = (
    trust_another_authority,
    expired_certificate,
    certificate_of_tomorrow,
    certificate_of_another_authority,
    key_of_another_certificate,
    port_where_nobody_listens,
    host_without_address,
)


@pytest.mark.parametrize(
    ("mqtt_client", "refusal"),
    [
        *(pytest.param("paho", refusal, id=f"paho-{refusal.__name__}") for refusal in REFUSALS),
        *(
            pytest.param("awscrt", refusal, id=f"awscrt-{refusal.__name__}", marks=pytest.mark.needs_aws)
            for refusal in REFUSALS[1:]  # its TLS keeps a refused connection for more than 10 s
        ),
    ],
    indirect=["mqtt_client"],
)
def test_the_log_names_the_cause_of_a_refusal_and_the_file(
    agents_of_each_client: Agents, broker: Mosquitto, refusal: Callable[[Agent, Mosquitto], list[str]]
) -> None:
    agent = agents_of_each_client.at(broker)
    parts = refusal(agent, broker)
    agent.write()

    agent.start()

    (line,) = agent.log.wait_for(lambda line: " WARNING " in line)
    assert [part for part in parts if part not in line] == [], line


@pytest.fixture
def broker_with_certificate(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Return what starts a broker with a certificate for these hosts and days."""
    brokers: list[Mosquitto] = []

    def start(hosts: list[str], not_after: datetime | None = None) -> Mosquitto:
        folder = tmp_path / "broker"
        folder.mkdir()
        broker = Mosquitto(folder)
        brokers.append(broker)
        broker.authority.issue("broker", folder / "broker", hosts=hosts, not_after=not_after)
        broker.start()
        return broker

    yield start
    for broker in brokers:
        broker.close()


def test_a_server_of_another_name_is_refused_and_both_names_are_logged(
    agents: Agents, broker_with_certificate: Callable[..., Mosquitto]
) -> None:
    agent = agents.at(broker_with_certificate(["elsewhere.example"]))

    agent.start()

    (line,) = agent.log.wait_for(lambda line: " WARNING " in line)
    assert '"elsewhere.example"' in line
    assert '"localhost" ([mqtt] host)' in line


def test_a_server_whose_certificate_has_expired_is_refused_and_the_log_says_when(
    agents: Agents, broker_with_certificate: Callable[..., Mosquitto]
) -> None:
    end = days_from_now(-2)
    agent = agents.at(broker_with_certificate(["localhost"], not_after=end))

    agent.start()

    (line,) = agent.log.wait_for(lambda line: " WARNING " in line)
    assert "the server's certificate" in line
    assert f"{end:%Y-%m-%d}" in line


@pytest.mark.long
def test_a_broker_that_never_answers_is_named_and_sigterm_is_not_delayed(agents: Agents, broker: Mosquitto) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        agent = agents.at(broker)
        port = silent.getsockname()[1]
        agent.config.mqtt = replace(agent.config.mqtt, port=port)
        agent.write()

        agent.start()
        agent.wait_for(f"localhost:{port} did not answer the handshake", timeout_s=60)

        assert agent.stop() == 0


@pytest.mark.long
def test_a_new_certificate_in_the_same_files_is_used_without_a_restart(
    agents_of_each_client: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents_of_each_client.at(broker)
    own_certificate(agent, broker.authority, not_after=days_from_now(-1))
    agent.start()
    agent.wait_for("expired")

    own_certificate(agent, broker.authority)

    assert defender.reports(agent.thing, 1, timeout_s=60)


@pytest.fixture
def strict_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Yield a broker that lets no thing publish to Device Defender."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder)
    lines = [line for line in ACL.splitlines() if not line.startswith("pattern write $aws/")]
    (folder / "acl").write_text("\n".join(lines) + "\n")
    broker.start()
    yield broker
    broker.close()


def test_a_policy_without_the_topic_is_logged_as_not_authorized_and_sampling_goes_on(
    agents_of_each_client: Agents, strict_broker: Mosquitto
) -> None:
    agent = agents_of_each_client.at(strict_broker)

    agent.start()
    (line,) = agent.wait_for("not authorized")
    assert agent.outlives(SAMPLING_S)
    agent.stop()

    assert f"$aws/things/{agent.thing}/defender/metrics/json" in line
    assert agent.counts()["replaced"] >= 1


def test_with_another_things_certificate_nothing_is_reported(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker)
    thief = broker.authority.issue("thief", agent.config.folder / "thief")
    agent.config.tls = {"certificate_file": thief.certificate_file, "private_key_file": thief.private_key_file}
    agent.write()

    agent.start()
    agent.wait_for(f"$aws/things/{agent.thing}/defender/metrics/json")

    assert "not authorized" in agent.log.text()
    assert defender.arrivals(agent.thing) == []


@pytest.mark.long
def test_two_agents_with_one_client_id_say_so_and_connect_less_than_once_a_second(
    agents: Agents, broker: Mosquitto
) -> None:
    first = agents.at(broker)
    second = agents.at(broker, thing=first.thing)
    first.start()
    first.wait_for("connected to")

    second.start()
    said = wait_for_either((first, second), f'another client with the client id "{first.thing}"')

    assert said
    for agent in (first, second):
        times = [connected_at(line) for line in agent.log.text().splitlines() if CONNECTED.match(line)]
        assert all(after - before >= timedelta(seconds=1) for before, after in pairwise(times))


def wait_for_either(agents: Sequence[Agent], part: str) -> bool:
    """Return whether one of the agents says so: the one that gives way, while the other keeps the connection."""
    found = threading.Event()

    def look(agent: Agent) -> None:
        with suppress(AssertionError):
            agent.wait_for(part, timeout_s=60)
            found.set()

    for agent in agents:
        threading.Thread(target=look, args=(agent,), daemon=True).start()
    return found.wait(60)


def connected_at(line: str) -> datetime:
    match = CONNECTED.match(line)
    assert match is not None
    return datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007  # differences are all that is asked for
