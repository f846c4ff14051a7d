"""Looking: where the filter misses what is there, and what is made of a look that comes to an early end."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from devrev.devrev_service import DevRevService, Reply, error, listing, one, uom
from devrev.uom_definitions import LITRES, applied_in_part
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.errors import DeliveryError, Denied, Throttled, Unanswered, Unreachable
from thingmeter.plans import Step
from thingmeter.registration.attempt import make

# A known UOM that the filter does not find


def test_a_known_uom_in_other_case_is_found_among_all(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(), listing(cursor="a"), listing(uom(metric_name="PUMPED_LITRES")))

    (step,) = registrar.plan([LITRES], ["pumped_litres"]).steps

    assert step.action == "unchanged"
    assert service.bodies("list") == [{"metric_names": ["pumped_litres"]}, {}, {"cursor": "a"}]


def test_a_known_uom_that_is_nowhere_is_to_be_created(service: DevRevService, registrar: UomRegistrar) -> None:
    assert registrar.plan([LITRES], ["pumped_litres"]).steps == (Step("pumped_litres", "create"),)
    assert service.calls == ["list", "list"]


def test_an_unknown_uom_is_not_looked_for_among_all(service: DevRevService, registrar: UomRegistrar) -> None:
    registrar.plan([LITRES], ["pump_hours"])

    assert service.calls == ["list"]


# A look that comes to an end too early

MANY = [replace(LITRES, metric_name=f"m{number}") for number in range(60)]


@pytest.mark.parametrize(
    ("reply", "ending"),
    [(error(429, Retry_After="9"), Throttled), (error(401), Denied), (error(500), Unreachable), (Reply(), Unanswered)],
)
def test_what_was_seen_is_planned_whatever_comes_of_the_rest(
    service: DevRevService, registrar: UomRegistrar, reply: Reply, ending: type[DeliveryError]
) -> None:
    service.script("list", listing(uom(metric_name="m7")), reply)

    plan = registrar.plan(MANY, ())

    assert [step.name for step in plan.steps] == [each.name for each in MANY[:50]]
    assert type(plan.trouble) is ending


def test_what_was_seen_before_devrev_asked_to_wait_is_settled_without_a_call(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    service.script("list", listing(uom(metric_name="m7")), error(429))

    outcomes, ended = applied_in_part(registrar, *MANY)

    assert ([(each.name, each.action) for each in outcomes], type(ended)) == ([("m7", "adopt")], Throttled)
    assert service.calls == ["list", "list"]


def test_what_was_seen_before_an_answer_got_lost_is_carried_out(
    service: DevRevService, registrar: UomRegistrar
) -> None:
    shown = [uom(metric_name=each.name) for each in MANY[1:50]]
    service.script("list", listing(*shown), error(500))
    service.script("create", one(uom(metric_name="m0")))

    outcomes, ended = applied_in_part(registrar, *MANY)

    assert [each.name for each in outcomes] == [each.name for each in MANY[:50]]
    assert str(ended).startswith("m50, m51, m52 and 7 more: DevRev answered uoms.list with 500")


def test_an_attempt_that_only_looks_says_what_was_seen_and_ends_in_the_trouble(
    service: DevRevService, account: Account
) -> None:
    service.script("list", listing(), error(429))
    said: list[object] = []
    document = {"service": "devrev", "account": asdict(account), "known": [], "apply": False, "gap_s": 0}
    definitions = [asdict(each) for each in MANY]

    with pytest.raises(Throttled):
        make(
            {**document, "definitions": definitions},
            {"devrev": "thingmeter.destinations.devrev.registrar"},
            said.append,
        )

    assert said == [Step(each.name, "create") for each in MANY[:50]]
