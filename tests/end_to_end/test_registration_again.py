"""An agent that starts again, with the same definitions or with others: it asks no more than it must."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from end_to_end.registration_device import (
    LITRES,
    LOAD,
    LOADS,
    MEMORY,
    METRIC_NAMES,
    UOM_NAMES,
    UOMS,
    Devices,
    calls_to,
    cloud,
    declare,
    devices,
    next_reports,
    operations,
    wait_until_registered,
)
from thingmeter.sandbox.cloud import Sandbox

__all__ = ["cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws


def test_a_second_start_with_the_same_definitions_makes_no_call_at_all(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make()
    agent.start()
    wait_until_registered(agent)
    agent.stop()
    before = operations(cloud.calls.all())

    agent.start()
    next_reports(cloud, agent, 2)
    agent.stop()

    assert operations(cloud.calls.all()) == before


def test_after_a_power_cut_behind_the_registration_no_call_is_made_either(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make()
    agent.start()
    wait_until_registered(agent)
    agent.kill()
    before = operations(cloud.calls.all())

    agent.start()
    next_reports(cloud, agent, 2)
    agent.stop()

    assert operations(cloud.calls.all()) == before


def test_what_is_registered_with_another_control_plane_counts_for_nothing(
    cloud: Sandbox, devices: Devices, tmp_path: Path
) -> None:
    agent = devices.make(uoms="")
    agent.start()
    wait_until_registered(agent)
    agent.stop()
    moved = Path(shutil.copytree(cloud.folder.path, tmp_path / "moved", ignore=shutil.ignore_patterns("ports.json")))
    with Sandbox(moved) as other:  # with the same authority and keys, but elsewhere
        agent.config.cloud = other  # type: ignore[attr-defined]

        agent.write()
        agent.start()
        wait_until_registered(agent)

        assert set(other.control_plane.metrics) == METRIC_NAMES


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        pytest.param(
            MEMORY.replace("used (%)", "in use (%)") + LOAD + LOADS,
            ["ListCustomMetrics", "DescribeCustomMetric memory_used", "UpdateCustomMetric memory_used"],
            id="a display name",
        ),
        pytest.param(
            MEMORY.replace("north", "south") + LOAD + LOADS,
            ["ListCustomMetrics", "DescribeCustomMetric memory_used"],
            id="a tag",
        ),
        pytest.param(
            MEMORY + LOAD + LOADS + LOAD.replace('"load"', '"load_now"'),
            ["ListCustomMetrics", "CreateCustomMetric load_now"],
            id="one more metric",
        ),
        pytest.param(MEMORY + LOAD, [], id="one metric less"),
    ],
)
def test_a_changed_custom_metric_costs_only_the_calls_that_it_needs(
    cloud: Sandbox, devices: Devices, metrics: str, expected: list[str]
) -> None:
    agent = devices.make(uoms="")
    agent.start()
    wait_until_registered(agent)
    agent.stop()
    before = len(calls_to(cloud, "control plane"))
    declare(agent, metrics=metrics)

    agent.start()
    next_reports(cloud, agent, 2)
    if expected:
        wait_until_registered(agent)

    assert operations(calls_to(cloud, "control plane")[before:]) == expected


def test_a_new_dimension_is_added_to_its_uom_and_nothing_else_is_changed(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(metrics="")
    agent.start()
    wait_until_registered(agent)
    agent.stop()
    before = len(calls_to(cloud, "devrev"))
    declare(agent, uoms=UOMS.replace('["site", "line"]', '["site", "line", "shift"]'))

    agent.start()
    wait_until_registered(agent)

    listing, update = calls_to(cloud, "devrev")[before:]
    litres = cloud.devrev.uoms.named("pumped_litres")
    assert litres is not None
    assert (listing.operation, update.operation) == ("uoms.list", "uoms.update")
    assert json.loads(update.request.body) == {"id": litres.id, "dimensions": {"add": ["shift"]}}


def test_a_reload_registers_what_is_new_in_the_file(cloud: Sandbox, devices: Devices) -> None:
    agent = devices.make(metrics="", uoms=LITRES)
    agent.start()
    wait_until_registered(agent)
    declare(agent, uoms=UOMS)

    agent.signal(signal.SIGHUP)
    wait_until_registered(agent)

    assert {uom.metric_name for uom in cloud.devrev.uoms} == UOM_NAMES
