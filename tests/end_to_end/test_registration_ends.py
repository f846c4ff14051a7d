"""How an agent ends while it registers: at once, with nothing left behind, and the next start takes it up."""

from __future__ import annotations

import signal

import psutil
import pytest

from brokers import PATIENCE_S
from end_to_end.agent import Agent
from end_to_end.registration_device import (
    METRIC_NAMES,
    UOM_NAMES,
    Devices,
    Ends,
    attempt_of,
    cloud,
    devices,
    hang,
    next_reports,
    wait_until_registered,
)
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.services import ServiceName

__all__ = ["cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws


def start_into_a_hanging(service: ServiceName, cloud: Sandbox, agent: Agent, operation: str = "") -> Ends:
    """Start the agent; return the ends of its processes once a request of theirs hangs, any or this operation."""
    hang(cloud, service)
    cloud.http_faults[service].only = operation
    agent.start()
    cloud.calls.wait(
        where=lambda call: call.service == service and operation in {"", call.operation}, timeout_s=PATIENCE_S
    )
    return attempt_of(agent)


@pytest.mark.parametrize("service", ["control plane", "credentials", "devrev"])
def test_sigterm_while_a_service_hangs_ends_in_time_and_leaves_no_process(
    cloud: Sandbox, devices: Devices, service: ServiceName
) -> None:
    agent = devices.make()
    with start_into_a_hanging(service, cloud, agent) as attempt:
        code = agent.stop()

        assert (code, attempt.count) == (0, 1)
        assert attempt.have_come()


def test_a_power_cut_during_registration_leaves_no_process(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make()
    with start_into_a_hanging("control plane", cloud, agent) as attempt:
        agent.kill()

        assert attempt.count == 1
        assert attempt.have_come()


@pytest.mark.parametrize("operation", ["ListCustomMetrics", "CreateCustomMetric"])
def test_after_a_power_cut_amid_a_call_to_aws_the_next_start_completes_the_registration(
    cloud: Sandbox, devices: Devices, operation: str
) -> None:
    agent = devices.make(uoms="")
    with start_into_a_hanging("control plane", cloud, agent, operation):
        agent.kill()
    cloud.http_faults["control plane"].kind = "none"

    agent.start()
    wait_until_registered(agent)

    assert set(cloud.control_plane.metrics) == METRIC_NAMES


@pytest.mark.parametrize("operation", ["uoms.list", "uoms.create"])
def test_after_a_power_cut_amid_a_call_to_devrev_the_next_start_completes_the_registration(
    cloud: Sandbox, devices: Devices, operation: str
) -> None:
    agent = devices.make(metrics="")
    with start_into_a_hanging("devrev", cloud, agent, operation):
        agent.kill()
    cloud.http_faults["devrev"].kind = "none"

    agent.start()
    wait_until_registered(agent)

    assert sorted(uom.metric_name for uom in cloud.devrev.uoms) == sorted(UOM_NAMES)


def test_an_attempt_that_is_killed_is_made_again_and_reports_go_on(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(uoms="")
    with start_into_a_hanging("control plane", cloud, agent):
        cloud.http_faults["control plane"].kind = "none"
    (child,) = psutil.Process(agent.pid).children()

    child.kill()
    agent.wait_for("registration ended with exit code -9; next attempt in")
    next_reports(cloud, agent, 1)

    wait_until_registered(agent)


def test_a_reload_while_a_service_hangs_begins_registration_anew(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make()
    with start_into_a_hanging("control plane", cloud, agent) as attempt:
        cloud.http_faults["control plane"].kind = "none"

        agent.signal(signal.SIGHUP)

        wait_until_registered(agent)
        assert attempt.have_come()


def test_what_registered_has_ended_before_the_agent_says_that_it_is_done(devices: Devices) -> None:
    agent = devices.make()
    agent.start()

    wait_until_registered(agent)

    with attempt_of(agent) as left:
        assert left.count == 0
