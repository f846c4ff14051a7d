"""Comparing: what is another UOM, what only lacks something, and what may differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from devrev.devrev_service import uom
from devrev.uom_definitions import FULL, LITRES
from thingmeter.destinations.devrev.comparison import Comparison, Uom, compare


def shown(**changes: Any) -> Uom:
    return msgspec.convert(uom(**changes), Uom)


def test_an_equal_uom_has_no_differences() -> None:
    assert compare(LITRES, shown()) == Comparison()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aggregation_details": {"aggregation_type": "latest"}}, 'aggregation_type is "latest" there and "sum" here'),
        (
            {"aggregation_details": {"aggregation_type": "sum", "unique_dimension": "site"}},
            'unique_dimension is "site" there and "" here',
        ),
        ({"unit": {"type": "boolean"}}, 'unit.type is "boolean" there and "number" here'),
        ({"product": {"id": "PROD-2"}}, 'product_id is "PROD-2" there and "PROD-1" here'),
        ({"product": {"id": "don:a:product/1", "display_id": "PROD-2"}}, 'product_id is "PROD-2" there and'),
    ],
)
def test_what_changes_the_meaning_is_a_conflict(changes: dict[str, Any], words: str) -> None:
    assert words in compare(LITRES, shown(**changes)).conflict


def test_all_conflicts_are_told_at_once() -> None:
    conflict = compare(LITRES, shown(unit={"type": "boolean"}, product={"id": "PROD-2"})).conflict

    assert "unit.type" in conflict
    assert "product_id" in conflict


@pytest.mark.parametrize("product_id", ["PROD-1", "prod-1", "don:core:dvrv-us-1:devo/0:product/1"])
def test_a_product_is_named_by_either_id(product_id: str) -> None:
    assert not compare(replace(LITRES, product_id=product_id), shown()).conflict


@pytest.mark.parametrize(
    "product", [None, {}, {"id": None}, {"id": "don:core:dvrv-us-1:devo/0:product/9"}, {"name": "Pump"}]
)
def test_a_product_that_cannot_be_compared_is_no_conflict(product: Any) -> None:
    assert not compare(LITRES, shown(product=product)).conflict


def test_another_part_is_a_conflict() -> None:
    conflict = compare(
        replace(LITRES, part_id="CAPL-2"), shown(part={"id": "don:x:capability/3", "display_id": "CAPL-3"})
    ).conflict

    assert conflict == 'part_id is "CAPL-3" there and "CAPL-2" here'


def test_a_part_that_devrev_does_not_show_is_noted() -> None:
    comparison = compare(replace(LITRES, part_id="CAPL-2"), shown())

    assert (comparison.conflict, comparison.notes) == ("", ("DevRev shows no part for it",))


def test_a_part_that_is_not_declared_may_be_any() -> None:
    assert compare(LITRES, shown(part={"id": "CAPL-3"})) == Comparison()


def test_the_unique_dimension_is_compared_ignoring_case() -> None:
    aggregation = {"aggregation_type": "unique_count", "unique_dimension": "LINE"}

    assert not compare(FULL, shown(aggregation_details=aggregation)).conflict


def test_a_unique_dimension_that_devrev_leaves_out_is_none() -> None:
    conflict = compare(FULL, shown(aggregation_details={"aggregation_type": "unique_count"})).conflict

    assert conflict == 'unique_dimension is "" there and "line" here'


@pytest.mark.parametrize("details", [None, {}])
def test_an_aggregation_that_devrev_does_not_show_is_no_conflict(details: Any) -> None:
    assert not compare(FULL, shown(aggregation_details=details)).conflict


def test_missing_dimensions_are_found_ignoring_case() -> None:
    assert compare(LITRES, shown(dimensions=["Site", "pump"])).missing == ("line",)


def test_without_dimensions_there_all_of_ours_are_missing() -> None:
    assert compare(LITRES, shown(dimensions=None)).missing == ("site", "line")


def test_more_dimensions_there_are_fine() -> None:
    assert compare(LITRES, shown(dimensions=["site", "line", "pump"])) == Comparison()


@pytest.mark.parametrize(("present", "fits"), [(11, True), (12, False)])
def test_a_uom_holds_twelve_dimensions_at_most(present: int, fits: bool) -> None:  # noqa: FBT001 - a parameter
    dimensions = ["site", *(f"d{number}" for number in range(present - 1))]

    comparison = compare(LITRES, shown(dimensions=dimensions))

    assert (not comparison.conflict, comparison.missing) == (fits, ("line",))


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"name": "Liters"}, 'name is "Liters" there'),
        ({"description": "Water"}, "description is another one there"),
        ({"unit": {"name": "liter", "type": "number"}}, 'unit.name is "liter" there'),
        ({"metric_name": "PUMPED_litres"}, 'metric_name is "PUMPED_litres" there'),
        ({"name": "a\x1b[31m\nb"}, 'name is "a\\u001b[31m\\nb" there'),
    ],
)
def test_texts_for_people_are_noted_only(changes: dict[str, Any], note: str) -> None:
    assert compare(LITRES, shown(**changes)) == Comparison(notes=(note,))
