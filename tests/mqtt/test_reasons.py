from __future__ import annotations

import pytest

from thingmeter.errors import Denied, Rejected, Throttled, Unreachable
from thingmeter.mqtt.client import Answer, Lost
from thingmeter.mqtt.reasons import clean, describe, loss, refusal


@pytest.mark.parametrize("code", [0x00, 0x10, 0x7F])
def test_a_reason_below_0x80_is_success(code: int) -> None:
    assert refusal(Answer(code), "topic") is None


@pytest.mark.parametrize("code", range(0x80, 0x100))
def test_a_reason_from_0x80_on_is_an_error(code: int) -> None:
    assert refusal(Answer(code), "topic") is not None


def test_a_refusal_names_topic_reason_and_the_brokers_words() -> None:
    error = refusal(Answer(0x87, "no policy allows it"), "some/topic")

    assert str(error) == "mqtt: publish to some/topic refused: not authorized (0x87): no policy allows it"


def test_an_unknown_reason_is_said_to_be_unknown() -> None:
    assert describe(0xEE) == "unknown reason (0xEE)"


@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        (Lost("x"), Unreachable),
        (Lost("x", alone=True), Unreachable),
        (Lost("x", 0x87), Denied),
        (Lost("x", 0x87, alone=True), Denied),
        (Lost("x", 0x95), Unreachable),
        (Lost("x", 0x95, alone=True), Rejected),
        (Lost("x", 0x97), Unreachable),
        (Lost("x", 0x97, alone=True), Throttled),
        (Lost("x", 0x8B, alone=True), Unreachable),
    ],
)
def test_the_end_of_a_connection_rejects_only_a_message_that_was_alone(lost: Lost, kind: type[Exception]) -> None:
    assert type(loss(lost, "topic")) is kind


def test_a_peers_words_are_cut_and_escaped() -> None:
    assert clean("a\nb\x1b" + "c" * 1000) == "a\\nb\\x1b" + "c" * 196
