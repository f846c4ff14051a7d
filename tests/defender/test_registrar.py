"""Registering custom metrics: what is asked, what is changed, and how races and lost answers end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from defender.aws_account import EXISTS, INTERNAL, MISSING, THROTTLED, AwsAccount, answer
from defender.registering import LOST, A, B, C, creates, register, registrar, short
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.https import Answer
from thingmeter.errors import Throttled, Unanswered, Unreachable
from thingmeter.plans import Outcome, Step

CONFLICT = (
    "a is registered as string-list, here it is number; a type cannot be changed: give it another name here, or "
    "delete the old one in AWS"
)


@pytest.fixture
def account() -> AwsAccount:
    """An account without custom metrics."""
    return AwsAccount()


def plan(account: AwsAccount, *wanted: CustomMetricDefinition, known: Sequence[str] = ()) -> tuple[Step, ...]:
    return registrar(account).plan(wanted, known).steps


# What is planned


def test_what_the_account_lacks_is_to_be_created(account: AwsAccount) -> None:
    assert plan(account, A, B) == (Step("a", "create"), Step("b", "create"))


def test_what_the_account_has_is_to_be_adopted(account: AwsAccount) -> None:
    account.put("a", display_name="The A")

    assert plan(account, A) == (Step("a", "adopt"),)


def test_what_the_account_has_and_this_device_knows_is_unchanged(account: AwsAccount) -> None:
    account.put("a")

    assert plan(account, A, known=["a"]) == (Step("a", "unchanged"),)


def test_what_this_device_knows_and_the_account_lacks_is_to_be_created(account: AwsAccount) -> None:
    assert plan(account, A, known=["a"]) == (Step("a", "create"),)


def test_another_display_name_is_to_be_updated(account: AwsAccount) -> None:
    account.put("a", display_name="An A")

    assert plan(account, A) == (Step("a", "update", "the display name: An A becomes The A"),)


def test_a_display_name_is_left_where_none_is_configured(account: AwsAccount) -> None:
    account.put("c", display_name="A name by hand")

    assert plan(account, C) == (Step("c", "adopt"),)


def test_another_type_is_a_conflict(account: AwsAccount) -> None:
    account.put("a", "string-list", display_name="An A")

    assert plan(account, A) == (Step("a", "conflict", CONFLICT),)


def test_what_is_deleted_between_list_and_describe_is_to_be_created(account: AwsAccount) -> None:
    account.put("a")
    account.script["DescribeCustomMetric"].append(MISSING)

    assert plan(account, A) == (Step("a", "create"),)


def test_a_plan_changes_nothing(account: AwsAccount) -> None:
    account.put("a", display_name="An A")

    plan(account, A, B)

    assert account.calls == ["ListCustomMetrics", "DescribeCustomMetric a"]


def test_metrics_on_later_pages_are_seen() -> None:
    account = AwsAccount(page_size=1)
    account.put("0")
    account.put("b", "string-list")

    assert plan(account, B) == (Step("b", "adopt"),)


def test_nothing_to_register_asks_nothing(account: AwsAccount) -> None:
    assert (plan(account), account.calls) == ((), [])


# What comes of it


def test_creating_registers(account: AwsAccount) -> None:
    assert register(account, A) == [Outcome("a", "create", "registered")]


def test_all_that_is_declared_is_registered(account: AwsAccount) -> None:
    register(account, CustomMetricDefinition("a", "number", "The A", (("team", "pumps"),)))

    assert account.metrics["a"] == {
        "metricType": "number",
        "displayName": "The A",
        "tags": [{"Key": "team", "Value": "pumps"}],
        "clientRequestToken": A.request_token(),
    }


def test_adopting_asks_nothing_more(account: AwsAccount) -> None:
    account.put("a", display_name="The A")

    assert register(account, A) == [Outcome("a", "adopt", "registered")]
    assert account.calls == ["ListCustomMetrics", "DescribeCustomMetric a"]


def test_updating_changes_the_display_name(account: AwsAccount) -> None:
    account.put("a", display_name="An A")

    assert register(account, A) == [Outcome("a", "update", "registered")]
    assert account.metrics["a"]["displayName"] == "The A"


def test_a_conflict_changes_nothing_and_stops_nothing(account: AwsAccount) -> None:
    account.put("a", "string-list")

    assert register(account, A, B) == [
        Outcome("a", "conflict", "conflict", CONFLICT),
        Outcome("b", "create", "registered"),
    ]
    assert account.metrics["a"]["metricType"] == "string-list"


def test_registering_again_creates_nothing(account: AwsAccount) -> None:
    register(account, A, B)

    assert short(register(account, A, B)) == ["a adopt registered", "b adopt registered"]


def test_outcomes_come_one_by_one(account: AwsAccount) -> None:
    one = registrar(account)
    outcomes = one.apply(one.plan([A, B], ()))

    next(outcomes)

    assert creates(account) == ["CreateCustomMetric a"]


# Lost races and lost answers


def test_a_create_by_another_device_at_the_same_time_is_adopted(account: AwsAccount) -> None:
    one = registrar(account)
    planned = one.plan([C], ())
    account.put("c")

    assert list(one.apply(planned)) == [Outcome("c", "adopt", "registered")]


def test_a_create_by_an_equal_device_at_the_same_time_is_the_same_create(account: AwsAccount) -> None:
    one, other = registrar(account), registrar(account)
    planned = one.plan([A], ()), other.plan([A], ())

    assert [*one.apply(planned[0]), *other.apply(planned[1])] == [Outcome("a", "create", "registered")] * 2


def test_a_create_by_another_hand_with_another_display_name_is_updated(account: AwsAccount) -> None:
    one = registrar(account)
    planned = one.plan([A], ())
    account.put("a", display_name="An A")

    assert list(one.apply(planned)) == [Outcome("a", "update", "registered")]


def test_a_create_by_another_hand_with_another_type_is_a_conflict(account: AwsAccount) -> None:
    one = registrar(account)
    planned = one.plan([A], ())
    account.put("a", "string-list")

    assert list(one.apply(planned)) == [Outcome("a", "conflict", "conflict", CONFLICT)]


def test_a_name_that_is_taken_and_then_is_not_is_looked_at_again_later(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(EXISTS)

    with pytest.raises(Unreachable, match="looks again"):
        register(account, A)


@pytest.mark.parametrize("lost", [LOST, INTERNAL, answer(200, {})], ids=["no answer", "500", "an odd answer"])
def test_a_create_that_was_carried_out_without_an_answer_is_registered(
    account: AwsAccount, lost: Answer | Exception
) -> None:
    one = registrar(account)
    planned = one.plan([A], ())
    account.put("a", display_name="The A")
    account.script["CreateCustomMetric"].append(lost)

    assert list(one.apply(planned)) == [Outcome("a", "adopt", "registered")]


@pytest.mark.parametrize("lost", [LOST, INTERNAL])
def test_a_create_that_got_lost_ends_the_attempt(account: AwsAccount, lost: Answer | Exception) -> None:
    account.script["CreateCustomMetric"].append(lost)

    with pytest.raises(Unanswered):
        register(account, A)


def test_nothing_is_created_twice_in_one_attempt(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(LOST)

    with suppress(Unanswered):
        register(account, A)

    assert creates(account) == ["CreateCustomMetric a"]


def test_what_was_registered_before_an_attempt_ended_is_known(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].extend([None, THROTTLED])
    one = registrar(account)
    outcomes = one.apply(one.plan([A, B, C], ()))

    first = next(outcomes)
    with pytest.raises(Throttled):
        next(outcomes)

    assert first == Outcome("a", "create", "registered")


def test_throttling_ends_the_attempt_with_the_time_to_wait(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(THROTTLED)

    with pytest.raises(Throttled) as raised:
        register(account, A, B)

    assert (raised.value.after_s, creates(account)) == (7, ["CreateCustomMetric a"])
