"""The payload of a sample: golden bytes, and what rules of AWS IoT need of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.destinations.topic.sample import encode, is_publishable
from thingmeter.metrics import Metric, Sample
from topic.samples import ALL, AT, CONNECTIONS, ON_MAINS, USAGE_PERCENT, USED

GOLDEN = Path(__file__).parents[1] / "golden"
THING = "pump-7"

NUMBERS = st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False)


def payload(sample: Sample, at: datetime = AT) -> Any:
    return json.loads(encode(sample, at, THING))


def test_every_kind_of_sample_is_the_golden_bytes() -> None:
    lines = [encode(sample, AT, THING) + b"\n" for sample in ALL]

    assert b"".join(lines) == (GOLDEN / "telemetry.jsonl").read_bytes()


def test_a_sample_is_one_line() -> None:
    assert [line for line in (encode(sample, AT, THING) for sample in ALL) if b"\n" in line] == []


def test_the_time_is_in_whole_milliseconds() -> None:
    assert payload(ALL[0])["timestamp"] == 1_767_225_600_250


def test_a_time_before_1970_is_rounded_down_too() -> None:
    at = datetime(1969, 12, 31, 23, 59, 59, 999_500, tzinfo=UTC)

    assert payload(ALL[0], at)["timestamp"] == -1


@pytest.mark.parametrize(("value", "number"), [(True, 1), (False, 0)])
def test_a_boolean_is_a_number(value: bool, number: int) -> None:  # noqa: FBT001
    sent = payload(ON_MAINS.sample(value))["value"]

    assert (sent, type(sent)) == (number, int)


def test_a_metric_without_a_unit_has_none_in_its_samples() -> None:
    assert "unit" not in payload(ON_MAINS.sample(True))


def test_a_sample_without_dimensions_says_so() -> None:
    assert payload(USAGE_PERCENT.sample(1))["dimensions"] == {}


def test_series_of_a_metric_have_names_of_their_own() -> None:
    samples = [USAGE_PERCENT.sample(1), *(USAGE_PERCENT.sample(1, {"cpu": cpu}) for cpu in ("0", "1"))]

    assert [payload(sample)["series"] for sample in samples] == [
        "cpu.usage_percent",
        "cpu.usage_percent{cpu=0}",
        "cpu.usage_percent{cpu=1}",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), ()])
def test_what_json_lacks_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"cpu\.usage_percent: a rule can read no such"):
        encode(USAGE_PERCENT.sample(value), AT, THING)


def test_lists_of_sockets_are_not_published() -> None:
    assert [metric.name for metric in (CONNECTIONS, USED) if is_publishable(metric)] == ["disk.used_bytes"]


@given(NUMBERS)
def test_a_number_arrives_as_it_was_measured(value: float) -> None:
    sent = payload(USAGE_PERCENT.sample(value))["value"]

    assert (sent, type(sent)) == (value, type(value))


@given(st.text(st.characters(codec="utf-8"), max_size=50), st.text(st.characters(codec="utf-8"), max_size=50))
def test_any_text_arrives_in_one_line(value: str, dimension: str) -> None:
    metric = Metric("host.note", unit="", type="text", dimensions=("site",))

    line = encode(metric.sample(value, {"site": dimension}), AT, THING)

    sent = json.loads(line)
    assert (sent["value"], sent["dimensions"], b"\n" in line) == (value, {"site": dimension}, False)
