"""Later looks at what is registered: they cost little, and find what somebody has changed at a service."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from end_to_end.registration_device import METRIC_NAMES, UOM_NAMES, calls_to, cloud, devices
from end_to_end.registration_steps import Steps, metrics, uoms
from thingmeter.sandbox.cloud import Sandbox

__all__ = ["cloud", "devices", "metrics", "uoms"]  # fixtures

DAY_S = 86_400


def test_a_uom_that_is_switched_off_later_is_found_at_the_next_look(
    cloud: Sandbox, uoms: Steps, caplog: pytest.LogCaptureFixture
) -> None:
    uoms.until_all("registered")
    litres = cloud.devrev.uoms.named("pumped_litres")
    assert litres is not None
    cloud.devrev.uoms.put(replace(litres, is_enabled=False))

    uoms.until(lambda: uoms.registration.standing("pumped_litres") == "disabled")

    assert not uoms.registration.is_ready("pumped_litres")
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR]


def test_a_uom_that_is_switched_on_again_is_registered_at_the_next_look(cloud: Sandbox, uoms: Steps) -> None:
    cloud.devrev.switches.created_enabled = False
    uoms.until_all("disabled")
    for uom in tuple(cloud.devrev.uoms):
        cloud.devrev.uoms.put(replace(uom, is_enabled=True))

    uoms.until_all("registered")

    assert all(map(uoms.registration.is_ready, UOM_NAMES))


@pytest.mark.needs_aws
def test_a_look_at_what_is_registered_costs_two_calls_at_most_and_comes_after_a_day(
    cloud: Sandbox, metrics: Steps
) -> None:
    metrics.until_all("registered")
    before = len(calls_to(cloud, "control plane"))

    took_s = metrics.until(lambda: len(calls_to(cloud, "control plane")) > before)

    assert took_s >= DAY_S
    first, *more = [call.operation for call in calls_to(cloud, "control plane")[before:]]
    assert first == "ListCustomMetrics"
    assert more in ([], ["DescribeCustomMetric"])


@pytest.mark.needs_aws
def test_a_metric_that_somebody_deleted_is_created_again_at_the_next_look(cloud: Sandbox, metrics: Steps) -> None:
    metrics.until_all("registered")
    del cloud.control_plane.metrics["load"]
    before = len(calls_to(cloud, "control plane"))

    metrics.until(lambda: len(calls_to(cloud, "control plane")) > before)

    assert set(cloud.control_plane.metrics) == METRIC_NAMES
