"""Applying a plan: what ends the attempt, and what concerns one UOM only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devrev.devrev_service import DevRevService, Reply, error, listing, one, uom
from devrev.uom_definitions import HOURS, LITRES, applied, applied_in_part
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.errors import DeliveryError, Denied, Throttled, Unreachable

NAME = "pumped_litres"


def test_without_the_right_to_create_nothing_more_is_created(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", error(403, "Forbidden"))
    third = replace(LITRES, metric_name="third")
    service.script("list", listing(uom(metric_name="third")))

    outcomes = applied(registrar, LITRES, HOURS, third)

    assert [each.standing for each in outcomes] == ["denied", "denied", "registered"]
    assert service.calls == ["list", "create"]


def test_without_the_right_to_update_nothing_more_is_updated(service: DevRevService, registrar: UomRegistrar) -> None:
    lacking = [uom(dimensions=["site"]), uom(metric_name="pump_hours", dimensions=["site"])]
    service.script("list", listing(*lacking))
    service.script("update", error(403, "Forbidden"))

    outcomes = applied(registrar, LITRES, HOURS)

    assert [each.standing for each in outcomes] == ["denied", "denied"]
    assert service.calls == ["list", "update"]


@pytest.mark.parametrize("status", [402, 404, 405, 422])
def test_a_create_refused_in_an_unknown_way_is_denied_and_the_others_go_on(
    service: DevRevService, registrar: UomRegistrar, status: int
) -> None:
    service.script("create", error(status, "no"), one(uom(metric_name="pump_hours", name=None, unit=None)))

    outcomes = applied(registrar, LITRES, HOURS)

    assert [each.standing for each in outcomes] == ["denied", "registered"]
    assert f"{status} no" in outcomes[0].reason


@pytest.mark.parametrize(
    ("reply", "ending"),
    [
        (error(401, "expired"), Denied),
        (error(429, Retry_After="5"), Throttled),
        (Reply(403, b"<html>", {"Content-Type": "text/html"}), Unreachable),
        (Reply(302, b""), Unreachable),
        (error(407), Unreachable),
    ],
)
def test_what_concerns_every_call_ends_the_attempt(
    service: DevRevService, registrar: UomRegistrar, reply: Reply, ending: type[DeliveryError]
) -> None:
    service.script("create", one(uom()), reply)

    outcomes, ended = applied_in_part(registrar, LITRES, HOURS)

    assert ([each.name for each in outcomes], type(ended)) == ([NAME], ending)
    assert service.calls == ["list", "create", "create"]


def test_outcomes_come_as_soon_as_they_are_known(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("create", one(uom()))
    outcomes = registrar.apply(registrar.plan([LITRES, HOURS], ()))

    next(outcomes)

    assert service.calls == ["list", "create"]
