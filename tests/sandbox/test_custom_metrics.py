from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.custom_metric_calls import Said, create, delete, describe, list_page, say, update
from thingmeter.sandbox.control_plane.custom_metrics import CustomMetrics
from thingmeter.sandbox.control_plane.operations import OPERATIONS, Operation
from thingmeter.sandbox.control_plane.pace import CallLog
from thingmeter.sandbox.control_plane.refusal import STATUSES, Refusal, TypePlace, answer_of
from thingmeter.sandbox.control_plane.switches import DETECT_CLOSED
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.testing import ManualClock

ARN = "arn:aws:iot:eu-west-1:123456789012:custommetric/"


@pytest.fixture
def service(clock: ManualClock) -> CustomMetrics:
    return CustomMetrics(clock)


def ask_for(service: CustomMetrics, operation: Operation) -> Said:
    match operation:
        case "CreateCustomMetric":
            return create(service)
        case "DescribeCustomMetric":
            return describe(service)
        case "UpdateCustomMetric":
            return update(service, displayName="x")
        case "DeleteCustomMetric":
            return delete(service)
        case "ListCustomMetrics":
            return list_page(service)


def test_a_created_metric_has_an_arn(service: CustomMetrics) -> None:
    assert create(service).body == {"metricName": "cpu", "metricArn": f"{ARN}cpu"}


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-east-1", "aws")]
)
def test_an_arn_is_of_the_region_s_partition(clock: ManualClock, region: str, partition: str) -> None:
    service = CustomMetrics(clock, region)

    assert create(service).body["metricArn"] == f"arn:{partition}:iot:{region}:123456789012:custommetric/cpu"


def test_a_metric_is_described_as_it_was_created(service: CustomMetrics) -> None:
    create(service, metricType="ip-address-list", displayName="Peers")

    at = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert describe(service).body == {
        "metricName": "cpu",
        "metricArn": f"{ARN}cpu",
        "metricType": "ip-address-list",
        "displayName": "Peers",
        "creationDate": at,
        "lastModifiedDate": at,
    }


def test_a_metric_without_a_display_name_is_described_without_one(service: CustomMetrics) -> None:
    create(service)

    assert "displayName" not in describe(service).body


def test_tags_are_kept(service: CustomMetrics) -> None:
    create(service, tags=[{"Key": "team", "Value": "pumps"}, {"Key": "site"}])

    assert service.metrics["cpu"].asked.tags == {"team": "pumps", "site": ""}


def test_an_update_changes_the_display_name_and_the_date(service: CustomMetrics, clock: ManualClock) -> None:
    create(service, displayName="old")
    clock.advance(60)

    update(service, displayName="new")

    body = describe(service).body
    assert (body["displayName"], body["lastModifiedDate"] - body["creationDate"]) == ("new", 60)


def test_an_update_answers_as_describe_does(service: CustomMetrics) -> None:
    create(service)

    assert update(service, displayName="new").body == describe(service).body


@pytest.mark.parametrize("operation", ["DescribeCustomMetric", "UpdateCustomMetric"])
def test_a_metric_that_is_not_there_is_not_found(service: CustomMetrics, operation: Operation) -> None:
    said = ask_for(service, operation)

    assert (said.status, said.error) == (404, "ResourceNotFoundException")


def test_a_deleted_metric_is_gone(service: CustomMetrics) -> None:
    create(service)

    delete(service)

    assert describe(service).status == 404


def test_deleting_what_is_not_there_is_no_error(service: CustomMetrics) -> None:
    assert delete(service).status == 200


def test_the_same_token_is_answered_as_the_first_time(service: CustomMetrics) -> None:
    assert create(service, clientRequestToken="a").body == create(service, clientRequestToken="a").body


def test_another_token_finds_that_the_metric_exists(service: CustomMetrics) -> None:
    create(service, clientRequestToken="a")

    said = create(service, clientRequestToken="b")

    assert (said.status, said.error) == (409, "ResourceAlreadyExistsException")


def test_a_metric_that_exists_is_named_with_its_arn(service: CustomMetrics) -> None:
    service.put("cpu")

    body = create(service).body
    assert (body["resourceId"], body["resourceArn"]) == ("cpu", f"{ARN}cpu")


def test_a_metric_that_exists_stays_as_it_is(service: CustomMetrics) -> None:
    service.put("cpu", "string-list")

    create(service)

    assert describe(service).body["metricType"] == "string-list"


@pytest.mark.parametrize(
    ("repeated", "status"),
    [("replay", 200), ("exists", 409), ("invalid", 400)],
)
def test_the_same_token_for_something_else_follows_the_switch(
    service: CustomMetrics, repeated: Any, status: int
) -> None:
    service.switches.repeated = repeated
    create(service, metricType="number")

    assert create(service, metricType="string-list").status == status


@pytest.mark.parametrize("repeated", ["exists", "invalid"])
def test_the_same_request_is_replayed_after_an_update_whatever_the_switch(
    service: CustomMetrics, repeated: Any
) -> None:
    service.switches.repeated = repeated
    create(service, displayName="a")
    update(service, displayName="b")

    assert create(service, displayName="a").status == 200


def test_the_quota_of_the_account_ends_creation(service: CustomMetrics) -> None:
    service.switches.quota = 1
    create(service, "a")

    said = create(service, "b")

    assert (said.status, said.error) == (410, "LimitExceededException")


def test_a_replay_works_at_the_quota(service: CustomMetrics) -> None:
    service.switches.quota = 1
    create(service, "a")

    assert create(service, "a").status == 200


def test_the_quota_is_a_hundred(service: CustomMetrics) -> None:
    service.switches.calls_per_s.clear()

    statuses = [create(service, f"m{number}").status for number in range(101)]

    assert statuses == [200] * 100 + [410]


def test_a_list_is_in_the_order_of_names(service: CustomMetrics) -> None:
    for name in ("b", "a", "C", "1"):
        service.put(name)

    assert list_page(service).body == {"metricNames": ["1", "C", "a", "b"]}


def test_a_list_comes_in_pages(service: CustomMetrics) -> None:
    for number in range(5):
        service.put(f"m{number}")

    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        body = list_page(service, maxResults="2", **token).body
        pages.append(body["metricNames"])
        if "nextToken" not in body:
            break
        token = {"nextToken": body["nextToken"]}

    assert pages == [["m0", "m1"], ["m2", "m3"], ["m4"]]


def test_a_page_that_is_just_full_is_the_last_one(service: CustomMetrics) -> None:
    service.put("a")
    service.put("b")

    assert "nextToken" not in list_page(service, maxResults="2").body


def test_a_metric_deleted_between_two_pages_hides_no_other(service: CustomMetrics) -> None:
    for name in "abc":
        service.put(name)
    token = list_page(service, maxResults="1").body["nextToken"]

    delete(service, "a")

    assert list_page(service, nextToken=token).body == {"metricNames": ["b", "c"]}


def test_pages_have_the_switch_s_size_when_the_caller_does_not_say(service: CustomMetrics) -> None:
    service.switches.page = 1
    service.put("a")
    service.put("b")

    assert list_page(service).body["metricNames"] == ["a"]


@pytest.mark.parametrize("token", ["x", "e30=", "ä", "bnVsbA=="])
def test_a_token_of_no_page_is_invalid(service: CustomMetrics, token: str) -> None:
    assert list_page(service, nextToken=token).error == "InvalidRequestException"


@pytest.mark.parametrize(
    ("operation", "per_s"),
    [("CreateCustomMetric", 10), ("DescribeCustomMetric", 25), ("UpdateCustomMetric", 10), ("ListCustomMetrics", 10)],
)
def test_calls_above_the_account_s_rate_are_throttled(service: CustomMetrics, operation: Operation, per_s: int) -> None:
    service.put("cpu")

    errors = [ask_for(service, operation).error == "ThrottlingException" for _ in range(per_s + 1)]

    assert errors == [False] * per_s + [True]


def test_throttling_has_the_status_of_an_invalid_request(service: CustomMetrics) -> None:
    said = [list_page(service) for _ in range(11)][-1]

    assert (said.status, said.message) == (400, "Rate exceeded")


def test_throttling_ends_with_time(service: CustomMetrics, clock: ManualClock) -> None:
    for _ in range(11):
        list_page(service)

    clock.advance(0.1)

    assert [list_page(service).status for _ in range(2)] == [200, 400]


def test_another_rate_holds_from_the_next_call_on(service: CustomMetrics) -> None:
    list_page(service)

    service.switches.calls_per_s["ListCustomMetrics"] = 1

    assert [list_page(service).status for _ in range(2)] == [200, 400]


def test_each_operation_has_a_rate_of_its_own(service: CustomMetrics) -> None:
    for _ in range(11):
        list_page(service)

    assert create(service).status == 200


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("error", sorted(STATUSES))
def test_every_operation_can_end_in_every_error(service: CustomMetrics, operation: Operation, error: str) -> None:
    service.switches.errors[operation] = error

    said = ask_for(service, operation)

    assert (said.status, said.error) == (STATUSES[error], error)


def test_an_error_on_demand_changes_nothing(service: CustomMetrics) -> None:
    service.switches.errors["CreateCustomMetric"] = "InternalFailureException"

    create(service)

    assert service.metrics == {}


def test_errors_on_demand_end_when_none_remain(service: CustomMetrics) -> None:
    service.switches.errors["ListCustomMetrics"] = "ServiceUnavailableException"
    service.switches.remaining = 1

    assert [list_page(service).status for _ in range(2)] == [503, 200]


def test_access_denied_names_what_is_not_allowed(service: CustomMetrics) -> None:
    service.switches.errors["CreateCustomMetric"] = "AccessDeniedException"

    assert f"iot:CreateCustomMetric on resource: {ARN}cpu " in create(service).message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_account_to_which_detect_is_closed_gets_one_answer_to_everything(
    service: CustomMetrics, operation: Operation
) -> None:
    service.switches.closed = DETECT_CLOSED

    assert ask_for(service, operation).error == "FeatureNotAvailableException"


@pytest.mark.parametrize(
    ("place", "header", "member"),
    [
        ("header", "LimitExceededException", None),
        ("header with uri", "LimitExceededException:http://internal.amazon.com/coral/com.amazonaws.iot/", None),
        ("__type", None, ("__type", "LimitExceededException")),
        ("__type with namespace", None, ("__type", "com.amazonaws.iot#LimitExceededException")),
        ("code", None, ("code", "LimitExceededException")),
    ],
)
def test_the_type_of_an_error_stands_where_the_switch_says(
    place: TypePlace, header: str | None, member: tuple[str, str] | None
) -> None:
    answer = answer_of(Refusal("LimitExceededException", "full"), place)

    expected = {"message": "full", **dict([member] if member else [])}
    assert (answer.headers.get("x-amzn-errortype"), json.loads(answer.body)) == (header, expected)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/custom-metric/"),
        ("PUT", "/custom-metric/a"),
        ("POST", "/custom-metrics"),
        ("GET", "/custom-metric/a/b"),
        ("GET", "/custom-metricsx"),
    ],
)
def test_there_is_no_other_operation(service: CustomMetrics, method: str, path: str) -> None:
    said = say(service, method, path)

    assert (said.status, said.error) == (404, "UnknownOperationException")


def test_every_answer_has_an_id_of_its_own(service: CustomMetrics) -> None:
    request = HttpRequest("GET", "/custom-metrics")

    assert len({service(request).headers["x-amzn-requestid"] for _ in range(3)}) == 3


def test_the_log_tells_calls_by_operation_and_error(service: CustomMetrics) -> None:
    describe(service)
    create(service)
    create(service, clientRequestToken="other")

    assert dict(service.log.outcomes) == {
        ("DescribeCustomMetric", "ResourceNotFoundException"): 1,
        ("CreateCustomMetric", ""): 1,
        ("CreateCustomMetric", "ResourceAlreadyExistsException"): 1,
    }


def test_the_log_counts_calls_and_errors(service: CustomMetrics) -> None:
    describe(service)
    create(service)

    log = service.log
    assert (log.count(), log.count("CreateCustomMetric"), log.errors("ResourceNotFoundException")) == (2, 1, 1)


def test_the_log_knows_the_error_of_a_closed_account(service: CustomMetrics) -> None:
    service.switches.closed = DETECT_CLOSED

    create(service)

    assert service.log.errors("FeatureNotAvailableException") == 1


def test_the_log_finds_the_busiest_second_wherever_it_begins() -> None:
    log = CallLog()
    for at_s in (0.0, 0.9, 1.0, 1.5, 1.89, 1.91, 5.0):
        log.note("x", at_s)

    assert (log.peak("x"), log.peak("y"), log.peak("x", 0.1)) == (4, 0, 2)


def test_a_fleet_of_ten_thousand_is_answered_quickly_enough_to_simulate(
    service: CustomMetrics, clock: ManualClock
) -> None:
    for number in range(50):
        service.put(f"m{number}")
    for _ in range(10_000):
        clock.advance(0.1)
        list_page(service)

    assert (service.log.count(), service.log.errors("ThrottlingException")) == (10_000, 0)
