"""Updating: dimensions that DevRev lacks are added and nothing else, whatever it answers."""

from __future__ import annotations

import pytest

from devrev.devrev_service import SILENCE, DevRevService, Reply, error, listing, one, uom
from devrev.uom_definitions import HOURS, LITRES, applied, applied_in_part
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.errors import Unreachable
from thingmeter.plans import Outcome

NAME = "pumped_litres"


def test_missing_dimensions_are_added_and_nothing_else(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(dimensions=["SITE"], name="Another", description="Another")))
    service.script("update", one(uom(dimensions=["SITE", "line"]), 200))

    outcomes = applied(registrar)

    assert service.bodies("update") == [{"id": "don:core:dvrv-us-1:devo/0:uom/7", "dimensions": {"add": ["line"]}}]
    assert outcomes == [Outcome(NAME, "update", "registered")]


def test_an_updated_uom_may_be_disabled_all_the_same(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(dimensions=["site"], is_enabled=False)))
    service.script("update", one(uom(is_enabled=False), 200))

    (outcome,) = applied(registrar)

    assert (outcome.action, outcome.standing) == ("update", "disabled")


def test_an_update_whose_answer_shows_no_dimensions_is_believed(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    service.script("list", listing(uom(dimensions=["site"])))
    service.script("update", one(uom(dimensions=None), 200))

    assert applied(registrar) == [Outcome(NAME, "update", "registered")]


def test_an_accepted_update_that_shows_the_old_dimensions_stays_undecided(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    service.script("list", listing(uom(dimensions=["site"])))
    service.script("update", one(uom(dimensions=["site"]), 200))

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, type(ended)) == ([], Unreachable)
    assert "lacks the dimensions line even after an update that it accepted" in str(ended)


@pytest.mark.parametrize("reply", [error(400), error(409), error(500), SILENCE, Reply(200, b"OK"), error(422)])
def test_dimensions_that_another_device_added_meanwhile_are_fine(
    service: DevRevService, registrar: UomRegistrar, reply: Reply
) -> None:
    service.script("list", listing(uom(dimensions=["site"])), listing(uom()))
    service.script("update", reply)

    assert applied(registrar) == [Outcome(NAME, "update", "registered")]


@pytest.mark.parametrize(("status", "standing"), [(400, "refused"), (403, "denied"), (409, "denied"), (422, "denied")])
def test_a_refused_update_has_devrevs_words(
    service: DevRevService, registrar: UomRegistrar, status: int, standing: str
) -> None:
    lacking = listing(uom(dimensions=["site"]))
    service.script("list", lacking, lacking)
    service.script("update", error(status, "not so"))

    (outcome,) = applied(registrar)

    assert (outcome.action, outcome.standing) == ("update", standing)
    assert f"{status} not so" in outcome.reason


@pytest.mark.parametrize("reply", [error(500), SILENCE])
def test_an_unclear_update_stays_undecided(service: DevRevService, registrar: UomRegistrar, reply: Reply) -> None:
    lacking = listing(uom(dimensions=["site"]))
    service.script("list", lacking, lacking)
    service.script("update", reply)

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, type(ended), service.calls) == ([], Unreachable, ["list", "update", "list"])


def test_a_uom_that_vanished_before_its_update_stays_undecided(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(dimensions=["site"])), listing())
    service.script("update", error(404, "not found"))

    _, ended = applied_in_part(registrar)

    assert "does not show the UOM any more" in str(ended)


def test_a_uom_that_became_another_one_before_its_update_is_a_conflict(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    other = uom(aggregation_details={"aggregation_type": "latest"})
    service.script("list", listing(uom(dimensions=["site"])), listing(other))
    service.script("update", error(400))

    assert [each.standing for each in applied(registrar)] == ["conflict"]


def test_a_uom_without_an_id_cannot_be_updated(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(uom(dimensions=["site"], id=None)))

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, service.calls) == ([], ["list"])
    assert "without an id" in str(ended)


# A UOM without any dimensions: DevRev leaves the empty list out


@pytest.mark.parametrize(("status", "standing"), [(403, "denied"), (404, "denied"), (409, "denied"), (422, "denied")])
def test_a_refused_update_of_a_uom_without_dimensions_is_not_done(
    service: DevRevService, registrar: UomRegistrar, status: int, standing: str
) -> None:
    without = listing(uom(dimensions=None))
    service.script("list", without, without)
    service.script("update", error(status, "not so"))

    assert [each.standing for each in applied(registrar)] == [standing]


@pytest.mark.parametrize("reply", [error(500), SILENCE, Reply(200, b"OK")])
def test_an_unclear_update_of_a_uom_without_dimensions_stays_undecided(
    service: DevRevService, registrar: UomRegistrar, reply: Reply
) -> None:
    without = listing(uom(dimensions=None))
    service.script("list", without, without)
    service.script("update", reply)

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, type(ended)) == ([], Unreachable)


def refuse_update(service: DevRevService, *got: Reply) -> None:
    """Have DevRev call the update invalid, list no dimensions before and after it, and answer uoms.get so."""
    without = listing(uom(dimensions=None))
    service.script("list", without, without)
    service.script("update", error(400, "not so"))
    service.script("get", *got)


def test_dimensions_that_only_the_uom_itself_shows_are_there(service: DevRevService, registrar: UomRegistrar) -> None:
    refuse_update(service, one(uom(), 200))

    assert applied(registrar) == [Outcome(NAME, "update", "registered")]
    assert service.bodies("get") == [{"id": "don:core:dvrv-us-1:devo/0:uom/7"}]


@pytest.mark.parametrize("got", [one(uom(dimensions=None), 200), error(403), error(404)])
def test_dimensions_that_nothing_shows_are_refused(service: DevRevService, registrar: UomRegistrar, got: Reply) -> None:
    refuse_update(service, got)

    (outcome,) = applied(registrar)

    assert (outcome.standing, "400 not so: add them there" in outcome.reason) == ("refused", True)


@pytest.mark.parametrize("got", [error(500), SILENCE])
def test_without_an_answer_of_the_uom_itself_it_stays_undecided(
    service: DevRevService, registrar: UomRegistrar, got: Reply
) -> None:
    refuse_update(service, got)

    outcomes, ended = applied_in_part(registrar)

    assert (outcomes, type(ended)) == ([], Unreachable)


def test_a_uom_that_cannot_be_updated_does_not_stop_the_others(service: DevRevService, registrar: UomRegistrar) -> None:
    lacking = listing(uom(dimensions=["site"]))
    service.script("list", listing(uom(dimensions=["site"]), uom(metric_name="pump_hours")), lacking)
    service.script("update", SILENCE)

    outcomes, _ = applied_in_part(registrar, LITRES, HOURS)

    assert [each.name for each in outcomes] == ["pump_hours"]
