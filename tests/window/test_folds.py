"""Aggregations: exact, bounded, and of the right time."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.metrics import PointValue, Value
from thingmeter.window.folds import FOLDS, LIST_LIMIT, Aggregation

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.lists(
    st.one_of(st.integers(-(10**20), 10**20), st.floats(-1e15, 1e15, allow_nan=False)), min_size=1, max_size=50
)


def fold(aggregation: Aggregation, *values: Value) -> PointValue | None:
    result = fold_with_time(aggregation, *values)
    return result[0] if result else None


def fold_with_time(aggregation: Aggregation, *values: Value) -> tuple[PointValue, datetime | None] | None:
    one = FOLDS[aggregation]()
    for second, value in enumerate(values):
        one.add(value, START + timedelta(seconds=second))
    return one.result()


@given(NUMBERS)
def test_sum_is_rounded_once_from_the_exact_total(numbers: list[float]) -> None:
    exact = sum(map(Fraction, numbers), Fraction())

    total = fold("sum", *numbers)

    assert total == (exact if all(isinstance(n, int) for n in numbers) else float(exact))


@given(st.lists(st.integers(), min_size=1))
def test_sum_of_integers_is_an_integer(numbers: list[int]) -> None:
    assert fold("sum", *numbers) == sum(numbers)
    assert isinstance(fold("sum", *numbers), int)


@given(NUMBERS)
def test_mean_is_within_two_roundings_of_the_exact_mean(numbers: list[float]) -> None:
    exact = sum(map(Fraction, numbers), Fraction()) / len(numbers)

    mean = fold("mean", *numbers)

    assert isinstance(mean, float)
    assert abs(Fraction(mean) - exact) <= Fraction(2 * math.ulp(float(exact)))


@given(NUMBERS)
def test_minimum_and_maximum_are_values_that_were_sampled(numbers: list[float]) -> None:
    assert fold("minimum", *numbers) == min(numbers)
    assert fold("maximum", *numbers) == max(numbers)


def test_an_extreme_keeps_the_time_of_its_first_sight() -> None:
    assert fold_with_time("maximum", 1, 5, 5, 2) == (5, START + timedelta(seconds=1))


def test_last_is_the_newest_by_time_whatever_the_order_of_arrival() -> None:
    one = FOLDS["last"]()
    one.add(2, START + timedelta(seconds=2))
    one.add(1, START)

    assert one.result() == (2, START + timedelta(seconds=2))


def test_values_keep_the_order_and_the_repeats() -> None:
    assert fold("values", 3, 1, 3) == (3, 1, 3)


def test_a_list_without_samples_is_empty_and_a_number_without_samples_is_unknown() -> None:
    assert fold("values") == ()
    assert fold("distinct") == ()
    assert fold("mean") is None
    assert fold("sum") is None
    assert fold("last") is None


def test_distinct_sorts_addresses_by_family_and_number() -> None:
    addresses = [ip_address(text) for text in ("::1", "10.0.0.10", "10.0.0.9", "::1")]

    assert fold("distinct", *addresses) == (ip_address("10.0.0.9"), ip_address("10.0.0.10"), ip_address("::1"))


@pytest.mark.parametrize("seed", range(5))
def test_distinct_of_too_many_is_the_same_for_every_order(seed: int) -> None:
    texts = [f"peer-{number:05}" for number in range(LIST_LIMIT * 2 + 7)]
    Random(seed).shuffle(texts)

    assert fold("distinct", *texts) == tuple(sorted(texts)[:LIST_LIMIT])


def test_values_are_bounded() -> None:
    assert fold("values", *range(LIST_LIMIT + 5)) == tuple(range(LIST_LIMIT))


def test_a_sum_beyond_the_range_of_a_float_is_unknown() -> None:
    assert fold("sum", 1.7e308, 1.7e308) is None
    assert fold("mean", 10**400, 0.5) is None
