from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from sandbox.wire import (
    CBOR_TOPIC,
    JSON_TOPIC,
    PUBACK,
    PUBLISH,
    SUBACK,
    Wire,
    connected,
    publish_packet,
    report,
    report_bytes,
    subscribe_packet,
)
from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.limits import Limits


@pytest.fixture
def wire(sandbox: Sandbox) -> Iterator[Wire]:
    """A connected thing that listens for answers in both formats."""
    with connected(sandbox) as connection:
        answers = [f"{topic}/{answer}" for topic in (JSON_TOPIC, CBOR_TOPIC) for answer in ("accepted", "rejected")]
        connection.ask(subscribe_packet(*answers), SUBACK)
        yield connection


def exchange(wire: Wire, payload: bytes, topic: str = JSON_TOPIC, flags: int = 0x02) -> tuple[str, bytes]:
    """Publish a report with QoS 1; return the topic after the report's and the payload of the answer."""
    wire.ask(publish_packet(topic, payload, flags=flags), PUBACK)
    answer = wire.expect(PUBLISH)
    return answer.topic.removeprefix(topic), answer.payload


def test_a_good_report_is_accepted(wire: Wire, sandbox: Sandbox) -> None:
    topic, payload = exchange(wire, report_bytes(5))

    at_ms = int(sandbox.verdicts.all()[0].at.timestamp() * 1000)
    expected = {"thingName": "pump-7", "status": "ACCEPTED", "timestamp": at_ms, "reportId": 5}
    assert (topic, json.loads(payload)) == ("/accepted", expected)


def test_a_bad_report_is_rejected_with_the_reason_in_words(wire: Wire) -> None:
    topic, payload = exchange(wire, report_bytes(5, cpu={"number": 3}))

    words = "Malformed metrics report: custom_metrics.cpu: a map is not a list of exactly one map [custom-list]"
    details = {"ErrorCode": "InvalidPayload", "ErrorMessage": words}
    answer = json.loads(payload)
    assert (topic, answer["status"], answer["statusDetails"]) == ("/rejected", "REJECTED", details)


def test_a_report_in_cbor_is_answered_in_cbor(wire: Wire) -> None:
    topic, payload = exchange(wire, cbor2.dumps(report(5)), CBOR_TOPIC)

    assert (topic, cbor2.loads(payload)["reportId"]) == ("/accepted", 5)


def test_the_puback_comes_before_the_answer(wire: Wire) -> None:
    wire.send(publish_packet(JSON_TOPIC, report_bytes()))

    packets = [wire.read(), wire.read()]
    assert [packet.type for packet in packets if packet] == [PUBACK, PUBLISH]


@pytest.mark.parametrize("report_id", [4, 5])
def test_a_report_id_that_does_not_increase_is_rejected(wire: Wire, sandbox: Sandbox, report_id: int) -> None:
    exchange(wire, report_bytes(5))

    exchange(wire, report_bytes(report_id))

    assert [breach.rule for breach in sandbox.verdicts.all()[1].breaches] == ["report-id-order"]


def test_report_ids_must_increase_over_a_restart_of_the_sandbox(tmp_path: Path) -> None:
    settings = Settings(minimum_interval_s=0)
    with Sandbox(tmp_path, settings=settings) as sandbox:
        sandbox.publish(JSON_TOPIC, report_bytes(5))

    with Sandbox(tmp_path, settings=settings) as sandbox:
        sandbox.publish(JSON_TOPIC, report_bytes(5))

        assert [breach.rule for breach in sandbox.verdicts.all()[0].breaches] == ["report-id-order"]


def test_a_damaged_file_of_report_ids_is_started_anew(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        sandbox.folder.report_ids_file.write_text("[")

    with Sandbox(tmp_path) as sandbox:
        sandbox.publish(JSON_TOPIC, report_bytes(5))

        assert sandbox.verdicts.all()[0].accepted


@pytest.mark.parametrize(
    ("payload", "qos", "retain", "rule"),
    [
        (b"x" * 131_073, 1, False, "size"),
        (report_bytes(), 0, False, "qos"),
        (report_bytes(), 1, True, "retain"),
        (b"{", 1, False, "parse"),
    ],
)
def test_a_report_that_is_published_in_a_wrong_way_is_rejected(
    sandbox: Sandbox, payload: bytes, qos: int, *, retain: bool, rule: str
) -> None:
    sandbox.publish(JSON_TOPIC, payload, qos=qos, retain=retain)

    assert [breach.rule for breach in sandbox.verdicts.all()[0].breaches] == [rule]


def test_what_is_silently_dropped_is_accepted_with_a_warning(sandbox: Sandbox) -> None:
    sandbox.publish(JSON_TOPIC, report_bytes(1, names=[{"string_list": ["a b"]}]))

    [verdict] = sandbox.verdicts.all()
    assert (verdict.accepted, [warning.rule for warning in verdict.warnings]) == (True, ["characters"])


class TestInterval:
    @pytest.fixture
    def sandbox(self, tmp_path: Path) -> Iterator[Sandbox]:
        settings = Settings(minimum_interval_s=300, limits=Limits(connect_interval_s=0))
        with Sandbox(tmp_path, things=("pump-7",), settings=settings) as running:
            yield running

    def test_a_report_too_soon_is_throttled(self, sandbox: Sandbox) -> None:
        sandbox.publish(JSON_TOPIC, report_bytes(5))
        sandbox.publish(JSON_TOPIC, report_bytes(6))

        assert [verdict.error_code for verdict in sandbox.verdicts.all()] == ["", "Throttled"]

    def test_a_throttled_report_does_not_use_up_its_id(self, sandbox: Sandbox) -> None:
        for report_id in (5, 6, 6):
            sandbox.publish(JSON_TOPIC, report_bytes(report_id))

        assert [verdict.error_code for verdict in sandbox.verdicts.all()] == ["", "Throttled", "Throttled"]

    def test_a_rejected_report_does_not_start_an_interval(self, sandbox: Sandbox) -> None:
        sandbox.publish(JSON_TOPIC, b"{")
        sandbox.publish(JSON_TOPIC, report_bytes(6))

        assert [verdict.error_code for verdict in sandbox.verdicts.all()] == ["InvalidPayload", ""]

    def test_things_have_intervals_of_their_own(self, sandbox: Sandbox) -> None:
        sandbox.publish(JSON_TOPIC, report_bytes(5))
        sandbox.publish(JSON_TOPIC.replace("pump-7", "pump-8"), report_bytes(5))

        assert [verdict.error_code for verdict in sandbox.verdicts.all()] == ["", ""]


def test_an_answer_can_be_missing(wire: Wire, sandbox: Sandbox) -> None:
    sandbox.faults.answer, sandbox.faults.remaining = "missing", 1
    wire.ask(publish_packet(JSON_TOPIC, report_bytes(5)), PUBACK)

    _, payload = exchange(wire, report_bytes(6))

    assert json.loads(payload)["reportId"] == 6


def test_an_answer_can_come_twice(wire: Wire, sandbox: Sandbox) -> None:
    sandbox.faults.answer = "twice"

    first = exchange(wire, report_bytes(5))

    assert wire.expect(PUBLISH).payload == first[1]


def test_an_answer_can_come_late(wire: Wire, sandbox: Sandbox) -> None:
    sandbox.faults.answer, sandbox.faults.remaining, sandbox.faults.answer_delay_s = "late", 1, 0.1
    wire.ask(publish_packet(JSON_TOPIC, report_bytes(5)), PUBACK)

    _, payload = exchange(wire, report_bytes(6))

    assert [json.loads(each)["reportId"] for each in (payload, wire.expect(PUBLISH).payload)] == [6, 5]


def test_an_answer_can_be_any_rejection(wire: Wire, sandbox: Sandbox) -> None:
    sandbox.faults.answer, sandbox.faults.error_code, sandbox.faults.error_message = "rejected", "Novel", "why not"

    topic, payload = exchange(wire, report_bytes(5))

    details = {"ErrorCode": "Novel", "ErrorMessage": "why not"}
    assert (topic, json.loads(payload)["statusDetails"]) == ("/rejected", details)


def test_an_answer_can_be_any_bytes(wire: Wire, sandbox: Sandbox) -> None:
    sandbox.faults.answer, sandbox.faults.answer_payload = "literal", b"\xff{"

    assert exchange(wire, report_bytes(5)) == ("/accepted", b"\xff{")


def test_an_answer_can_be_oversized(wire: Wire, sandbox: Sandbox) -> None:
    sandbox.faults.answer = "oversized"

    assert len(exchange(wire, report_bytes(5))[1]) > 120_000


@pytest.mark.parametrize(
    ("shape", "keys"),
    [
        ("report id", {"thingName", "status", "timestamp", "reportId"}),
        ("no report id", {"thingName", "status", "timestamp"}),
        ("report id as key", {"5"}),
    ],
)
def test_an_answer_can_have_each_of_the_shapes_that_were_seen(
    wire: Wire, sandbox: Sandbox, shape: Any, keys: set[str]
) -> None:
    sandbox.faults.answer_shape = shape

    _, payload = exchange(wire, report_bytes(5))

    assert set(json.loads(payload)) == keys
