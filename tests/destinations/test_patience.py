"""Patience: three calls in a row without an answer are the last ones of an attempt."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from thingmeter.destinations.https import Answer, Exchange, Request
from thingmeter.destinations.pacing import patient
from thingmeter.errors import Denied, ThingmeterError, Throttled, Unanswered, Unreachable

REQUEST = Request("GET", "https://a")
FINE = Answer(200)


def scripted(*script: Answer | ThingmeterError) -> tuple[Exchange, Callable[[], int]]:
    """Return an exchange that is patient with these answers, and what counts the calls that were made."""
    left = list(script)

    def exchange(_: Request) -> Answer:
        current = left.pop(0)
        if isinstance(current, ThingmeterError):
            raise current
        return current

    return patient(exchange), lambda: len(script) - len(left)


def fail(exchange: Exchange, times: int) -> list[str]:
    said = []
    for _ in range(times):
        with pytest.raises(ThingmeterError) as raised:
            exchange(REQUEST)
        said.append(str(raised.value))
    return said


@pytest.mark.parametrize("kind", [Unreachable, Unanswered])
def test_after_three_calls_without_an_answer_no_more_are_made(kind: type[Unreachable]) -> None:
    exchange, calls = scripted(kind("1"), kind("2"), kind("3"), FINE)

    assert fail(exchange, 5) == ["1", "2", "3", "3", "3"]
    assert calls() == 3


def test_an_answer_in_between_begins_the_count_anew() -> None:
    exchange, calls = scripted(Unreachable("1"), Unreachable("2"), FINE, Unreachable("3"), Unreachable("4"), FINE)

    fail(exchange, 2)
    exchange(REQUEST)
    fail(exchange, 2)

    assert (exchange(REQUEST), calls()) == (FINE, 6)


@pytest.mark.parametrize("refusal", [Denied("no"), Throttled("slow down", after_s=1)])
def test_a_refusal_is_an_answer(refusal: ThingmeterError) -> None:
    exchange, calls = scripted(refusal, refusal, refusal, FINE)

    fail(exchange, 3)

    assert (exchange(REQUEST), calls()) == (FINE, 4)


def test_what_was_not_asked_was_not_carried_out() -> None:
    exchange, _ = scripted(Unanswered("1"), Unanswered("2"), Unanswered("3"))
    fail(exchange, 3)

    with pytest.raises(Unreachable) as raised:
        exchange(REQUEST)

    assert type(raised.value) is Unreachable
