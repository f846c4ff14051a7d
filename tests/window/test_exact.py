"""Sums without rounding, in every order and over every range."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.window.exact import ExactSum

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.lists(st.one_of(st.integers(), FINITE), max_size=30)


def sum_of(*numbers: float) -> ExactSum:
    exact = ExactSum()
    for number in numbers:
        exact.add(number)
    return exact


@given(NUMBERS)
def test_a_sum_is_the_exact_one_rounded_once(numbers: list[float]) -> None:
    exact = sum(map(Fraction, numbers), Fraction())

    try:
        expected = float(exact)
    except OverflowError:
        expected = math.inf
    if all(isinstance(number, int) for number in numbers):
        assert sum_of(*numbers).total() == exact
    elif math.isinf(expected):
        with pytest.raises(OverflowError):
            sum_of(*numbers).total()
    else:
        assert sum_of(*numbers).total() == expected


@given(NUMBERS, st.randoms())
def test_the_order_is_of_no_account(numbers: list[float], random: Random) -> None:
    numbers = [number % 10**300 if isinstance(number, int) else number / 64 for number in numbers]
    shuffled = list(numbers)
    random.shuffle(shuffled)

    assert repr(sum_of(*numbers).total()) == repr(sum_of(*shuffled).total())


def test_a_sum_comes_back_from_beyond_the_largest_float() -> None:
    assert sum_of(1.7e308, 1.7e308, -1.7e308).total() == 1.7e308


def test_integers_stay_an_integer_beyond_what_a_float_can_hold() -> None:
    assert sum_of(2**53, 1).total() == 2**53 + 1
    assert isinstance(sum_of(10**400).total(), int)


def test_one_float_makes_the_sum_a_float() -> None:
    assert repr(sum_of(1, 2.0).total()) == "3.0"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_and_leaves_the_sum_as_it_was(value: float) -> None:
    exact = sum_of(1.5)

    with pytest.raises((ValueError, OverflowError)):
        exact.add(value)
    assert (exact.total(), exact.count) == (1.5, 1)


def test_the_sum_of_nothing_is_zero() -> None:
    assert sum_of().total() == 0
