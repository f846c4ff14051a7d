"""What the services will not have: it disables what it concerns and nothing else, and the log says so in a line."""

from __future__ import annotations

import pytest

from end_to_end.registration_device import (
    LITRES,
    LOAD,
    LOADS,
    METRIC_NAMES,
    METRICS,
    UOMS,
    Devices,
    cloud,
    declare,
    devices,
    hang,
    next_reports,
    reports_of,
    wait_until_registered,
)
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.control_plane.switches import DETECT_CLOSED

__all__ = ["cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws

OTHERS = METRIC_NAMES - {"load"}


def lines_with(log: str, *parts: str) -> list[str]:
    return [line for line in log.splitlines() if all(part in line for part in parts)]


def test_a_metric_that_the_account_has_with_another_type_is_left_out_and_the_others_are_reported(
    cloud: Sandbox, devices: Devices
) -> None:
    cloud.control_plane.put("load", "string-list")
    agent = devices.make(uoms="")

    agent.start()
    agent.wait_for("registration defender: 2 registered (2 created), 1 conflict")
    _, report = next_reports(cloud, agent, 2)  # the first may have been under way

    assert (report.accepted, set(report.custom_metrics)) == (True, OTHERS)
    assert cloud.control_plane.metrics["load"].asked.type == "string-list"


def test_a_conflict_is_one_line_that_says_what_to_do(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.put("load", "string-list")
    agent = devices.make(uoms="")

    agent.start()
    agent.wait_for("1 conflict")
    next_reports(cloud, agent, 2)
    agent.stop()

    (line,) = lines_with(agent.log.text(), "ERROR")
    assert "load conflict: load is registered as string-list, here it is number" in line
    assert "give it another name here, or delete the old one in AWS" in line


def test_a_conflict_is_remembered_over_a_restart_from_the_first_report_on(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.put("load", "string-list")
    agent = devices.make(uoms="")
    agent.start()
    agent.wait_for("1 conflict")
    agent.stop()
    hang(cloud, "control plane")

    agent.start()
    (report,) = next_reports(cloud, agent, 1)

    assert set(report.custom_metrics) == OTHERS
    assert agent.wait_for("load conflict: load is registered as string-list")


def test_a_conflict_ends_when_the_definition_here_is_mended(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.put("load", "number-list")
    agent = devices.make(uoms="")
    agent.start()
    agent.wait_for("1 conflict")
    agent.stop()
    declare(agent, metrics=METRICS.replace(LOAD, LOADS.replace('"loads"', '"load"')))

    agent.start()
    wait_until_registered(agent)
    _, report = next_reports(cloud, agent, 2)

    assert set(report.custom_metrics) == METRIC_NAMES


def test_without_the_right_to_create_all_metrics_are_reported_all_the_same(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.switches.errors = {"CreateCustomMetric": "AccessDeniedException"}
    agent = devices.make(uoms="")

    agent.start()
    agent.wait_for("registration defender: 3 denied")
    _, report = next_reports(cloud, agent, 2)

    assert (report.accepted, set(report.custom_metrics)) == (True, METRIC_NAMES)
    assert lines_with(agent.log.text(), " denied: ", "allow iot:CreateCustomMetric")


def test_without_the_right_to_create_one_line_says_so(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.switches.errors = {"CreateCustomMetric": "AccessDeniedException"}
    agent = devices.make(uoms="")

    agent.start()
    agent.wait_for("registration defender: 3 denied")
    agent.stop()

    assert len(lines_with(agent.log.text(), "WARNING", "denied")) == 1


def test_at_the_next_start_one_line_says_what_was_denied(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.switches.closed = DETECT_CLOSED
    agent = devices.make(uoms="")
    agent.start()
    agent.wait_for("registration defender: denied: ")
    agent.stop()

    agent.start()
    agent.wait_for("thing pump-1: ")
    agent.stop()

    assert len(lines_with(agent.log.text(), "found earlier")) == 1


def test_without_any_right_one_line_says_so_and_all_metrics_are_reported(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.switches.errors = {"ListCustomMetrics": "AccessDeniedException"}
    agent = devices.make(uoms="")

    agent.start()
    agent.wait_for("registration defender: denied: ")
    _, report = next_reports(cloud, agent, 2)
    agent.stop()

    (line,) = lines_with(agent.log.text(), "registration")
    assert "allow iot:ListCustomMetrics in the policy of these credentials" in line
    assert set(report.custom_metrics) == METRIC_NAMES


def test_an_account_to_which_detect_is_closed_gets_reports_of_all_metrics_and_one_line(
    cloud: Sandbox, devices: Devices
) -> None:
    cloud.control_plane.switches.closed = DETECT_CLOSED
    agent = devices.make(uoms="")

    agent.start()
    agent.wait_for("registration defender: denied: ")
    _, report = next_reports(cloud, agent, 2)
    agent.stop()

    (line,) = lines_with(agent.log.text(), "registration")
    assert "Device Defender Detect is not available to this account" in line
    assert set(report.custom_metrics) == METRIC_NAMES


def test_what_exceeds_the_accounts_limit_is_left_out_and_the_rest_is_registered(
    cloud: Sandbox, devices: Devices
) -> None:
    cloud.control_plane.switches.quota = 2
    agent = devices.make(uoms="")

    agent.start()
    agent.wait_for("registration defender: 2 registered (2 created), 1 refused")
    _, report = next_reports(cloud, agent, 2)

    (line,) = lines_with(agent.log.text(), "ERROR")
    assert "loads refused: the account has its 100 custom metrics: delete one there" in line
    assert set(report.custom_metrics) == METRIC_NAMES - {"loads"}


def test_one_service_that_refuses_leaves_the_other_registered(cloud: Sandbox, devices: Devices) -> None:
    cloud.control_plane.switches.closed = DETECT_CLOSED
    agent = devices.make()

    agent.start()
    agent.wait_for("registration defender: denied: ")

    assert agent.wait_for("registration devrev: 2 registered (2 created)")


def test_a_uom_that_is_switched_off_is_said_loudly(cloud: Sandbox, devices: Devices) -> None:
    cloud.devrev.switches.created_enabled = False
    agent = devices.make(metrics="", uoms=LITRES)

    agent.start()
    agent.wait_for("registration devrev: 1 disabled")

    (line,) = lines_with(agent.log.text(), "ERROR")
    assert "pumped_litres disabled: switched off in DevRev (is_enabled is false)" in line


def test_a_uom_that_is_still_switched_off_is_said_loudly_at_the_next_start(cloud: Sandbox, devices: Devices) -> None:
    cloud.devrev.switches.created_enabled = False
    agent = devices.make(metrics="", uoms=LITRES)
    agent.start()
    agent.wait_for("1 disabled")
    agent.stop()

    agent.start()

    assert agent.wait_for("ERROR thingmeter.registration.telling: registration devrev: pumped_litres disabled")


def test_a_uom_that_users_own_is_said_loudly_to_need_a_user_in_each_record(cloud: Sandbox, devices: Devices) -> None:
    cloud.devrev.switches.metric_scope = "user"
    agent = devices.make(metrics="", uoms=LITRES)

    agent.start()
    agent.wait_for("registration devrev: 1 registered")

    (line,) = lines_with(agent.log.text(), "WARNING")
    assert "EVERY RECORD NEEDS A user_ref" in line


def test_a_uom_with_another_aggregation_is_a_conflict_that_leaves_it_as_it_is(cloud: Sandbox, devices: Devices) -> None:
    first, second = devices.make(metrics=""), devices.make(metrics="")
    first.start()
    wait_until_registered(first)
    declare(second, uoms=UOMS.replace('"sum"', '"maximum"'))

    second.start()
    second.wait_for("registration devrev: 1 registered (1 adopted), 1 conflict")

    (line,) = lines_with(second.log.text(), "ERROR")
    assert 'aggregation_type is "sum" there and "maximum" here' in line
    litres = cloud.devrev.uoms.named("pumped_litres")
    assert litres is not None
    assert litres.aggregation_type == "sum"


def test_what_is_refused_by_devrev_leaves_reports_as_they_are(cloud: Sandbox, devices: Devices) -> None:
    cloud.devrev.switches.forbidden = {"uoms.list", "uoms.create"}
    agent = devices.make()

    agent.start()
    agent.wait_for("registration devrev: denied: ")
    next_reports(cloud, agent, 1)

    assert all(report.accepted for report in reports_of(cloud, agent, 1))
