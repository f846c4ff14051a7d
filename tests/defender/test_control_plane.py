"""The four calls: every request as the SDK's service model has it, and what is read of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.aws_account import (
    ACCESS_DENIED,
    EXISTS,
    INTERNAL,
    INVALID,
    MISSING,
    THROTTLED,
    URL,
    AwsAccount,
    answer,
)
from defender.service_model import mistakes_in
from thingmeter.destinations.answers import Refusal
from thingmeter.destinations.defender.control_plane import ControlPlane, RegisteredMetric
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.https import Answer, Request
from thingmeter.errors import Denied, Throttled, Unanswered, Unreachable
from thingmeter.testing import ManualClock

METRIC = CustomMetricDefinition("cpu:usage", "number", "CPU usage (%)", (("team", "pumps"),))

tag_keys = st.text("abcXYZ012 äé語_.:/=+-@", min_size=1, max_size=128)
definitions = st.builds(
    CustomMetricDefinition,
    name=st.from_regex(r"(?!aws:)[a-zA-Z0-9:_-]{1,128}", fullmatch=True),
    type=st.sampled_from(["number", "number-list", "string-list", "ip-address-list"]),
    display_name=st.from_regex(r"[ -~]{0,128}", fullmatch=True),
    tags=st.dictionaries(tag_keys, st.text(max_size=256), max_size=50).map(lambda tags: tuple(sorted(tags.items()))),
)


class Wire:
    """Takes down every request and answers each in the same way."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers)

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def on(*answers: Answer) -> tuple[ControlPlane, Wire]:
    wire = Wire(*answers)
    return ControlPlane(URL, wire, ManualClock()), wire


CREATED = answer(200, {"metricName": METRIC.name, "metricArn": "arn:aws:iot:eu-west-1:1:custommetric/cpu:usage"})
DESCRIBED = answer(200, {"metricName": METRIC.name, "metricType": "number", "displayName": "CPU", "creationDate": 1.5})


@given(definition=definitions)
def test_a_create_is_as_the_service_model_has_it(definition: CustomMetricDefinition) -> None:
    plane, wire = on(answer(200, {"metricName": definition.name}))

    plane.create(definition)

    assert mistakes_in(wire.requests[0], URL) == []


@given(definition=definitions)
def test_a_describe_is_as_the_service_model_has_it(definition: CustomMetricDefinition) -> None:
    plane, wire = on(DESCRIBED)

    plane.describe(definition.name)

    assert mistakes_in(wire.requests[0], URL) == []


@given(definition=definitions.filter(lambda definition: bool(definition.display_name)))
def test_an_update_is_as_the_service_model_has_it(definition: CustomMetricDefinition) -> None:
    plane, wire = on(DESCRIBED)

    plane.update(definition.name, definition.display_name)

    assert mistakes_in(wire.requests[0], URL) == []


@given(token=st.text(st.characters(codec="utf-8"), min_size=1, max_size=50))
def test_a_list_is_as_the_service_model_has_it(token: str) -> None:
    plane, wire = on(answer(200, {"metricNames": [], "nextToken": token}), answer(200, {"metricNames": []}))

    plane.list_names()

    assert [mistakes_in(request, URL) for request in wire.requests] == [[], []]


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", f"{URL}/custom-metric/a", body=b'{"metricType": "number"}'),
        Request("POST", f"{URL}/custom-metric/a", body=b'{"metricType": "text", "clientRequestToken": "t"}'),
        Request("POST", f"{URL}/custom-metric/a", body=b'{"metricType": "number", "clientRequestToken": "a b"}'),
        Request("PATCH", f"{URL}/custom-metric/a", body=b'{"displayName": "a", "tags": []}'),
        Request("GET", f"{URL}/custom-metric/a:b"),
        Request("GET", f"{URL}/custom-metrics?maxResults=251"),
        Request("DELETE", f"{URL}/custom-metric/a"),
    ],
    ids=["member missing", "enum", "pattern", "unknown member", "encoding", "range", "operation"],
)
def test_the_check_against_the_service_model_finds_mistakes(request_: Request) -> None:
    assert mistakes_in(request_, URL) != []


def test_what_is_not_configured_is_not_sent() -> None:
    plane, wire = on(answer(200, {"metricName": "a"}))

    plane.create(CustomMetricDefinition("a", "number"))

    assert json.loads(wire.requests[0].body).keys() == {"metricType", "clientRequestToken"}


def test_tags_are_sent_at_the_creation() -> None:
    plane, wire = on(CREATED)

    plane.create(METRIC)

    assert json.loads(wire.requests[0].body)["tags"] == [{"Key": "team", "Value": "pumps"}]


def test_all_pages_are_listed() -> None:
    account = AwsAccount(page_size=2)
    for name in "abcde":
        account.put(name)

    assert ControlPlane(URL, account, ManualClock()).list_names() == set("abcde")


@pytest.mark.parametrize("content", [{}, {"metricNames": None}, {"metricNames": [], "nextToken": ""}])
def test_an_account_without_metrics_lists_none(content: dict[str, object]) -> None:
    assert on(answer(200, content))[0].list_names() == frozenset()


def test_a_list_that_turns_in_a_circle_ends() -> None:
    plane, wire = on(*(answer(200, {"metricNames": [], "nextToken": token}) for token in "abab"))

    with pytest.raises(Unreachable, match="no end of it"):
        plane.list_names()

    assert len(wire.requests) == 3


def test_a_list_without_an_end_ends() -> None:
    pages = (answer(200, {"metricNames": [], "nextToken": str(page)}) for page in range(1, 1002))
    plane, wire = on(*pages)

    with pytest.raises(Unreachable, match="no end after 1000 pages"):
        plane.list_names()

    assert len(wire.requests) == 1000


@pytest.mark.parametrize("refusal", [ACCESS_DENIED, INVALID, MISSING])
def test_a_list_that_is_refused_denies_the_attempt(refusal: Answer) -> None:
    with pytest.raises(Denied):
        on(refusal)[0].list_names()


def test_a_page_that_is_refused_is_tried_again_from_the_first() -> None:
    with pytest.raises(Unreachable) as raised:
        on(answer(200, {"metricNames": [], "nextToken": "old"}), INVALID)[0].list_names()

    assert not isinstance(raised.value, Denied)


def test_a_description_tells_type_and_display_name() -> None:
    assert on(DESCRIBED)[0].describe(METRIC.name) == RegisteredMetric("number", "CPU")


def test_a_description_may_lack_the_display_name() -> None:
    assert on(answer(200, {"metricType": "number"}))[0].describe(METRIC.name) == RegisteredMetric("number")


def test_what_nobody_has_registered_is_missing() -> None:
    found = on(MISSING)[0].describe(METRIC.name)

    assert isinstance(found, Refusal)
    assert found.kind == "missing"


def test_a_name_that_is_taken_exists() -> None:
    refusal = on(EXISTS)[0].create(METRIC)

    assert refusal is not None
    assert refusal.kind == "exists"


def test_the_answer_to_an_update_need_not_say_anything() -> None:
    assert on(answer(200, {}))[0].update(METRIC.name, "CPU") is None


CALLS: list[Callable[[ControlPlane], object]] = [
    lambda plane: plane.list_names(),
    lambda plane: plane.describe(METRIC.name),
    lambda plane: plane.create(METRIC),
    lambda plane: plane.update(METRIC.name, "CPU"),
]


@pytest.mark.parametrize("call", CALLS, ids=["list", "describe", "create", "update"])
def test_every_call_hands_on_that_the_service_asks_to_wait(call: Callable[[ControlPlane], object]) -> None:
    with pytest.raises(Throttled) as raised:
        call(on(THROTTLED)[0])

    assert raised.value.after_s == 7


@pytest.mark.parametrize("call", CALLS, ids=["list", "describe", "create", "update"])
@pytest.mark.parametrize(
    "odd",
    [INTERNAL, Answer(200, {}, b"<html>"), Answer(200), Answer(204), Answer(200, {}, b"[1]"), Answer(200, {}, b"null")],
    ids=["500", "HTML", "empty", "204", "a list", "null"],
)
def test_an_answer_that_says_nothing_leaves_it_open(call: Callable[[ControlPlane], object], odd: Answer) -> None:
    with pytest.raises(Unanswered):
        call(on(odd)[0])


@pytest.mark.parametrize(
    ("call", "content"),
    [
        (CALLS[0], {"metricNames": "a"}),
        (CALLS[0], {"metricNames": [1]}),
        (CALLS[1], {"displayName": "no type"}),
        (CALLS[1], {"metricType": 3}),
        (CALLS[2], {"metricArn": "no name"}),
        (CALLS[2], {"metricName": "another"}),
    ],
)
def test_an_answer_of_another_shape_leaves_it_open(call: Callable[[ControlPlane], object], content: object) -> None:
    with pytest.raises(Unanswered):
        call(on(answer(200, content))[0])
