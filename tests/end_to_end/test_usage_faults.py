"""What goes wrong between the agent and DevRev costs no usage, and bills none twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from end_to_end.usage_billed import INGEST
from end_to_end.usage_device import Meters, cloud, devices, meters
from end_to_end.usage_settings import LEVELS
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev import Fault
from thingmeter.sandbox.http.faults import HttpFault

__all__ = ["cloud", "devices", "meters"]  # fixtures

HUNDRED = range(1, 101)
SUM = 5050


def on_the_way(kind: HttpFault, cloud: Sandbox) -> None:
    """Let the next two ingests go wrong on the way."""
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.only, faults.remaining, faults.status = kind, f"/{INGEST}", 2, 502


def in_devrev(fault: Fault, cloud: Sandbox) -> None:
    """Let the next two ingests go wrong in DevRev."""
    fault.remaining = 2
    cloud.devrev.switches.faults.append(fault)


@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(partial(on_the_way, "missing"), id="stored, no answer"),
        pytest.param(partial(on_the_way, "half"), id="stored, garbage"),
        pytest.param(partial(on_the_way, "garbage"), id="stored, no HTTP"),
        pytest.param(partial(in_devrev, Fault("error after", INGEST, status=500)), id="stored, 500"),
        pytest.param(partial(in_devrev, Fault("error after", INGEST, status=503)), id="stored, 503"),
        pytest.param(partial(in_devrev, Fault("error before", INGEST, status=500)), id="not stored, 500"),
        pytest.param(partial(in_devrev, Fault("html", INGEST)), id="a proxy's page"),
        pytest.param(partial(in_devrev, Fault("redirect", INGEST)), id="a redirect"),
        pytest.param(partial(on_the_way, "refused"), id="cut off"),
    ],
)
def test_what_goes_wrong_twice_is_sent_again_and_counted_once(
    meters: Meters, cloud: Sandbox, strike: Callable[[Sandbox], None]
) -> None:
    strike(cloud)
    device = meters.make(LEVELS)
    device.hand_over("level", *HUNDRED)

    device.agent.start()
    device.agent.wait_for("devrev: delivering again")
    device.agent.stop()

    assert meters.billed.total("levels") == device.totals().amounts("delivered")["levels"] == SUM
    assert len(meters.billed.points("levels")) == 1
