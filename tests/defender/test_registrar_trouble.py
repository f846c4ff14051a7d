"""Registering custom metrics while calls fail: what is settled all the same, what is left, and which error says so."""

from __future__ import annotations

from random import Random

import pytest

from defender.aws_account import ACCESS_DENIED, EXISTS, INTERNAL, MISSING, THROTTLED, URL, AwsAccount, error
from defender.registering import LOST, A, B, C, creates, registrar, short
from thingmeter.destinations.defender.control_plane import ControlPlane
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.defender.registrar import CustomMetricRegistrar
from thingmeter.destinations.https import Answer
from thingmeter.errors import DeliveryError, Denied, Throttled, Unanswered, Unreachable
from thingmeter.plans import Outcome, Step
from thingmeter.testing import ManualClock

NO_ROUTE = Unreachable("no route to host")
UNKNOWN_CALLER = error(403, "UnrecognizedClientException")


@pytest.fixture
def account() -> AwsAccount:
    """An account that has b and c, but not a."""
    made = AwsAccount()
    made.put("b", "string-list")
    made.put("c")
    return made


def register_in_part(
    account: AwsAccount, *wanted: CustomMetricDefinition, known: tuple[str, ...] = ()
) -> tuple[list[str], DeliveryError]:
    """Return the outcomes up to the error that ended the attempt, and that error."""
    one = registrar(account)
    outcomes: list[Outcome] = []
    with pytest.raises(DeliveryError) as raised:
        outcomes.extend(one.apply(one.plan(wanted, known)))
    return short(outcomes), raised.value


# While looking


@pytest.mark.parametrize(("answer", "ending"), [(THROTTLED, Throttled), (UNKNOWN_CALLER, Denied)])
def test_what_was_seen_before_the_looking_ended_is_carried_out(
    account: AwsAccount, answer: Answer, ending: type[DeliveryError]
) -> None:
    account.script["DescribeCustomMetric"].extend([None, answer])

    outcomes, ended = register_in_part(account, B, C, A)

    assert (outcomes, type(ended)) == (["b adopt registered"], ending)


def test_no_more_calls_are_made_once_the_service_asks_to_wait(account: AwsAccount) -> None:
    account.script["DescribeCustomMetric"].append(THROTTLED)

    outcomes, _ = register_in_part(account, A, B, C)

    assert (outcomes, creates(account)) == ([], [])
    assert account.calls == ["ListCustomMetrics", "DescribeCustomMetric b"]


def test_a_plan_that_was_cut_short_says_by_what(account: AwsAccount) -> None:
    account.script["DescribeCustomMetric"].extend([None, THROTTLED])

    plan = registrar(account).plan([B, C], ())

    assert plan.steps == (Step("b", "adopt"),)
    assert isinstance(plan.trouble, Throttled)
    assert plan.trouble.after_s == 7


def test_a_whole_plan_has_no_trouble(account: AwsAccount) -> None:
    assert registrar(account).plan([A, B, C], ()).trouble is None


def test_throttled_devices_come_to_an_end(account: AwsAccount) -> None:
    wanted = [CustomMetricDefinition(f"m{number}", "number") for number in range(20)]
    for each in wanted:
        account.put(each.name)
    account.script["DescribeCustomMetric"].extend([None, None, THROTTLED] * 10)
    known: tuple[str, ...] = ()

    while len(known) < len(wanted) - 2:
        outcomes, _ = register_in_part(account, *wanted, known=known)
        known = tuple({*known, *(outcome.split()[0] for outcome in outcomes)})

    assert account.script["DescribeCustomMetric"]  # two more of them with each attempt


@pytest.mark.parametrize(("failure", "kind"), [(INTERNAL, Unanswered), (LOST, Unanswered), (NO_ROUTE, Unreachable)])
def test_a_metric_that_cannot_be_described_does_not_stop_the_others(
    account: AwsAccount, failure: Answer | Exception, kind: type[Unreachable]
) -> None:
    account.script["DescribeCustomMetric"].append(failure)

    outcomes, ended = register_in_part(account, A, B, C)

    assert (outcomes, type(ended)) == (["a create registered", "c adopt registered"], kind)
    assert str(ended).startswith("b: ")


# While carrying out


@pytest.mark.parametrize("failure", [INTERNAL, LOST, NO_ROUTE, EXISTS])
def test_a_metric_that_cannot_be_created_does_not_stop_the_others(
    account: AwsAccount, failure: Answer | Exception
) -> None:
    account.script["CreateCustomMetric"].append(failure)

    outcomes, ended = register_in_part(account, A, B, CustomMetricDefinition("d", "number"))

    assert outcomes == ["b adopt registered", "d create registered"]
    assert str(ended).startswith("a: ")


def test_a_create_that_cannot_be_settled_does_not_stop_the_others(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(LOST)
    account.script["DescribeCustomMetric"].append(INTERNAL)

    outcomes, ended = register_in_part(account, A, CustomMetricDefinition("d", "number"))

    assert (outcomes, type(ended)) == (["d create registered"], Unanswered)


def test_metrics_with_one_failure_in_common_are_told_together(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].extend([NO_ROUTE] * 5)
    wanted = [CustomMetricDefinition(name, "number") for name in "vwxyz"]

    _, ended = register_in_part(account, *wanted)

    assert str(ended) == "v, w, x and 2 more: no route to host"


def test_throttling_goes_before_what_is_undecided(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].extend([NO_ROUTE, THROTTLED])

    _, ended = register_in_part(account, A, CustomMetricDefinition("d", "number"))

    assert isinstance(ended, Throttled)


# A second look at what is known


def look_again(account: AwsAccount, *, seed: int = 1) -> tuple[Step, ...]:
    one = CustomMetricRegistrar(ControlPlane(URL, account, ManualClock()), Random(seed))
    return one.plan([B, C], ["b", "c"]).steps


def test_of_what_is_unchanged_one_is_described(account: AwsAccount) -> None:
    look_again(account)

    assert len(account.calls) == 2


def test_every_one_has_its_turn(account: AwsAccount) -> None:
    for seed in range(20):
        look_again(account, seed=seed)

    assert {"DescribeCustomMetric b", "DescribeCustomMetric c"} <= set(account.calls)


def test_a_known_metric_that_was_made_anew_with_another_type_is_a_conflict(account: AwsAccount) -> None:
    account.put("b", "number")
    account.put("c", "string-list")

    actions = sorted(step.action for step in look_again(account))

    assert actions == ["conflict", "unchanged"]


def test_a_known_metric_that_is_gone_is_to_be_created(account: AwsAccount) -> None:
    account.script["DescribeCustomMetric"].append(MISSING)

    assert sorted(step.action for step in look_again(account)) == ["create", "unchanged"]


def test_another_display_name_of_a_known_metric_is_left(account: AwsAccount) -> None:
    account.put("a", display_name="An A")

    assert registrar(account).plan([A], ["a"]).steps == (Step("a", "unchanged"),)


@pytest.mark.parametrize("failure", [THROTTLED, INTERNAL, LOST, NO_ROUTE, ACCESS_DENIED, UNKNOWN_CALLER])
def test_a_second_look_that_fails_is_no_trouble(account: AwsAccount, failure: Answer | Exception) -> None:
    account.script["DescribeCustomMetric"].append(failure)

    plan = registrar(account).plan([B, C], ["b", "c"])

    assert ([step.action for step in plan.steps], plan.trouble) == (["unchanged"] * 2, None)


def test_a_device_with_something_to_register_takes_no_second_look(account: AwsAccount) -> None:
    registrar(account).plan([A, B, C], ["c"])

    assert account.calls == ["ListCustomMetrics", "DescribeCustomMetric b"]
