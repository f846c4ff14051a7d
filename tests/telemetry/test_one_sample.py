"""One sample at every destination: the same value, and the same time where a destination knows times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from telemetry.device import FLOW, Device, topic
from thingmeter.clock import WallTime
from thingmeter.config.settings import CustomMetric, Defender, DevRev, Unit, Uom
from thingmeter.destinations.devrev import usage
from thingmeter.health import Health
from thingmeter.metering import Identity, Metering
from thingmeter.metrics import Sample
from thingmeter.reporting import Reporting

DEFENDER = Defender(
    format="json",
    names="long",
    blocks=(),
    custom_metric=(CustomMetric(name="flow", type="number", from_="pump.flow", aggregate="last"),),
)
UOM = Uom(
    metric_name="flow",
    name="Flow",
    product_id="PROD-1",
    unit=Unit(name="l/s", type="number"),
    aggregation_type="latest",
    from_="pump.flow",
)
DEVREV = DevRev(uom=(UOM,), window_s=60, account_ref="ACC-1")
VALUE = 12.345678901234567
AT = datetime(2026, 1, 1, 0, 0, 17, 250_999, tzinfo=UTC)


@pytest.fixture
def sent(tmp_path: Path) -> dict[str, Any]:
    """What is sent of one sample, by destination."""
    device = Device(tmp_path, topic())
    clock, outbox, health = device.clock, device.outbox, Health()
    reporting = Reporting(DEFENDER, outbox, clock, health, lambda: None)
    metering = Metering(DEVREV, Identity("pump-7", None), outbox, WallTime(clock, 0), health)
    clock.advance((AT - clock.now()).total_seconds())
    samples = [Sample(FLOW, VALUE, clock.now())]

    for taker in (reporting, metering, device.telemetry):
        taker.collected((FLOW,), samples)
    clock.advance(120)
    report = reporting.report()
    metering.turn()
    device.telemetry.turn()

    assert report is not None
    record = json.loads(usage.body([message.payload for message in outbox.waiting("devrev.flow", 2)]))
    found = {"defender": json.loads(report.payload), "devrev": record, "topic": device.drain()[0]}
    outbox.close()
    return found


def test_the_value_is_the_same_everywhere(sent: dict[str, Any]) -> None:
    report, point = sent["defender"]["custom_metrics"]["flow"][0], sent["devrev"]["metrics"][0]["data_points"][0]

    # 15 significant digits are what Device Defender keeps of a number
    assert (report["number"], point["value"], sent["topic"]["value"]) == (float(f"{VALUE:.15g}"), VALUE, VALUE)


def test_the_time_is_the_same_wherever_there_is_one(sent: dict[str, Any]) -> None:
    point = sent["devrev"]["metrics"][0]["data_points"][0]

    told = datetime.fromisoformat(point["timestamp"])
    assert (told.timestamp() * 1000, sent["topic"]["timestamp"]) == (1_767_225_617_250, 1_767_225_617_250)
