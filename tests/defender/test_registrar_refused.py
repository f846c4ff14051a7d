"""Registering custom metrics where the service refuses: the metric, the display name, an operation or us."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.aws_account import ACCESS_DENIED, INTERNAL, INVALID, LIMIT, MISSING, THROTTLED, URL, AwsAccount, error
from defender.registering import LOST, A, B, C, creates, register, registrar, short
from thingmeter.destinations.defender.control_plane import ControlPlane
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.defender.registrar import CustomMetricRegistrar
from thingmeter.destinations.https import Answer, Request
from thingmeter.errors import Denied, Throttled, Unreachable
from thingmeter.plans import Outcome
from thingmeter.testing import ManualClock


@pytest.fixture
def account() -> AwsAccount:
    """An account without custom metrics."""
    return AwsAccount()


# What the service will not have


def test_the_accounts_limit_refuses_what_it_concerns(account: AwsAccount) -> None:
    account.put("b", "string-list")
    account.script["CreateCustomMetric"].append(LIMIT)

    outcomes = register(account, A, B)

    assert short(outcomes) == ["a create refused", "b adopt registered"]
    assert outcomes[0].reason.startswith("the account has its 100 custom metrics: delete one there that nobody needs")


def test_a_full_account_is_not_asked_to_create_again(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(LIMIT)

    assert short(register(account, A, B, C)) == ["a create refused", "b create refused", "c create refused"]
    assert creates(account) == ["CreateCustomMetric a"]


def test_an_invalid_metric_is_refused_with_the_services_words(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(INVALID)

    outcomes = register(account, A, B)

    assert short(outcomes) == ["a create refused", "b create registered"]
    assert outcomes[0].reason.endswith("Invalid displayName")


def test_a_create_called_invalid_for_its_repeated_token_is_adopted(account: AwsAccount) -> None:
    one = registrar(account)
    planned = one.plan([C], ())
    account.put("c")
    account.script["CreateCustomMetric"].append(INVALID)

    assert list(one.apply(planned)) == [Outcome("c", "adopt", "registered")]


# What the service refuses us


def test_a_denied_create_is_not_asked_for_again(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(ACCESS_DENIED)

    assert short(register(account, A, B, C)) == ["a create denied", "b create denied", "c create denied"]
    assert creates(account) == ["CreateCustomMetric a"]


def test_a_denied_create_leaves_the_rest(account: AwsAccount) -> None:
    account.put("b", "string-list")
    account.script["CreateCustomMetric"].append(ACCESS_DENIED)

    assert short(register(account, A, B)) == ["a create denied", "b adopt registered"]


def test_an_error_in_no_model_denies(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(error(400, "FeatureClosedException", "Not available"))

    outcome = register(account, A)[0]

    assert (outcome.standing, "is Device Defender Detect open to this account" in outcome.reason) == ("denied", True)


def test_a_later_attempt_asks_again(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(ACCESS_DENIED)
    one = registrar(account)
    list(one.apply(one.plan([A], ())))

    assert short(list(one.apply(one.plan([A], ())))) == ["a create registered"]


def test_a_denied_list_denies_the_attempt(account: AwsAccount) -> None:
    account.script["ListCustomMetrics"].append(ACCESS_DENIED)

    with pytest.raises(Denied, match="allow iot:ListCustomMetrics in the policy"):
        registrar(account).plan([A], ())


def test_a_denied_describe_concerns_only_what_needs_it(account: AwsAccount) -> None:
    account.put("a")
    account.put("c")
    account.script["DescribeCustomMetric"].append(ACCESS_DENIED)

    assert short(register(account, A, B, C)) == ["a adopt denied", "b create registered", "c adopt denied"]
    assert account.calls == ["ListCustomMetrics", "DescribeCustomMetric a", "CreateCustomMetric b"]


def test_credentials_that_are_not_accepted_deny_the_attempt(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(error(403, "UnrecognizedClientException"))

    with pytest.raises(Denied):
        register(account, A)


def test_an_answer_that_a_create_does_not_have_points_at_the_endpoint(account: AwsAccount) -> None:
    account.script["CreateCustomMetric"].append(MISSING)

    outcomes = register(account, A, B)

    assert short(outcomes) == ["a create denied", "b create registered"]
    assert outcomes[0].reason.endswith("check the endpoint in [aws]")


# The display name


@pytest.mark.parametrize("failure", [ACCESS_DENIED, INVALID, INTERNAL, LOST])
def test_a_display_name_that_cannot_be_changed_leaves_the_metric_registered(
    account: AwsAccount, failure: Answer | Exception
) -> None:
    account.put("a", display_name="An A")
    account.script["UpdateCustomMetric"].append(failure)

    outcome = register(account, A)[0]

    assert (outcome.action, outcome.standing) == ("update", "registered")
    assert outcome.reason.startswith("AWS keeps showing another display name: ")


def test_a_denied_update_is_not_asked_for_again(account: AwsAccount) -> None:
    account.put("a", display_name="An A")
    account.put("d", display_name="A D")
    account.script["UpdateCustomMetric"].append(ACCESS_DENIED)

    outcomes = register(account, A, CustomMetricDefinition("d", "number", "The D"))

    assert short(outcomes) == ["a update registered", "d update registered"]
    assert account.calls.count("UpdateCustomMetric d") == 0


def test_a_metric_deleted_before_its_update_is_looked_at_again_later(account: AwsAccount) -> None:
    account.put("a", display_name="An A")
    account.script["UpdateCustomMetric"].append(MISSING)

    with pytest.raises(Unreachable, match="was deleted just now"):
        register(account, A)


def test_a_throttled_update_ends_the_attempt(account: AwsAccount) -> None:
    account.put("a", display_name="An A")
    account.script["UpdateCustomMetric"].append(THROTTLED)

    with pytest.raises(Throttled):
        register(account, A)


# Any answer

texts = st.text(max_size=10)
contents = st.fixed_dictionaries(
    {},
    optional={
        "metricNames": st.lists(st.sampled_from(["a", "b", "c"])) | texts,
        "nextToken": st.none() | texts,
        "metricName": st.sampled_from(["a", "b"]) | st.integers(),
        "metricType": st.sampled_from(["number", "string-list"]) | texts,
        "displayName": st.none() | texts,
        "message": texts,
        "__type": st.sampled_from(
            ["ResourceAlreadyExistsException", "ResourceNotFoundException", "AccessDeniedException", "LimitExceeded"]
        ),
    },
)
answers = st.builds(
    Answer,
    st.sampled_from([200, 200, 200, 302, 400, 403, 404, 409, 410, 429, 500]),
    st.just({}),
    contents.map(json.dumps).map(str.encode) | st.binary(max_size=20),
)


@given(scripted=st.lists(answers | st.sampled_from([LOST, Unreachable("no route")]), min_size=1, max_size=12))
def test_any_answers_end_in_outcomes_or_in_one_of_the_errors(scripted: list[Answer | Exception]) -> None:
    left = list(scripted)

    def exchange(_request: Request) -> Answer:
        current = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(current, Exception):
            raise current
        return current

    one = CustomMetricRegistrar(ControlPlane(URL, exchange, ManualClock()))
    with suppress(Throttled, Unreachable):
        for outcome in one.apply(one.plan([A, B, C], ["c"])):
            assert outcome.standing == "registered" or outcome.reason.isprintable()
