"""What an agent proves itself with to the control plane, and what it says when that is not enough."""

from __future__ import annotations

import re

import pytest

from end_to_end.clock_shim import ClockShim, clock_shim
from end_to_end.registration_device import (
    METRIC_NAMES,
    NOWHERE,
    Devices,
    calls_to,
    cloud,
    devices,
    next_reports,
    operations,
    operators_key,
    wait_until_registered,
)
from end_to_end.registration_steps import steps_of
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.testing import ManualClock

__all__ = ["clock_shim", "cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws

TEN_MINUTES_S = 600  # AWS tolerates five


def test_a_device_asks_with_its_certificate_and_its_thing_name_for_a_key_and_signs_with_that(
    cloud: Sandbox, devices: Devices
) -> None:
    agent = devices.make(uoms="")

    agent.start()
    wait_until_registered(agent)

    (issue,) = calls_to(cloud, "credentials")
    assert (issue.name, issue.client, issue.request.headers["x-amzn-iot-thingname"]) == (
        cloud.role_alias,
        agent.thing,
        agent.thing,
    )
    assert {call.client for call in calls_to(cloud, "control plane")} == {agent.thing}


def test_a_role_alias_that_does_not_exist_is_one_clear_line(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(uoms="", role_alias="thingmetre")

    agent.start()
    (line,) = agent.wait_for("registration defender: denied: ")

    assert f"gives thing {agent.thing} no credentials for role alias thingmetre: 404" in line
    assert "create the role alias in this account and region, or correct [aws] role_alias" in line
    assert calls_to(cloud, "control plane") == []


def test_a_certificate_whose_policy_does_not_allow_the_role_is_one_clear_line(cloud: Sandbox, devices: Devices) -> None:
    cloud.credentials_provider.may_assume = lambda _: False
    agent = devices.make(uoms="")

    agent.start()
    (line,) = agent.wait_for("registration defender: denied: ")

    assert "its policy allows iot:AssumeRoleWithCertificate" in line
    assert next_reports(cloud, agent, 1)[0].accepted


def test_a_certificate_of_another_thing_gets_no_credentials(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(uoms="")
    other = cloud.credentials("other")
    agent.config.tls = {
        "certificate_file": other.certificate_file,
        "private_key_file": other.private_key_file,
    }
    agent.write()

    agent.start()
    (line,) = agent.wait_for("registration defender: denied: ")

    assert "Invalid thing name passed" in line


def test_without_role_alias_the_key_comes_from_the_environment(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(uoms="", role_alias="")
    agent.environment = operators_key(cloud.folder)

    agent.start()
    wait_until_registered(agent)

    assert {call.client for call in calls_to(cloud, "control plane")} == {"operator"}
    assert calls_to(cloud, "credentials") == []


def test_without_role_alias_the_key_may_come_from_a_profile(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(uoms="", role_alias="")
    agent.environment = {"AWS_SHARED_CREDENTIALS_FILE": str(cloud.folder.aws_credentials_file)}

    agent.start()
    wait_until_registered(agent)

    assert {call.client for call in calls_to(cloud, "control plane")} == {"operator"}


def test_without_any_credentials_one_line_says_where_they_belong(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(uoms="", role_alias="")
    agent.environment = {"HOME": NOWHERE}

    agent.start()
    (line,) = agent.wait_for("registration defender: denied: no AWS credentials")

    assert "set role_alias and credentials_endpoint in [aws], or give them by the environment or a profile" in line
    assert next_reports(cloud, agent, 1)[0].accepted


def test_a_secret_key_that_is_wrong_is_denied_and_stands_in_no_log(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(uoms="", role_alias="")
    agent.environment = {**operators_key(cloud.folder), "AWS_SECRET_ACCESS_KEY": "wrong-and-secret"}

    agent.start("--log-level", "debug")
    (line,) = agent.wait_for("registration defender: denied: ")

    assert "InvalidSignatureException" in line
    assert "wrong-and-secret" not in agent.log.text()


@pytest.mark.needs_compiler
def test_with_a_wrong_clock_registration_is_tried_again_and_done_once_it_is_set(
    cloud: Sandbox, devices: Devices, clock_shim: ClockShim
) -> None:
    clock_shim.step_to(TEN_MINUTES_S)
    agent = devices.make(uoms="")
    agent.environment = clock_shim.environment()
    agent.start()
    agent.wait_for("; next attempt in ")

    clock_shim.step_to(0)
    wait_until_registered(agent)

    assert set(cloud.control_plane.metrics) == METRIC_NAMES


@pytest.mark.needs_compiler
@pytest.mark.parametrize("direction", ["ahead", "behind"])
def test_a_wrong_clock_is_named_with_how_wrong_it_is(
    devices: Devices, clock: ManualClock, clock_shim: ClockShim, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    clock_shim.step_to(TEN_MINUTES_S if direction == "ahead" else -TEN_MINUTES_S)
    for name, value in clock_shim.environment().items():
        monkeypatch.setenv(name, value)  # of the attempt, which is a process
    with steps_of(devices.make(uoms=""), clock) as steps:
        steps.step()

        assert re.search(rf"this machine's clock is (59|60)\d s {direction}", steps.registration.trouble)
        assert steps.standings() == set()


def test_credentials_that_ran_out_amid_an_attempt_are_asked_for_anew(cloud: Sandbox, devices: Devices) -> None:
    cloud.credentials_provider.duration_s = 30  # less than the minute that is kept as a reserve
    agent = devices.make(uoms="")

    agent.start()
    wait_until_registered(agent)

    assert len(calls_to(cloud, "credentials")) == len(operations(calls_to(cloud, "control plane")))
