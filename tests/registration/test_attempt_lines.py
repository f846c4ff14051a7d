"""The lines between an attempt and its parent: what is said is understood, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.errors import ConfigError, DeliveryError, Denied, Throttled, Unanswered, Unreachable
from thingmeter.plans import Outcome, Step
from thingmeter.registration.lines import End, end_of, from_line, one_line, to_line

STEP = Step("cpu", "conflict", 'it is a "string-list" there\n')
OUTCOME = Outcome("cpu", "adopt", "disabled", "switch it on")


@pytest.mark.parametrize(
    "said",
    [STEP, OUTCOME, End("done"), End("throttled", "slow down", 30.5), End("denied", "no rights"), End("failed", "?")],
)
def test_what_is_said_is_understood(said: Step | Outcome | End) -> None:
    assert from_line(to_line(said)) == said


@pytest.mark.parametrize("said", [STEP, OUTCOME])
def test_what_is_said_is_one_line(said: Step | Outcome) -> None:
    assert to_line(said).count(b"\n") == 1


@given(st.binary() | st.text().map(str.encode))
def test_any_line_is_understood_or_ignored(line: bytes) -> None:
    assert from_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"7",
        b'"step"',
        b'{"step": null}',
        b'{"step": {"name": "cpu"}}',
        b'{"step": {"name": "cpu", "action": "delete", "reason": ""}}',
        b'{"step": {"name": 1, "action": "create", "reason": ""}}',
        b'{"step": {"name": "cpu", "action": "create", "reason": "", "more": "x"}}',
        b'{"outcome": {"name": "cpu", "action": "create", "standing": "pending", "reason": ""}}',
        b'{"outcome": {"name": "cpu", "action": "create", "standing": ["registered"], "reason": ""}}',
        b'{"end": "perhaps"}',
        b'{"end": {}}',
        b'{"end": "throttled", "after_s": "x"}',
        b"[" * 100_000,
    ],
)
def test_a_line_of_another_kind_is_ignored(line: bytes) -> None:
    assert from_line(line) is None


@pytest.mark.parametrize("after_s", [b"-5", b"NaN", b"Infinity", b"0"])
def test_an_impossible_wait_is_none(after_s: bytes) -> None:
    end = from_line(b'{"end": "throttled", "message": "", "after_s": %s}' % after_s)

    assert end == End("throttled", "", 0)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (Throttled("slow down", after_s=30), End("throttled", "slow down", 30)),
        (Denied("no rights"), End("denied", "no rights")),
        (Unreachable("no route"), End("unreachable", "no route")),
        (Unanswered("timeout"), End("unreachable", "timeout")),
        (ConfigError(()), End("failed", "ConfigError: ")),
        (KeyError("region"), End("failed", "KeyError: 'region'")),
    ],
)
def test_an_error_makes_the_end(error: Exception, end: End) -> None:
    assert end_of(error) == end


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (End("throttled", "slow down", 30), Throttled),
        (End("denied", "no rights"), Denied),
        (End("unreachable", "no route"), Unreachable),
        (End("failed", "KeyError: 'region'"), Unreachable),
    ],
)
def test_the_end_makes_an_error(end: End, error: type[DeliveryError]) -> None:
    assert type(end.error()) is error


def test_words_become_one_line_without_control_characters() -> None:
    assert one_line("a\nb\x1b[31m\u202e\\n") == "a\\nb\\x1b[31m\\u202e\\n"


def test_words_on_one_line_stay_as_they_are() -> None:
    assert one_line(one_line("a\nb")) == one_line("a\nb")
