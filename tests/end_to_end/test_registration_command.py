"""``thingmeter register`` as its users run it: a process, beside the daemon, with the same file."""

from __future__ import annotations

import json
import signal
import subprocess

import psutil
import pytest

from brokers import PATIENCE_S
from end_to_end.agent import Agent, command, environment, run
from end_to_end.registration_device import (
    METRIC_NAMES,
    UOM_NAMES,
    Devices,
    Ends,
    calls_to,
    cloud,
    devices,
    hang,
    next_reports,
    operations,
    operators_key,
    reports_of,
)
from thingmeter.sandbox.cloud import Sandbox

__all__ = ["cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws


def register(agent: Agent, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return run("register", "-c", str(agent.file), *arguments, timeout_s=PATIENCE_S, **environment)


def test_a_pipeline_registers_what_devices_without_the_right_report(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(metrics_registration="off", uoms_registration="off")

    outcome = register(agent)

    assert outcome.returncode == 0
    assert set(cloud.control_plane.metrics) == METRIC_NAMES
    assert {uom.metric_name for uom in cloud.devrev.uoms} == UOM_NAMES


def test_a_pipeline_registers_with_a_key_from_its_environment(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(role_alias="", metrics_registration="off")

    outcome = register(agent, **operators_key(cloud.folder))

    assert outcome.returncode == 0
    assert {call.client for call in calls_to(cloud, "control plane")} == {"operator"}


def test_registering_while_the_daemon_runs_works_and_disturbs_no_report(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(metrics_registration="off", uoms_registration="off")
    agent.start()
    reports_of(cloud, agent, 1)

    outcome = register(agent)

    assert outcome.returncode == 0
    assert next_reports(cloud, agent, 1)[0].accepted
    assert agent.stop() == 0


def test_what_the_command_has_registered_a_device_adopts(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make()
    register(agent)
    before = len(cloud.calls.all())

    agent.start()
    agent.wait_for("registration defender: 3 registered (3 adopted)")
    agent.wait_for("registration devrev: 2 registered (2 adopted)")

    assert not [call for call in operations(cloud.calls.all()[before:]) if "reate" in call]


def test_progress_goes_to_stderr_and_the_table_alone_to_stdout(devices: Devices) -> None:
    outcome = register(devices.make())

    assert outcome.stderr.decode().splitlines() == [
        "defender: memory_used: created",
        "defender: load: created",
        "defender: loads: created",
        "devrev: pumped_litres: created",
        "devrev: operators: created",
    ]
    assert [line.split() for line in outcome.stdout.decode().splitlines()] == [
        ["SERVICE", "NAME", "PLAN", "STANDING", "REASON"],
        ["defender", "memory_used", "create", "registered"],
        ["defender", "load", "create", "registered"],
        ["defender", "loads", "create", "registered"],
        ["devrev", "pumped_litres", "create", "registered"],
        ["devrev", "operators", "create", "registered"],
    ]


def test_a_dry_run_calls_nothing_that_changes_anything(cloud: Sandbox, devices: Devices) -> None:
    outcome = register(devices.make(), "--dry-run", "--json")

    assert outcome.returncode == 0
    assert {item["action"] for item in json.loads(outcome.stdout)["items"]} == {"create"}
    assert {call.operation for call in cloud.calls.all()} == {
        "AssumeRoleWithCertificate",
        "ListCustomMetrics",
        "uoms.list",
    }


def test_the_command_leaves_no_file_behind(devices: Devices) -> None:
    agent = devices.make()
    before = sorted(agent.config.folder.rglob("*"))

    register(agent)

    assert sorted(agent.config.folder.rglob("*")) == before


def test_what_the_command_has_registered_for_a_stopped_agent_its_next_start_need_not_ask_for(
    cloud: Sandbox, devices: Devices
) -> None:
    agent = devices.make(metrics_registration="off", uoms_registration="off")
    agent.start()
    reports_of(cloud, agent, 1)
    agent.stop()
    register(agent)
    before = operations(cloud.calls.all())
    agent.config.metrics_registration = agent.config.uoms_registration = "auto"  # type: ignore[attr-defined]

    agent.write()
    agent.start()
    next_reports(cloud, agent, 2)
    agent.stop()

    assert operations(cloud.calls.all()) == before


def test_an_agent_can_be_started_while_the_command_waits_for_a_service(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make()
    with agent.outbox():
        pass
    hang(cloud, "control plane")
    register = command("register", "-c", str(agent.file))
    with subprocess.Popen(register, env=environment(), stderr=subprocess.DEVNULL) as process:
        cloud.calls.wait(where=lambda call: call.service == "control plane", timeout_s=PATIENCE_S)

        agent.start()
        try:
            agent.wait_for("collectors cpu, memory")  # fails at once when it has ended
        finally:
            process.kill()


def test_an_interrupt_ends_the_command_and_leaves_no_process(cloud: Sandbox, devices: Devices) -> None:
    hang(cloud, "control plane")
    register = command("register", "-c", str(devices.make().file))
    with subprocess.Popen(register, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        cloud.calls.wait(where=lambda call: call.service == "control plane", timeout_s=PATIENCE_S)
        with Ends(psutil.Process(process.pid).children()) as attempt:
            process.send_signal(signal.SIGINT)

            _, said = process.communicate(timeout=PATIENCE_S)

            assert (process.returncode, said) == (130, "")
            assert attempt.count == 1
            assert attempt.have_come()
