"""Agents that register with a whole sandbox, as processes of their own, and what the cloud saw of them."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import psutil
import pytest

from brokers import PATIENCE_S
from end_to_end.agent import Agent, Agents, Settings
from thingmeter.config.settings import Mqtt, Tls
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.cloud import Settings as SandboxSettings
from thingmeter.sandbox.defender.verdict import Verdict
from thingmeter.sandbox.folder import Folder
from thingmeter.sandbox.http.calls import Call
from thingmeter.sandbox.limits import Limits
from thingmeter.sandbox.services import ServiceName

HANGS_S = 600.0  # longer than any test
NOWHERE = "/nonexistent"

LOAD = """
[[defender.custom_metric]]
name = "load"
type = "number"
from = "cpu.load_1m"
"""
LOADS = """
[[defender.custom_metric]]
name = "loads"
type = "number-list"
from = "cpu.load_1m"
"""
MEMORY = """
[[defender.custom_metric]]
name = "memory_used"
type = "number"
display_name = "Memory used (%)"
from = "memory.used_percent"
tags = { team = "pumps", site = "north" }
"""
METRICS = MEMORY + LOAD + LOADS
METRIC_NAMES = {"memory_used", "load", "loads"}

LITRES = """
[[devrev.uom]]
metric_name = "pumped_litres"
name = "Litres pumped"
description = "What went through the pump"
product_id = "PROD-1"
unit = { name = "litre", type = "number" }
aggregation_type = "sum"
dimensions = ["site", "line"]
"""
OPERATORS = """
[[devrev.uom]]
metric_name = "operators"
name = "Operators"
product_id = "PROD-1"
part_id = "FEAT-7"
unit = { name = "operator", type = "number" }
aggregation_type = "unique_count"
unique_dimension = "operator"
dimensions = ["operator", "site"]
"""
UOMS = LITRES + OPERATORS
UOM_NAMES = {"pumped_litres", "operators"}

COLLECTORS = """
[collectors.cpu]
interval_s = 1
[collectors.memory]
interval_s = 1
"""


@dataclass(kw_only=True)
class Declaration(Settings):
    """The settings of a device that registers what it declares with the sandbox.

    ``metrics`` and ``uoms`` are tables of TOML; without any there is no registration with that service.
    """

    cloud: Sandbox
    collectors: str = COLLECTORS
    metrics: str = METRICS
    uoms: str = UOMS
    metrics_registration: str = "auto"
    uoms_registration: str = "auto"
    role_alias: str = Sandbox.role_alias
    control_plane_url: str = ""
    token_file: Path | None = None

    def text(self) -> str:
        registration = f'registration = "{self.metrics_registration}"\nblocks = ["network_stats"]\n'
        tables = [Settings.text(replace(self, defender=registration + self.metrics)), "[registration]\nspread_s = 0"]
        if self.metrics:
            tables.append(self._aws())
        if self.uoms:
            tables += [self._devrev(), self.uoms]
        return "\n".join(tables)

    def _aws(self) -> str:
        lines = [
            "[aws]",
            f'region = "{self.cloud.region}"',
            f'endpoint_url = "{self.control_plane_url or self.cloud.control_plane_url}"',
            f'ca_file = "{self.cloud.ca_file}"',
        ]
        if self.role_alias:
            lines.append(f'role_alias = "{self.role_alias}"')
            lines.append(f'credentials_endpoint = "{self.cloud.credentials_endpoint}"')
        return "\n".join(lines)

    def _devrev(self) -> str:
        return "\n".join(
            [
                "[devrev]",
                f'registration = "{self.uoms_registration}"',
                f'endpoint_url = "{self.cloud.devrev_url}"',
                f'ca_file = "{self.cloud.ca_file}"',
                f'token_file = "{self.token_file or self.cloud.folder.devrev_token_file}"',
            ]
        )


@dataclass
class Devices:
    """Makes agents that declare custom metrics and UOMs to one sandbox."""

    cloud: Sandbox
    agents: Agents
    names: Iterator[str] = field(default_factory=lambda: (f"pump-{number}" for number in range(1, 1000)))

    def make(self, thing: str = "", **changes: object) -> Agent:
        """Return an agent, not yet started; ``changes`` are to its ``Declaration``."""
        thing = thing or next(self.names)
        folder = self.agents.folder / f"{thing}-{len(self.agents.made)}"
        mqtt = self._mqtt(thing)
        return self.agents.make(Declaration(mqtt=mqtt, folder=folder, thing=thing, cloud=self.cloud, **changes))  # type: ignore[arg-type]

    def _mqtt(self, thing: str) -> Mqtt:
        own = self.cloud.credentials(thing)
        tls = Tls(
            ca_file=str(self.cloud.ca_file),
            certificate_file=str(own.certificate_file),
            private_key_file=str(own.private_key_file),
        )
        return Mqtt(client="paho", host=self.cloud.host, port=self.cloud.port, client_id=thing, tls=tls)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Yield a cloud that knows of nothing yet, and that no proxy and no credentials of this machine stand before."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", NOWHERE)
    monkeypatch.setenv("AWS_CONFIG_FILE", NOWHERE)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    settings = SandboxSettings(minimum_interval_s=0, limits=Limits(connect_interval_s=0))
    with Sandbox(tmp_path / "cloud", settings=settings) as running:
        yield running


@pytest.fixture
def devices(cloud: Sandbox, tmp_path: Path) -> Iterator[Devices]:
    """Yield what makes agents for that cloud; they are ended after the test."""
    agents = Agents(tmp_path)
    yield Devices(cloud, agents)
    agents.close()


def hang(cloud: Sandbox, service: ServiceName) -> None:
    """Let a service take every request from now on, and answer none."""
    faults = cloud.http_faults[service]
    faults.kind, faults.delay_s = "late", HANGS_S


def wait_until_registered(agent: Agent) -> None:
    """Return when the newest process of the agent has registered all that it declares; fail when it does not."""
    declared = agent.config
    assert isinstance(declared, Declaration)
    for service, tables in (("defender", declared.metrics), ("devrev", declared.uoms)):
        if tables:
            agent.wait_for(f"registration {service}: {tables.count('[[')} registered")


def calls_to(cloud: Sandbox, service: ServiceName, client: str = "") -> list[Call]:
    """Return the calls to a service so far; those of one client only, where one is given."""
    return [call for call in cloud.calls.all() if call.service == service and client in {"", call.client}]


def operations(calls: Iterable[Call]) -> list[str]:
    """Return what was asked: ``CreateCustomMetric load``, ``uoms.list``."""
    return [f"{call.operation} {call.name}".rstrip() for call in calls]


def reports_of(cloud: Sandbox, agent: Agent, count: int) -> list[Verdict]:
    """Return the reports of the agent so far, at least ``count``; fail when they do not come."""
    return cloud.verdicts.wait(count, where=lambda verdict: verdict.thing == agent.thing, timeout_s=PATIENCE_S)


def next_reports(cloud: Sandbox, agent: Agent, count: int) -> list[Verdict]:
    """Return the ``count`` reports of the agent that come from now on."""
    before = len([verdict for verdict in cloud.verdicts.all() if verdict.thing == agent.thing])
    return reports_of(cloud, agent, before + count)[before : before + count]


def operators_key(folder: Folder) -> dict[str, str]:
    """Return the variables in which AWS's tools look for an access key."""
    key = folder.operator_key()
    return {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}


class Ends:
    """Processes to be seen ending, whosever they are: a process descriptor becomes readable with the end of it."""

    def __init__(self, processes: Sequence[psutil.Process]) -> None:
        self.count = len(processes)
        self._descriptors = [os.pidfd_open(process.pid) for process in processes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def have_come(self, timeout_s: float = PATIENCE_S) -> bool:
        """Return whether all of them have ended; waits for each as long as ``timeout_s``."""
        return all(select.select([descriptor], [], [], timeout_s)[0] for descriptor in self._descriptors)


def attempt_of(agent: Agent) -> Ends:
    """Return the ends of the processes that the agent has started and that still run."""
    return Ends(psutil.Process(agent.pid).children(recursive=True))


def declare(agent: Agent, **changes: str) -> None:
    """Write the agent's configuration anew with other ``metrics`` or ``uoms``."""
    for name, tables in changes.items():
        setattr(agent.config, name, tables)
    agent.write()
