"""Applying a plan: what becomes of each UOM, whatever DevRev answers, and never two creates of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devrev.devrev_service import SILENCE, DevRevService, Reply, error, listing, one, uom
from devrev.uom_definitions import FULL, HOURS, LITRES, applied, applied_in_part
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.errors import Unreachable
from thingmeter.plans import Outcome

NAME = "pumped_litres"


# Creating


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_with_the_uom_registers_it(service: DevRevService, registrar: UomRegistrar, status: int) -> None:
    service.script("create", one(uom(), status))

    assert applied(registrar) == [Outcome(NAME, "create", "registered")]
    assert service.calls == ["list", "create"]


def test_a_create_says_all_that_is_declared(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", one(uom()))

    applied(registrar, FULL)

    assert service.bodies("create") == [
        {
            "metric_name": "pumped_litres",
            "name": "Litres pumped",
            "product_id": "PROD-1",
            "part_id": "CAPL-2",
            "description": "Water through the main pump",
            "unit": {"name": "litre", "type": "number"},
            "aggregation_detail": {"aggregation_type": "unique_count", "unique_dimension": "line"},
            "dimensions": ["site", "line"],
        }
    ]


def test_a_create_leaves_out_what_is_not_declared(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", one(uom(dimensions=None)))

    applied(registrar, replace(LITRES, dimensions=()))

    assert service.bodies("create") == [
        {
            "metric_name": "pumped_litres",
            "name": "Litres pumped",
            "product_id": "PROD-1",
            "unit": {"name": "litre", "type": "number"},
            "aggregation_detail": {"aggregation_type": "sum"},
        }
    ]


@pytest.mark.parametrize("content", [b"", b"OK", b"<html>", {}, {"uom": None}, {"uom": {}}, {"uom": uom(id=7)}, []])
def test_an_odd_success_is_believed_after_a_look(service: DevRevService, registrar: UomRegistrar, content: Any) -> None:
    service.script("create", Reply(201, content))
    service.script("list", listing(), listing(uom()))

    assert applied(registrar) == [Outcome(NAME, "create", "registered")]


def test_a_success_with_another_uom_is_believed_after_a_look(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", one(uom(metric_name="other")))
    service.script("list", listing(), listing(uom()))

    assert applied(registrar) == [Outcome(NAME, "create", "registered")]


def test_an_odd_success_that_no_look_confirms_stays_undecided(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", Reply(201, b"OK"))

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, type(ended)) == ([], Unreachable)
    assert "uoms.list does not show it" in str(ended)


def test_a_uom_that_comes_into_being_disabled_is_disabled(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", one(uom(is_enabled=False)))

    (outcome,) = applied(registrar)

    assert (outcome.action, outcome.standing) == ("create", "disabled")
    assert "switch it on there" in outcome.reason


def test_a_uom_for_users_is_registered_and_said_loudly(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", one(uom(metric_scope="user")))

    (outcome,) = applied(registrar)

    assert outcome.standing == "registered"
    assert "EVERY RECORD NEEDS A user_ref" in outcome.reason


# A create that DevRev does not take


@pytest.mark.parametrize("status", [400, 409])
def test_a_duplicate_is_adopted_when_it_is_equal(service: DevRevService, registrar: UomRegistrar, status: int) -> None:
    service.script("create", error(status, "already exists"))
    service.script("list", listing(), listing(uom()))

    assert applied(registrar) == [Outcome(NAME, "adopt", "registered")]


@pytest.mark.parametrize("status", [400, 409])
def test_a_duplicate_is_found_on_a_later_page(service: DevRevService, registrar: UomRegistrar, status: int) -> None:
    service.script("create", error(status))
    service.script("list", listing(), listing(cursor="a"), listing(uom()))

    assert applied(registrar) == [Outcome(NAME, "adopt", "registered")]
    assert service.bodies("list")[1:] == [
        {"metric_names": [NAME]},
        {"metric_names": [NAME], "cursor": "a"},
    ]


@pytest.mark.parametrize("status", [400, 409])
def test_a_duplicate_in_other_case_is_found_among_all(
    service: DevRevService, registrar: UomRegistrar, status: int
) -> None:
    service.script("create", error(status))
    service.script("list", listing(), listing(), listing(cursor="a"), listing(uom(metric_name="PUMPED_LITRES")))

    (outcome,) = applied(registrar)

    assert (outcome.action, outcome.standing) == ("adopt", "registered")
    assert service.bodies("list")[2:] == [{}, {"cursor": "a"}]


def test_all_uoms_are_listed_once_in_an_attempt(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", error(400, "bad"), error(400, "bad"))

    applied(registrar, LITRES, HOURS)

    assert service.bodies("list").count({}) == 1


@pytest.mark.parametrize("status", [400, 409])
def test_a_duplicate_that_is_another_uom_is_a_conflict(
    service: DevRevService, registrar: UomRegistrar, status: int
) -> None:
    service.script("create", error(status))
    service.script("list", listing(), listing(uom(unit={"name": "litre", "type": "boolean"})))

    (outcome,) = applied(registrar)

    assert (outcome.action, outcome.standing) == ("conflict", "conflict")
    assert 'unit.type is "boolean" there and "number" here' in outcome.reason


def test_a_duplicate_that_lacks_dimensions_gets_them(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", error(409))
    service.script("list", listing(), listing(uom(dimensions=["line"])))
    service.script("update", one(uom(), 200))

    assert applied(registrar) == [Outcome(NAME, "update", "registered")]


def test_an_invalid_uom_is_refused_with_devrevs_words(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", error(400, "Bad Request", "product_id: no such product"))

    (outcome,) = applied(registrar)

    assert outcome.standing == "refused"
    assert "400 Bad Request: product_id: no such product: correct [[devrev.uom]]" in outcome.reason


def test_a_refused_uom_does_not_stop_the_others(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", error(400, "bad"), one(uom(metric_name="pump_hours", name=None, unit=None)))

    outcomes = applied(registrar, LITRES, HOURS)

    assert [(each.name, each.standing) for each in outcomes] == [(NAME, "refused"), ("pump_hours", "registered")]


def test_a_duplicate_that_nothing_shows_is_denied_to_this_token(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    service.script("create", error(409, "exists"), one(uom(metric_name="pump_hours", name=None, unit=None)))

    outcomes = applied(registrar, LITRES, HOURS)

    assert [(each.name, each.standing) for each in outcomes] == [(NAME, "denied"), ("pump_hours", "registered")]
    assert "409 exists: the name is taken by a UOM that this token cannot see" in outcomes[0].reason


def test_a_create_whose_answer_shows_no_dimensions_is_believed(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", one(uom(dimensions=None)))

    assert applied(registrar) == [Outcome(NAME, "create", "registered")]
    assert service.calls == ["list", "create"]


def test_a_look_that_fails_after_a_create_does_not_stop_the_others(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    service.script("create", SILENCE, one(uom(metric_name="pump_hours", name=None, unit=None)))
    service.script("list", listing(), error(500))

    outcomes, ended = applied_in_part(registrar, LITRES, HOURS)

    assert [each.name for each in outcomes] == ["pump_hours"]
    assert str(ended).startswith(f"{NAME}: DevRev answered uoms.list with 500")


def test_a_uom_of_an_unknown_shape_after_a_create_stays_undecided(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    service.script("create", error(409))
    service.script("list", listing(), listing(uom(unit=5)))

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, "in a way that is not documented" in str(ended)) == ([], True)


@pytest.mark.parametrize("reply", [SILENCE, error(408), error(500), error(503), Reply(502, b"<html>")])
def test_an_unclear_create_that_was_carried_out_is_found(
    service: DevRevService, registrar: UomRegistrar, reply: Reply
) -> None:
    service.script("create", reply)
    service.script("list", listing(), listing(uom()))

    assert applied(registrar) == [Outcome(NAME, "create", "registered")]


@pytest.mark.parametrize("reply", [SILENCE, error(408), error(500), error(503), Reply(502, b"<html>")])
def test_an_unclear_create_is_never_sent_twice(service: DevRevService, registrar: UomRegistrar, reply: Reply) -> None:
    service.script("create", reply)

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, type(ended)) == ([], Unreachable)
    assert service.calls == ["list", "create", "list"]


def test_the_next_attempt_looks_before_it_creates_again(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", SILENCE)
    applied_in_part(registrar)
    service.script("list", listing(uom()))

    assert applied(registrar) == [Outcome(NAME, "adopt", "registered")]
    assert service.calls.count("create") == 1


# What takes no call


@pytest.mark.parametrize(
    ("changes", "action", "standing"),
    [
        ({}, "adopt", "registered"),
        ({"is_enabled": False}, "adopt", "disabled"),
        ({"product": {"id": "don:x", "display_id": "PROD-2"}}, "conflict", "conflict"),
    ],
)
def test_a_uom_that_is_there_takes_no_call(
    service: DevRevService, registrar: UomRegistrar, changes: dict[str, Any], action: str, standing: str
) -> None:
    service.script("list", listing(uom(**changes)))

    (outcome,) = applied(registrar)

    assert (outcome.action, outcome.standing, service.calls) == (action, standing, ["list"])


def test_a_conflict_says_what_to_do(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(aggregation_details={"aggregation_type": "maximum"})))

    (outcome,) = applied(registrar)

    assert outcome.reason == (
        'DevRev has another UOM of this name: aggregation_type is "maximum" there and "sum" here; '
        "its records are not sent until one of the two is changed"
    )
