"""An agent that starts: it registers all that it declares, keeps reporting meanwhile."""

from __future__ import annotations

import re

import pytest

from end_to_end.registration_device import (
    METRIC_NAMES,
    UOM_NAMES,
    Devices,
    calls_to,
    cloud,
    devices,
    hang,
    next_reports,
    reports_of,
    wait_until_registered,
)
from thingmeter.sandbox.cloud import Sandbox

__all__ = ["cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws

MQTT_TABLES = ("[mqtt", "[defender")


def test_at_its_start_an_agent_registers_its_custom_metrics_with_type_name_and_tags(
    cloud: Sandbox, devices: Devices
) -> None:
    agent = devices.make(uoms="")

    agent.start()
    wait_until_registered(agent)

    found = {
        name: (metric.asked.type, metric.display_name, dict(metric.asked.tags))
        for name, metric in cloud.control_plane.metrics.items()
    }
    assert found == {
        "memory_used": ("number", "Memory used (%)", {"team": "pumps", "site": "north"}),
        "load": ("number", "", {}),
        "loads": ("number-list", "", {}),
    }


def test_at_its_start_an_agent_registers_its_uoms_with_all_that_is_declared(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(metrics="")

    agent.start()
    wait_until_registered(agent)

    litres, operators = cloud.devrev.uoms
    assert (litres.metric_name, litres.name, litres.description) == (
        "pumped_litres",
        "Litres pumped",
        "What went through the pump",
    )
    assert (litres.unit_name, litres.unit_type, litres.aggregation_type) == ("litre", "number", "sum")
    assert (litres.dimensions, litres.product.display_id) == (("site", "line"), "PROD-1")
    assert (operators.aggregation_type, operators.unique_dimension) == ("unique_count", "operator")
    assert operators.part is not None
    assert operators.part.display_id == "FEAT-7"


def test_a_device_without_mqtt_registers_its_uoms(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(metrics="")
    text = agent.config.text()
    tables = [table for table in re.split(r"^(?=\[)", text, flags=re.MULTILINE) if not table.startswith(MQTT_TABLES)]
    agent.write("".join(tables))

    agent.start()
    wait_until_registered(agent)

    assert {uom.metric_name for uom in cloud.devrev.uoms} == UOM_NAMES


def test_one_agent_registers_with_both_services(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make()

    agent.start()
    wait_until_registered(agent)

    assert set(cloud.control_plane.metrics) == METRIC_NAMES
    assert {uom.metric_name for uom in cloud.devrev.uoms} == UOM_NAMES


def test_reports_come_before_registration_has_an_answer_and_go_on_without_one(cloud: Sandbox, devices: Devices) -> None:
    hang(cloud, "control plane")
    agent = devices.make()

    agent.start()
    reports_of(cloud, agent, 1)
    cloud.calls.wait(where=lambda call: call.operation == "ListCustomMetrics")
    later = next_reports(cloud, agent, 2)

    assert all(report.accepted and set(report.custom_metrics) == METRIC_NAMES for report in later)
    assert cloud.control_plane.metrics == {}


def test_reports_go_on_during_registration_and_after_it(cloud: Sandbox, devices: Devices) -> None:
    faults = cloud.http_faults["control plane"]
    faults.kind, faults.only, faults.delay_s = "late", "ListCustomMetrics", 2.5
    agent = devices.make(uoms="")

    agent.start()
    wait_until_registered(agent)
    next_reports(cloud, agent, 1)

    begin, *_, end = calls_to(cloud, "control plane")
    during = [report for report in reports_of(cloud, agent, 1) if begin.at < report.at < end.at]
    assert during
    assert all(report.accepted for report in reports_of(cloud, agent, 1))


def test_where_registration_is_off_no_call_is_made(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(metrics_registration="off", uoms_registration="off")

    agent.start()
    reports = reports_of(cloud, agent, 3)
    agent.stop()

    assert cloud.calls.all() == []
    assert set(reports[-1].custom_metrics) == METRIC_NAMES
