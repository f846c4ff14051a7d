from __future__ import annotations

import json
from typing import Any

import pytest

from thingmeter.sandbox.http.calls import error_of
from thingmeter.sandbox.http.messages import HttpAnswer


@pytest.mark.parametrize(
    ("headers", "body", "error"),
    [
        ({"x-amzn-errortype": "AException"}, {"message": "m"}, ("AException", "m")),
        ({"x-amzn-errortype": "AException:http://x"}, {"Message": "m"}, ("AException", "m")),
        ({}, {"__type": "ns#AException", "message": "m"}, ("AException", "m")),
        ({}, {"code": "AException", "message": "m"}, ("AException", "m")),
        ({}, {"type": "conflict", "message": "m"}, ("conflict", "m")),
        ({}, {}, ("", "")),
        ({}, [], ("", "")),
    ],
)
def test_an_error_is_found_wherever_it_stands(headers: dict[str, str], body: Any, error: tuple[str, str]) -> None:
    assert error_of(HttpAnswer(400, json.dumps(body).encode(), headers)) == error


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff"])
def test_an_answer_that_is_no_json_has_no_words(body: bytes) -> None:
    assert error_of(HttpAnswer(502, body)) == ("", "")


def test_an_answer_that_is_good_has_no_error() -> None:
    assert error_of(HttpAnswer.of_json(200, {"type": "number", "message": "m"})) == ("", "")
