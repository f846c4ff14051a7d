"""What ``once`` shows of usage and telemetry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from thingmeter.config.settings import DevRev, Topic, Unit, Uom
from thingmeter.metrics import Metric, Sample
from thingmeter.previews import topic_previews, usage_preview

AT = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)
LITRES = Metric("pump.litres", "l", kind="counter", dimensions=("site", "line"))
SPEED = Metric("pump.speed", "1/min")
BYTES = Unit(name="litre", type="number")


def devrev(**changes: object) -> DevRev:
    uom = Uom(
        metric_name="litres",
        name="Litres",
        product_id="PROD-1",
        unit=BYTES,
        aggregation_type="sum",
        dimensions=("site",),
        from_="pump.litres",
    )
    return DevRev(token_file="token", account_ref="ACC-1", uom=(uom,), **changes)  # type: ignore[arg-type]


def litres(*values: float) -> list[Sample]:
    """Return what the counter stood at, a second apart."""
    dimensions = {"site": "north", "line": "1"}
    return [LITRES.sample(value, dimensions, AT + timedelta(seconds=n)) for n, value in enumerate(values)]


def test_a_counter_shows_its_rise_for_the_declared_dimensions() -> None:
    (preview,) = usage_preview(devrev(), "pump-7", litres(100, 103), AT)

    (entry,) = preview.content["metrics"]
    (point,) = entry["data_points"]
    assert (entry["account_ref"], entry["name"], point["value"]) == ("ACC-1", "litres", 3)
    assert point["dimensions"] == [{"key": "site", "value": "north"}]


def test_a_counter_that_did_not_rise_shows_nothing() -> None:
    assert usage_preview(devrev(), "pump-7", litres(100, 100), AT) == []


def test_usage_goes_to_the_url_of_devrev() -> None:
    (preview,) = usage_preview(devrev(), "pump-7", litres(1, 2), AT)

    assert (preview.to, preview.is_url) == ("https://api.devrev.ai/metrics.devrev.ingest", True)


def test_usage_over_mqtt_goes_to_its_topic() -> None:
    (preview,) = usage_preview(devrev(route="mqtt", topic="usage/pump-7"), "pump-7", litres(1, 2), AT)

    assert (preview.to, preview.is_url) == ("usage/pump-7", False)


def test_the_topic_gets_what_its_globs_name() -> None:
    topic = Topic(template="telemetry/pump-7", metrics=("pump.sp*",))

    previews = topic_previews(topic, "pump-7", [SPEED.sample(1200, at=AT), *litres(1)])

    assert [(preview.to, preview.content["metric"]) for preview in previews] == [("telemetry/pump-7", "pump.speed")]
