"""Planning: one look at DevRev, every page of it, a step for each UOM, and nothing changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devrev.devrev_service import DevRevService, Reply, listing, uom
from devrev.uom_definitions import HOURS, LITRES
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.destinations.devrev.uoms import MAXIMUM_PAGES
from thingmeter.errors import Unreachable
from thingmeter.plans import Step


def test_a_uom_that_devrev_lacks_is_to_be_created(registrar: UomRegistrar) -> None:
    assert registrar.plan([LITRES], ()).steps == (Step("pumped_litres", "create"),)


def test_an_equal_uom_is_to_be_adopted(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom()))

    assert registrar.plan([LITRES], ()).steps == (Step("pumped_litres", "adopt"),)


def test_an_equal_uom_that_this_device_knows_is_unchanged(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom()))

    assert registrar.plan([LITRES], ["pumped_litres"]).steps == (Step("pumped_litres", "unchanged"),)


def test_missing_dimensions_are_to_be_added(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(dimensions=["site"])))

    assert registrar.plan([LITRES], ()).steps == (Step("pumped_litres", "update", "adds the dimensions line"),)


def test_another_uom_of_the_name_is_a_conflict_even_if_it_was_known(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    service.script("list", listing(uom(aggregation_details={"aggregation_type": "maximum"})))

    (step,) = registrar.plan([LITRES], ["pumped_litres"]).steps

    assert step.action == "conflict"
    assert 'aggregation_type is "maximum" there and "sum" here' in step.reason


def test_a_disabled_uom_is_said_to_be_so_in_the_plan(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(is_enabled=False)))

    (step,) = registrar.plan([LITRES], ["pumped_litres"]).steps

    assert (step.action, "is_enabled is false" in step.reason) == ("unchanged", True)


def test_names_are_compared_ignoring_case(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(metric_name="Pumped_LITRES")))

    (step,) = registrar.plan([LITRES], ()).steps

    assert (step.action, step.reason) == ("adopt", 'left as it is: metric_name is "Pumped_LITRES" there')


def test_steps_keep_the_order_of_the_definitions(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom()))

    steps = registrar.plan([HOURS, LITRES], ()).steps

    assert [(step.name, step.action) for step in steps] == [("pump_hours", "create"), ("pumped_litres", "adopt")]


def test_planning_takes_one_call(service: DevRevService, registrar: UomRegistrar) -> None:
    registrar.plan([LITRES, HOURS], ())

    assert service.calls == ["list"]
    assert service.bodies("list") == [{"metric_names": ["pumped_litres", "pump_hours"]}]


def test_without_definitions_nothing_is_asked(service: DevRevService, registrar: UomRegistrar) -> None:
    assert (registrar.plan([], ()).steps, service.calls) == ((), [])


def test_many_names_are_asked_for_in_parts(service: DevRevService, registrar: UomRegistrar) -> None:
    definitions = [replace(LITRES, metric_name=f"m{number}") for number in range(120)]
    service.script("list", listing(uom(metric_name="m0")), listing(uom(metric_name="m50")), listing())

    steps = registrar.plan(definitions, ()).steps

    assert [len(body["metric_names"]) for body in service.bodies("list")] == [50, 50, 20]
    assert [step.name for step in steps if step.action == "adopt"] == ["m0", "m50"]


def test_every_page_is_read(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(cursor="a"), listing(uom(metric_name="other"), cursor="b"), listing(uom()))

    (step,) = registrar.plan([LITRES], ()).steps

    assert step.action == "adopt"
    assert [body.get("cursor") for body in service.bodies("list")] == [None, "a", "b"]


def test_an_empty_cursor_is_the_end(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(cursor=""))

    registrar.plan([LITRES], ())

    assert service.calls == ["list"]


def test_a_cursor_that_repeats_is_unreachable(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(cursor="a"), listing(cursor="b"), listing(cursor="a"))

    with pytest.raises(Unreachable, match="came back to a page"):
        registrar.plan([LITRES], ())


def test_a_listing_without_end_is_unreachable(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", *(listing(cursor=str(number)) for number in range(MAXIMUM_PAGES + 1)))

    with pytest.raises(Unreachable, match="did not end after 1000 pages"):
        registrar.plan([LITRES], ())
    assert len(service.calls) == MAXIMUM_PAGES


def test_the_token_goes_with_its_scheme_and_the_scope(service: DevRevService, registrar: UomRegistrar) -> None:
    registrar.plan([LITRES], ())

    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", "/uoms.list")
    assert asked.headers["authorization"] == "Bearer t0ken"
    assert asked.headers["x-devrev-scope"] == "beta"
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize("shown", [[], "x", 1, None, {}, {"uoms": None}, {"uoms": {}}, {"uoms": [1]}, {"uoms": ["x"]}])
def test_a_success_that_is_no_list_is_unreachable(service: DevRevService, registrar: UomRegistrar, shown: Any) -> None:
    service.script("list", Reply(200, shown))

    with pytest.raises(Unreachable, match="something else than a list of UOMs"):
        registrar.plan([LITRES], ())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"uoms": [], "next_cursor": 5}'])
def test_a_success_that_cannot_be_read_is_unreachable(
    service: DevRevService, registrar: UomRegistrar, body: bytes
) -> None:
    service.script("list", Reply(200, body))

    with pytest.raises(Unreachable, match="something else than a list of UOMs"):
        registrar.plan([LITRES], ())


def test_a_success_of_a_captive_portal_is_unreachable(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", Reply(200, b"<html>Log in</html>", {"Content-Type": "text/html"}))

    with pytest.raises(Unreachable, match=r"a web page: is a proxy in between\?"):
        registrar.plan([LITRES], ())


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregation_details": "sum"},
        {"aggregation_details": {"aggregation_type": 1}},
        {"unit": ["number"]},
        {"dimensions": "site"},
        {"dimensions": [1]},
        {"is_enabled": "no"},
        {"product": "PROD-1"},
        {"id": 7},
    ],
)
def test_a_uom_of_ours_in_another_shape_stays_undecided(
    service: DevRevService, registrar: UomRegistrar, changes: dict[str, Any]
) -> None:
    service.script("list", listing(uom(**changes)))

    plan = registrar.plan([LITRES, HOURS], ())

    assert plan.steps == (Step("pump_hours", "create"),)
    assert str(plan.trouble).startswith("pumped_litres: DevRev's uoms.list shows it in a way that is not documented")


def test_uoms_of_others_may_have_any_shape(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing({}, {"metric_name": 5}, uom(metric_name="other", unit=5), uom()))

    assert registrar.plan([LITRES], ()).steps[0].action == "adopt"


@pytest.mark.parametrize(
    "left_out",
    ["id", "name", "is_enabled", "metric_scope", "aggregation_details", "unit", "product", "description"],
)
def test_what_devrev_leaves_out_is_no_difference(
    service: DevRevService, registrar: UomRegistrar, left_out: str
) -> None:
    service.script("list", listing(uom(**{left_out: None})))

    assert registrar.plan([LITRES], ()).steps == (Step("pumped_litres", "adopt"),)
