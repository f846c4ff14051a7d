from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.devrev_caller import LITRES, Caller, caller_on, content
from thingmeter.sandbox.devrev import DevRev, Fault, Switches
from thingmeter.testing import ManualClock


@pytest.fixture
def caller(clock: ManualClock) -> Caller:
    return caller_on(clock)


def is_created(caller: Caller) -> bool:
    return caller.devrev.uoms.named("litres") is not None


@pytest.mark.parametrize("kind", ["error after", "oversized", "not JSON", "no body"])
def test_a_call_whose_answer_is_spoilt_was_carried_out(caller: Caller, kind: Any) -> None:
    caller.switches.faults = [Fault(kind)]

    caller.ask("uoms.create", LITRES)

    assert is_created(caller)


@pytest.mark.parametrize("kind", ["error before", "throttled", "html", "redirect"])
def test_a_call_that_is_answered_in_its_place_was_not_carried_out(caller: Caller, kind: Any) -> None:
    caller.switches.faults = [Fault(kind)]

    caller.ask("uoms.create", LITRES)

    assert not is_created(caller)


@pytest.mark.parametrize("kind", ["error before", "error after"])
@pytest.mark.parametrize(
    ("status", "name"), [(500, "internal_error"), (502, "internal_error"), (503, "service_unavailable")]
)
def test_an_error_of_the_server_has_the_type_of_its_status(caller: Caller, kind: Any, status: int, name: str) -> None:
    caller.switches.faults = [Fault(kind, status=status)]

    answer = caller.ask("uoms.create", LITRES)

    assert (answer.status, content(answer)["type"]) == (status, name)


def test_a_proxy_answers_a_page(caller: Caller) -> None:
    caller.switches.faults = [Fault("html")]

    answer = caller.ask("uoms.list")

    assert (answer.status, answer.headers["content-type"], answer.body[:6]) == (502, "text/html", b"<html>")


def test_a_redirect_leads_to_another_host(caller: Caller) -> None:
    caller.switches.faults = [Fault("redirect")]

    answer = caller.ask("uoms.list")

    assert (answer.status, answer.headers["location"]) == (302, "https://sign-in.example.net/?next=devrev")


def test_a_proxy_asks_for_no_token(caller: Caller) -> None:
    caller.switches.faults = [Fault("html")]

    assert caller.ask("uoms.list", headers={}).status == 502


def test_an_oversized_answer_is_as_large_as_the_fault_says(caller: Caller) -> None:
    caller.switches.faults = [Fault("oversized", padding_bytes=3_000_000)]

    answer = caller.ask("uoms.list")

    assert len(answer.body) > 3_000_000


def test_an_answer_that_is_no_json_breaks_off(caller: Caller) -> None:
    caller.switches.faults = [Fault("not JSON")]

    answer = caller.ask("uoms.create", LITRES)

    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


def test_an_answer_without_a_body_keeps_its_status(caller: Caller) -> None:
    caller.switches.faults = [Fault("no body")]

    answer = caller.ask("uoms.create", LITRES)

    assert (answer.status, answer.body) == (201, b"")


def test_a_throttled_call_is_asked_to_wait_as_long_as_the_fault_says(caller: Caller) -> None:
    caller.switches.faults = [Fault("throttled", after_s=7)]

    assert content(caller.ask("uoms.list"))["retry_after"] == 7


def test_a_fault_strikes_its_operation_only(caller: Caller) -> None:
    caller.switches.faults = [Fault("error before", operation="uoms.create")]

    statuses = (caller.ask("uoms.list").status, caller.ask("uoms.create", LITRES).status)

    assert statuses == (200, 500)


def test_a_fault_strikes_as_often_as_it_says(caller: Caller) -> None:
    caller.switches.faults = [Fault("error before", remaining=2)]

    assert [caller.ask("uoms.list").status for _ in range(3)] == [500, 500, 200]


def test_a_call_that_is_not_its_own_uses_no_fault_up(caller: Caller) -> None:
    caller.switches.faults = [Fault("error before", operation="uoms.create", remaining=1)]
    caller.ask("uoms.list")

    assert caller.ask("uoms.create", LITRES).status == 500


def test_faults_strike_one_after_the_other(caller: Caller) -> None:
    caller.switches.faults = [Fault("error before", remaining=1), Fault("throttled", remaining=1)]

    assert [caller.ask("uoms.list").status for _ in range(3)] == [500, 429, 200]


def test_an_unauthorized_call_is_refused_before_an_error_strikes(caller: Caller) -> None:
    caller.switches.faults = [Fault("error before")]

    assert caller.ask("uoms.list", headers={}).status == 401


def test_a_fault_stands_in_the_record_of_the_call(caller: Caller) -> None:
    caller.switches.faults = [Fault("error after", status=503)]

    caller.ask("uoms.create", LITRES)

    [call] = caller.devrev.calls.all()
    assert (call.status, call.name, call.words) == (503, "litres", "Service unavailable")


def test_switches_are_those_that_were_given(clock: ManualClock) -> None:
    switches = Switches(create_status=200)

    assert DevRev(clock, switches).switches is switches
