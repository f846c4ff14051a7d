"""The fake of the custom-metric operations, with AWS's own client for Python: what it reads, the fake says rightly."""

from __future__ import annotations

import configparser
import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from sandbox.https import ask, connection
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.control_plane.operations import OPERATIONS, Operation
from thingmeter.sandbox.control_plane.refusal import TypePlace
from thingmeter.sandbox.control_plane.switches import DETECT_CLOSED

SESSION = boto3.session.Session()  # reads the model of the service once
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=10)
PLACES: tuple[TypePlace, ...] = ("header", "header with uri", "__type", "__type with namespace", "code")


Connect = Callable[..., Any]


@pytest.fixture
def connect(sandbox: Sandbox) -> Iterator[Connect]:
    """Make clients from a key's id, its secret and perhaps its session token; all are closed at the end."""
    made: list[Any] = []

    def connect(key_id: str, secret: str, token: str | None = None, region: str = sandbox.region) -> Any:
        made.append(
            SESSION.client(
                "iot",
                region_name=region,
                endpoint_url=sandbox.control_plane_url,
                verify=str(sandbox.ca_file),
                aws_access_key_id=key_id,
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=ONCE,
            )
        )
        return made[-1]

    yield connect
    for client in made:
        client.close()


def operator_keys(sandbox: Sandbox) -> tuple[str, str]:
    profiles = configparser.ConfigParser(interpolation=None)
    profiles.read(sandbox.folder.aws_credentials_file)
    return profiles["default"]["aws_access_key_id"], profiles["default"]["aws_secret_access_key"]


@pytest.fixture
def client(sandbox: Sandbox, connect: Connect) -> Any:
    return connect(*operator_keys(sandbox))


def calls_of(client: Any) -> dict[Operation, Callable[[], Any]]:
    return {
        "CreateCustomMetric": lambda: client.create_custom_metric(metricName="cpu", metricType="number"),
        "DescribeCustomMetric": lambda: client.describe_custom_metric(metricName="cpu"),
        "UpdateCustomMetric": lambda: client.update_custom_metric(metricName="cpu", displayName="x"),
        "DeleteCustomMetric": lambda: client.delete_custom_metric(metricName="cpu"),
        "ListCustomMetrics": client.list_custom_metrics,
    }


def error_code(call: Callable[[], Any]) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_boto3_creates_a_metric(client: Any) -> None:
    created = client.create_custom_metric(
        metricName="cpu:load_1-m",
        displayName="CPU load (1 m)",
        metricType="number-list",
        tags=[{"Key": "team", "Value": "pumps"}],
        clientRequestToken="a",
    )

    assert created["metricArn"] == "arn:aws:iot:eu-west-1:123456789012:custommetric/cpu:load_1-m"


def test_boto3_makes_a_token_that_is_valid(client: Any) -> None:
    assert client.create_custom_metric(metricName="cpu", metricType="number")["metricName"] == "cpu"


def test_boto3_reads_the_dates_of_a_metric(client: Any, sandbox: Sandbox) -> None:
    sandbox.control_plane.put("cpu")

    described = client.describe_custom_metric(metricName="cpu")

    age = datetime.now(UTC) - described["creationDate"]
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_boto3_reads_what_a_metric_is(client: Any, sandbox: Sandbox) -> None:
    sandbox.control_plane.put("cpu", "string-list", "CPU")

    described = client.describe_custom_metric(metricName="cpu")

    assert (described["metricType"], described["displayName"]) == ("string-list", "CPU")


def test_boto3_updates_a_metric(client: Any, sandbox: Sandbox) -> None:
    sandbox.control_plane.put("cpu", display_name="old")

    assert client.update_custom_metric(metricName="cpu", displayName="new")["displayName"] == "new"


def test_boto3_deletes_a_metric(client: Any, sandbox: Sandbox) -> None:
    sandbox.control_plane.put("cpu")

    client.delete_custom_metric(metricName="cpu")

    assert client.list_custom_metrics()["metricNames"] == []


def test_boto3_walks_through_the_pages_of_a_list(client: Any, sandbox: Sandbox) -> None:
    for number in range(7):
        sandbox.control_plane.put(f"m{number}")

    pages = client.get_paginator("list_custom_metrics").paginate(PaginationConfig={"PageSize": 3})

    assert [len(page["metricNames"]) for page in pages] == [3, 3, 1]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_modelled_error_comes_out_as_its_exception(
    client: Any, sandbox: Sandbox, operation: Operation, place: TypePlace
) -> None:
    switches = sandbox.control_plane.switches
    switches.error_type = place
    modelled = [shape.name for shape in client.meta.service_model.operation_model(operation).error_shapes]
    raised = []

    for error in modelled:
        switches.errors[operation] = error
        with pytest.raises(getattr(client.exceptions, error)) as caught:
            calls_of(client)[operation]()
        raised.append(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])

    shapes = client.meta.service_model.operation_model(operation).error_shapes
    assert raised == [shape.metadata["error"]["httpStatusCode"] for shape in shapes]


@pytest.mark.parametrize("place", PLACES)
def test_throttling_and_an_invalid_request_are_told_apart(client: Any, sandbox: Sandbox, place: TypePlace) -> None:
    sandbox.control_plane.switches.error_type = place
    sandbox.control_plane.switches.calls_per_s = {"ListCustomMetrics": 1.0}
    client.list_custom_metrics()

    throttled = error_code(client.list_custom_metrics)
    invalid = error_code(lambda: client.create_custom_metric(metricName="aws:x", metricType="number"))

    assert (throttled, invalid) == ("ThrottlingException", "InvalidRequestException")


def test_a_metric_that_exists_comes_with_its_id_and_arn(client: Any, sandbox: Sandbox) -> None:
    sandbox.control_plane.put("cpu")

    with pytest.raises(client.exceptions.ResourceAlreadyExistsException) as caught:
        calls_of(client)["CreateCustomMetric"]()

    assert (caught.value.response["resourceId"], caught.value.response["resourceArn"]) == (
        "cpu",
        "arn:aws:iot:eu-west-1:123456789012:custommetric/cpu",
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_access_denied_comes_out_though_no_model_lists_it(client: Any, sandbox: Sandbox, operation: Operation) -> None:
    sandbox.control_plane.switches.errors[operation] = "AccessDeniedException"

    assert error_code(calls_of(client)[operation]) == "AccessDeniedException"


def test_detect_closed_comes_out_as_an_unknown_error(client: Any, sandbox: Sandbox) -> None:
    sandbox.control_plane.switches.closed = DETECT_CLOSED

    assert error_code(client.list_custom_metrics) == "FeatureNotAvailableException"


def test_a_wrong_secret_does_not_match_for_boto3(sandbox: Sandbox, connect: Connect) -> None:
    client = connect(operator_keys(sandbox)[0], "wrong")

    assert error_code(client.list_custom_metrics) == "InvalidSignatureException"


def test_an_unknown_key_is_not_recognised_for_boto3(connect: Connect) -> None:
    client = connect("AKIAUNKNOWN", "wrong")

    assert error_code(client.list_custom_metrics) == "UnrecognizedClientException"


def issued(sandbox: Sandbox) -> tuple[str, str, str]:
    with connection(sandbox, sandbox.credentials_endpoint, "pump-7") as made:
        body = ask(made, "GET", "/role-aliases/thingmeter/credentials", x_amzn_iot_thingname="pump-7").body
    credentials = json.loads(body)["credentials"]
    return credentials["accessKeyId"], credentials["secretAccessKey"], credentials["sessionToken"]


def test_a_key_from_the_credentials_provider_signs_for_its_thing(sandbox: Sandbox, connect: Connect) -> None:
    connect(*issued(sandbox)).list_custom_metrics()

    assert sandbox.calls.all()[-1].client == "pump-7"


def test_a_key_that_has_expired_is_refused(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.credentials_provider.duration_s = 0

    client = connect(*issued(sandbox))

    assert error_code(client.list_custom_metrics) == "ExpiredTokenException"


def test_a_region_other_than_the_sandbox_s_is_refused(sandbox: Sandbox, connect: Connect) -> None:
    client = connect(*operator_keys(sandbox), region="us-east-1")

    assert error_code(client.list_custom_metrics) == "InvalidSignatureException"


def test_boto3_finds_the_operator_s_key_in_the_file(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(sandbox.folder.aws_credentials_file))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    client = boto3.session.Session(region_name=sandbox.region).client(
        "iot", endpoint_url=sandbox.control_plane_url, verify=str(sandbox.ca_file), config=ONCE
    )

    with contextlib.closing(client):
        assert client.list_custom_metrics()["metricNames"] == []
