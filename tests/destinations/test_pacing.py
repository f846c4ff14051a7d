"""Pacing: a wait before each call but the first, around the gap, and the calls themselves as they are."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.destinations.https import Answer, Request
from thingmeter.destinations.pacing import paced
from thingmeter.errors import Unreachable

REQUEST = Request("GET", "https://a")


def fine(_: Request) -> Answer:
    return Answer(200)


def test_the_first_call_does_not_wait() -> None:
    waits: list[float] = []

    paced(fine, 1.0, wait=waits.append, random=Random(1))(REQUEST)

    assert waits == []


@given(st.floats(0.001, 100), st.integers())
def test_each_later_call_waits_between_half_and_one_and_a_half_of_the_gap(gap_s: float, seed: int) -> None:
    waits: list[float] = []
    exchange = paced(fine, gap_s, wait=waits.append, random=Random(seed))

    for _ in range(4):
        exchange(REQUEST)

    assert len(waits) == 3
    assert all(0.5 * gap_s <= wait <= 1.5 * gap_s for wait in waits)


def test_without_a_gap_nothing_waits() -> None:
    waits: list[float] = []
    exchange = paced(fine, 0, wait=waits.append, random=Random(1))

    for _ in range(3):
        exchange(REQUEST)

    assert waits == []


def test_a_failed_call_counts_as_one() -> None:
    waits: list[float] = []

    def unreachable(_: Request) -> Answer:
        raise Unreachable("nobody there")

    exchange = paced(unreachable, 1.0, wait=waits.append, random=Random(1))
    for _ in range(2):
        with pytest.raises(Unreachable):
            exchange(REQUEST)

    assert len(waits) == 1
