"""Several devices with one configuration: one registers, the others find it done, also when all begin at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from end_to_end.registration_device import (
    METRIC_NAMES,
    UOM_NAMES,
    Devices,
    calls_to,
    cloud,
    devices,
    operations,
    wait_until_registered,
)
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.http.calls import Call
from thingmeter.sandbox.services import ServiceName

__all__ = ["cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws

LISTS: tuple[tuple[ServiceName, str], ...] = (("control plane", "ListCustomMetrics"), ("devrev", "uoms.list"))


def test_a_second_device_adopts_what_the_first_has_registered_and_creates_nothing(
    cloud: Sandbox, devices: Devices
) -> None:
    first, second = devices.make(), devices.make()
    first.start()
    wait_until_registered(first)
    before = len(calls_to(cloud, "devrev"))

    second.start()
    wait_until_registered(second)

    assert operations(calls_to(cloud, "control plane", second.thing)) == [
        "ListCustomMetrics",
        "DescribeCustomMetric memory_used",
        "DescribeCustomMetric load",
        "DescribeCustomMetric loads",
    ]
    assert operations(calls_to(cloud, "devrev")[before:]) == ["uoms.list"]
    assert second.wait_for("registration defender: 3 registered (3 adopted)")
    assert second.wait_for("registration devrev: 2 registered (2 adopted)")


def test_two_devices_that_begin_at_once_end_with_one_metric_each_and_one_uom_each(
    cloud: Sandbox, devices: Devices
) -> None:
    for service, operation in LISTS:
        faults = cloud.http_faults[service]
        faults.kind, faults.only, faults.delay_s = "late", operation, 1.0  # so both have most likely seen an empty one
    both = devices.make(), devices.make()

    for agent in both:
        agent.start()
    for agent in both:
        wait_until_registered(agent)

    assert set(cloud.control_plane.metrics) == METRIC_NAMES
    assert sorted(uom.metric_name for uom in cloud.devrev.uoms) == sorted(UOM_NAMES)


def test_a_creation_that_another_device_was_first_with_counts_as_the_same_one(cloud: Sandbox, devices: Devices) -> None:
    first, second = devices.make(uoms=""), devices.make(uoms="")
    first.start()
    wait_until_registered(first)
    created = dict(cloud.control_plane.metrics)
    cloud.control_plane.metrics.clear()
    after_each_list(cloud, lambda: cloud.control_plane.metrics.update(created))

    second.start()
    wait_until_registered(second)

    creations = [call for call in calls_to(cloud, "control plane", second.thing) if "Create" in call.operation]
    assert [call.status for call in creations] == [200, 200, 200]  # since every device sends the same token
    assert cloud.control_plane.metrics == created


def test_a_metric_that_another_token_creates_meanwhile_is_adopted(cloud: Sandbox, devices: Devices) -> None:
    after_each_list(cloud, lambda: cloud.control_plane.put("load"))
    agent = devices.make(uoms="")

    agent.start()
    wait_until_registered(agent)

    (creation,) = [call for call in calls_to(cloud, "control plane") if call.status == 409]
    assert (creation.name, creation.error) == ("load", "ResourceAlreadyExistsException")
    assert agent.wait_for("registration defender: load registered (adopted)")


@pytest.mark.parametrize("duplicate", [409, 400])
def test_a_uom_that_another_device_has_just_created_is_adopted(
    cloud: Sandbox, devices: Devices, duplicate: Literal[400, 409]
) -> None:
    cloud.devrev.switches.duplicate_status = duplicate
    cloud.devrev.switches.visible_after_lists = 1
    first, second = devices.make(metrics=""), devices.make(metrics="")
    first.start()
    wait_until_registered(first)
    before = len(calls_to(cloud, "devrev"))

    second.start()
    wait_until_registered(second)

    creations = [call.status for call in calls_to(cloud, "devrev")[before:] if call.operation == "uoms.create"]
    assert creations == [duplicate, duplicate]
    assert sorted(uom.metric_name for uom in cloud.devrev.uoms) == sorted(UOM_NAMES)


def after_each_list(cloud: Sandbox, act: Callable[[], None]) -> None:
    """Do something after each list of the custom metrics, before whoever asked for it can go on."""

    def follow(call: Call) -> None:
        if call.operation == "ListCustomMetrics":
            act()

    cloud.calls.follow(follow)
