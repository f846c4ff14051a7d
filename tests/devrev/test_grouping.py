"""Which samples feed a UOM, whom they are billed to, and which UOM can never be right."""

from __future__ import annotations

from typing import Any

import pytest

from thingmeter.config.settings import AggregationType, DevRev, Unit, Uom
from thingmeter.destinations.devrev.grouping import Misfit, Projection, mistake_in
from thingmeter.destinations.devrev.points import Group
from thingmeter.metrics import Metric

NUMBER, BOOLEAN = Unit(name="litre", type="number"), Unit(name="on", type="boolean")
KNOWN = {
    "pump.litres": Metric("pump.litres", "l", kind="counter", dimensions=("site", "line")),
    "pump.pressure": Metric("pump.pressure", "bar", dimensions=("site",)),
    "pump.is_on": Metric("pump.is_on", "1", type="boolean"),
    "pump.firmware": Metric("pump.firmware", "1", type="text"),
    "pump.peer": Metric("pump.peer", "1", type="address"),
}


def uom(aggregation_type: AggregationType = "sum", unit: Unit = NUMBER, **settings: Any) -> Uom:
    required: dict[str, Any] = {"metric_name": "pumped_litres", "name": "Litres", "product_id": "PROD-1"}
    return Uom(aggregation_type=aggregation_type, unit=unit, **required | settings)


def projection(settings: Uom | None = None, **defaults: Any) -> Projection:
    return Projection(settings or uom(), DevRev(**({"account_ref": "ACC-1"} | defaults)))


def test_the_samples_of_its_metric_feed_a_uom() -> None:
    feeding = projection(uom(from_="pump.litres"))

    assert feeding.takes("pump.litres", ())
    assert not feeding.takes("pumped_litres", ())


def test_without_from_a_uom_is_fed_under_its_own_name() -> None:
    assert projection().takes("pumped_litres", ())


def test_only_samples_with_the_dimensions_of_where_count() -> None:
    feeding = projection(uom(from_="pump.litres", where={"line": "1"}))

    assert feeding.takes("pump.litres", (("line", "1"), ("site", "n")))
    assert not feeding.takes("pump.litres", (("line", "2"), ("site", "n")))
    assert not feeding.takes("pump.litres", ())


def test_an_undeclared_dimension_is_projected_away_and_a_missing_one_left_out() -> None:
    grouping = projection(uom(dimensions=("site", "line")))

    assert grouping.group((("serial", "9"), ("site", "n"))) == Group(
        "pumped_litres", "ACC-1", dimensions=(("site", "n"),)
    )


def test_dimensions_are_sorted_however_they_are_declared() -> None:
    grouping = projection(uom(dimensions=("site", "line")))

    assert grouping.group((("line", "1"), ("site", "n"))) == Group(
        "pumped_litres", "ACC-1", dimensions=(("line", "1"), ("site", "n"))
    )


def test_references_come_from_the_uom_or_else_from_devrev() -> None:
    grouping = projection(uom(account_ref="ACC-2", user_ref="USER-2"), org_ref="ORG-1", user_ref="USER-1")

    assert grouping.group(()) == Group("pumped_litres", "ACC-2", "ORG-1", "USER-2")


def test_references_are_read_from_dimensions_whether_these_are_declared_or_not() -> None:
    named = uom(
        dimensions=("customer",), account_dimension="customer", org_dimension="company", user_dimension="operator"
    )

    group = projection(named).group((("company", "o"), ("customer", "a"), ("operator", "u")))

    assert group == Group("pumped_litres", "a", "o", "u", (("customer", "a"),))


def test_nobody_else_is_billed_when_the_dimension_that_names_the_account_is_missing() -> None:
    misfit = projection(uom(account_dimension="customer")).group(())

    assert misfit == Misfit(Group("pumped_litres", ""), "the dimension customer, which names the account, is missing")


def test_an_empty_account_is_none() -> None:
    assert isinstance(projection(uom(account_dimension="customer")).group((("customer", ""),)), Misfit)


def test_without_any_account_a_sample_cannot_be_billed() -> None:
    assert projection(account_ref="").group(()) == Misfit(Group("pumped_litres", ""), "no account_ref")


def test_an_organisation_or_user_that_no_dimension_names_is_left_out() -> None:
    grouping = projection(uom(org_dimension="company", user_dimension="operator"), org_ref="ORG-1")

    assert grouping.group(()) == Group("pumped_litres", "ACC-1")


def test_a_sample_without_the_unique_dimension_counts_for_nothing_and_is_kept_apart() -> None:
    misfit = projection(uom("unique_count", dimensions=("line",), unique_dimension="line")).group(())

    assert misfit == Misfit(Group("pumped_litres", "ACC-1"), "the dimension line, whose values are counted, is missing")


@pytest.mark.parametrize(("length", "kind"), [(256, Group), (257, Misfit)])
def test_a_dimension_longer_than_devrev_takes_is_kept_apart(length: int, kind: type[Group | Misfit]) -> None:
    assert isinstance(projection(uom(dimensions=("site",))).group((("site", "x" * length),)), kind)


def test_an_undeclared_dimension_may_have_any_length() -> None:
    assert projection().group((("site", "x" * 300),)) == Group("pumped_litres", "ACC-1")


@pytest.mark.parametrize(("value", "expected"), [(True, "1.0"), (False, "0.0"), (3, "3"), (2.5, "2.5")])
def test_a_number_or_boolean_becomes_what_devrev_takes(value: float, expected: str) -> None:
    assert repr(projection().number(value)) == expected


@pytest.mark.parametrize("value", ["3", float("nan"), float("-inf"), 10**400, ()])
def test_what_no_double_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="pumped_litres"):
        projection().number(value)


@pytest.mark.parametrize("value", [2, 0.5, -1])
def test_a_boolean_unit_takes_nothing_but_nought_and_one(value: float) -> None:
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        projection(uom("latest", BOOLEAN)).number(value)


@pytest.mark.parametrize("aggregation_type", ["unique_count", "running_total"])
def test_where_the_value_is_not_sent_a_boolean_unit_takes_any_number(aggregation_type: AggregationType) -> None:
    assert projection(uom(aggregation_type, BOOLEAN)).number(7) == 7


@pytest.mark.parametrize(
    "fine",
    [
        uom(),
        uom(from_="pump.litres", dimensions=("site", "line"), where={"line": "1"}, maximum_increase=5.0),
        uom("maximum", from_="pump.litres"),
        uom("duration", BOOLEAN, from_="pump.is_on"),
        uom("sum", from_="pump.is_on"),
        uom("unique_count", BOOLEAN, from_="pump.pressure", dimensions=("site",), unique_dimension="site"),
        uom("latest", from_="pump.pressure", account_dimension="site"),
    ],
)
def test_a_uom_that_fits_has_no_mistake(fine: Uom) -> None:
    assert mistake_in(fine, KNOWN) == ""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (uom(from_="pumpe.litres"), "no collector pumpe runs; a table [collectors.pumpe] starts one"),
        (uom(from_="pump.liters"), "collector pump has no metric liters; did you mean pump.litres?"),
        (uom(from_="pump.voltage"), "collector pump has no metric voltage"),
        (uom(from_="pump.firmware"), "pump.firmware is of type text; a UOM takes number or boolean"),
        (uom("latest", from_="pump.peer"), "pump.peer is of type address; a UOM takes number or boolean"),
        (
            uom("latest", BOOLEAN, from_="pump.pressure"),
            "pump.pressure is of type number; a boolean unit takes boolean",
        ),
        (uom(unit=BOOLEAN), "a sum of booleans is no boolean: a unit of type number takes it, or duration says how"),
        (uom("duration", from_="pump.litres"), "pump.litres is a counter; duration takes what is on and off"),
        (uom("running_total", from_="pump.litres"), "pump.litres is a counter; running_total takes what is on and off"),
        (
            uom(from_="pump.pressure", maximum_increase=1.0),
            "maximum_increase bounds what a counter adds to a sum; pump",
        ),
        (uom("latest", from_="pump.litres", maximum_increase=1.0), "maximum_increase bounds what a counter adds to a"),
        (uom(from_="pump.litres", dimensions=("Line",)), "pump.litres has no dimension Line; did you mean line?"),
        (uom(from_="pump.pressure", where={"line": "1"}), "pump.pressure has no dimension line; its dimensions: site"),
        (uom(from_="pump.is_on", account_dimension="c"), "pump.is_on has no dimension c; its dimensions: none"),
        (uom(from_="pump.is_on", org_dimension="o"), "pump.is_on has no dimension o; its dimensions: none"),
        (uom(from_="pump.is_on", user_dimension="u"), "pump.is_on has no dimension u; its dimensions: none"),
    ],
)
def test_a_mistake_says_what_it_is_and_what_is_there(wrong: Uom, words: str) -> None:
    assert mistake_in(wrong, KNOWN).startswith(words)
