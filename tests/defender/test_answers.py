"""Answers: every documented shape is read, and nothing that arrives can do harm."""

import json
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.destinations.defender.answers import MAXIMUM_BYTES, MAXIMUM_TEXT, Answer, parse

REJECTED = {
    "thingName": "pump-7",
    "reportId": 1530304554,
    "status": "REJECTED",
    "statusDetails": {"ErrorCode": "InvalidPayload", "ErrorMessage": "Malformed metrics report"},
    "timestamp": 1530304555,
}


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("encoded", [as_json, cbor2.dumps])
def test_a_rejection_gives_its_code_and_its_reason(encoded: Any) -> None:
    answer = parse(encoded(REJECTED), "rejected")

    assert answer == Answer("rejected", 1530304554, "InvalidPayload", "Malformed metrics report")


@pytest.mark.parametrize(
    "document",
    [
        {"thingName": "pump-7", "status": "ACCEPTED", "timestamp": 1, "reportId": 1530304554},
        {"thingName": "pump-7", "status": "ACCEPTED", "timestamp": 1, "reportId": "1530304554"},
        {"thingName": "pump-7", "1530304554": 1530304554, "status": "ACCEPTED", "timestamp": 1},
    ],
)
def test_the_report_id_is_found_wherever_it_is_documented(document: object) -> None:
    assert parse(as_json(document), "accepted") == Answer("accepted", 1530304554)


def test_an_answer_may_leave_the_report_id_out() -> None:
    assert parse(as_json({"status": "ACCEPTED"}), "accepted") == Answer("accepted")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[1]",
        b"\xff" * 40,
        b"{" * 5000,
        b"[" * 5000,
        b"\x9f" * 5000,
        b"\xbb" + b"\xff" * 8,
        b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc2\x5a\xff\xff\xff\xff",
        b" " * (MAXIMUM_BYTES + 1),
    ],
)
def test_a_hostile_answer_is_no_answer(payload: bytes) -> None:
    assert parse(payload, "accepted") is None


def test_a_reason_is_cut_and_its_control_characters_are_gone() -> None:
    details = {"ErrorCode": "X", "ErrorMessage": "\x1b[31m\n" + "y" * 10_000}

    answer = parse(as_json({"statusDetails": details}), "rejected")

    assert answer is not None
    assert answer.reason == " [31m " + "y" * (MAXIMUM_TEXT - 6)


@given(st.binary())
def test_any_bytes_give_an_answer_or_none(payload: bytes) -> None:
    assert isinstance(parse(payload, "rejected"), Answer | None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["reportId", "status", "statusDetails", "1530304554"]) | st.text(), json_values),
    st.sampled_from([as_json, cbor2.dumps]),
)
def test_any_map_gives_an_answer_or_none(document: object, encoded: Any) -> None:
    assert isinstance(parse(encoded(document), "rejected"), Answer | None)
