"""DevRev's words and waits, read from whatever arrives."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.destinations.answers import MAXIMUM_WORDS
from thingmeter.destinations.devrev.answers import said, wait_s
from thingmeter.destinations.https import Answer

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def answer(content: Any = None, **headers: str) -> Answer:
    return Answer(429, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(content).encode())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "Bad Request", "detail": "no product"}', "429 Bad Request: no product"),
        (b'{"message": "Bad Request"}', "429 Bad Request"),
        (b'{"detail": "no product", "type": "x"}', "429 no product"),
        (b'{"message": "same", "detail": "same"}', "429 same"),
        (b'{"message": 5, "detail": null}', "429 Too Many Requests"),
        (b'{"message": "a\\u001b[31m\\nb\\u202e"}', "429 a\\u001b[31m\\nb\\u202e"),
        (b"upstream is slow\n", "429 upstream is slow"),
        (b"<html><b>Hello</b></html>", "429 Too Many Requests"),
        (b"", "429 Too Many Requests"),
        (b"[1]", "429 Too Many Requests"),
        (b"\xff\xfe", "429 \ufffd\ufffd"),
    ],
)
def test_devrevs_words_make_one_line(body: bytes, words: str) -> None:
    assert said(Answer(429, {}, body)) == words


def test_long_words_are_cut() -> None:
    assert len(said(answer({"message": "x" * 10_000}))) == len("429 ") + MAXIMUM_WORDS


def test_an_unknown_status_has_no_words() -> None:
    assert said(Answer(599)) == "599"


@pytest.mark.parametrize(
    ("given_answer", "seconds"),
    [
        (answer(retry_after="30"), 30),
        (answer({"retry_after": 45}), 45),
        (answer({"retry_after": 45.5}, retry_after="30"), 45.5),
        (answer({"retry_after": 20}, retry_after="30"), 30),
        (answer(retry_after="Thu, 01 Jan 2026 00:02:00 GMT"), 120),
        (answer(retry_after="Thu, 01 Jan 2026 00:02:00 GMT", date="Thu, 01 Jan 2026 00:01:30 GMT"), 30),
        (answer(retry_after="Thu, 01 Jan 2026 00:02:00 -0000"), 120),
        (answer(retry_after="Wed, 31 Dec 2025 00:00:00 GMT"), 1),
        (answer(retry_after="0"), 1),
        (answer(retry_after="7.5"), 7.5),
        (answer({"retry_after": -5}), 1),
        (answer(retry_after="9" * 5000), 3600),
        (answer({"retry_after": 10**400}), 3600),
        (Answer(429, {}, b'{"retry_after": 1e999}'), 60),
        (answer(retry_after="Fri, 01 Jan 2027 00:00:00 GMT"), 3600),
        (answer(), 60),
        (answer({"retry_after": True}), 60),
        (answer({"retry_after": "30"}), 60),
        (answer(retry_after="soon"), 60),
        (answer(retry_after="²"), 60),
        (answer(retry_after="-5"), 60),
    ],
)
def test_the_wait_is_the_longer_of_header_and_body_within_bounds(given_answer: Answer, seconds: float) -> None:
    assert wait_s(given_answer, NOW) == seconds


@given(st.text(), st.text(), st.binary() | st.integers().map(lambda n: json.dumps({"retry_after": n}).encode()))
def test_any_answer_gives_a_wait_within_bounds(retry_after: str, date: str, body: bytes) -> None:
    assert 1 <= wait_s(Answer(429, {"retry-after": retry_after, "date": date}, body), NOW) <= 3600
