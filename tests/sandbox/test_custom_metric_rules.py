from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.custom_metric_calls import create, list_page, say, update
from thingmeter.sandbox.control_plane.custom_metrics import CustomMetrics
from thingmeter.testing import ManualClock

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["metricType", "clientRequestToken", "displayName", "tags", "Key", "Value"])


@pytest.fixture
def service(clock: ManualClock) -> CustomMetrics:
    return CustomMetrics(clock)


@pytest.mark.parametrize("name", ["a", "a" * 128, "A-z_0:9", "aws", "AWS:a"])
def test_a_name_of_the_pattern_is_taken(service: CustomMetrics, name: str) -> None:
    assert create(service, name).status == 200


@pytest.mark.parametrize("name", ["a b", "a.b", "ä", "a" * 129, "a\n", "%"])
def test_a_name_against_the_pattern_is_refused(service: CustomMetrics, name: str) -> None:
    assert create(service, name).error == "InvalidRequestException"


def test_a_name_of_aws_s_own_prefix_is_refused(service: CustomMetrics) -> None:
    assert "must not begin with the prefix aws:" in create(service, "aws:cpu").message


@pytest.mark.parametrize("kind", ["number", "number-list", "string-list", "ip-address-list"])
def test_the_four_types_are_taken(service: CustomMetrics, kind: str) -> None:
    assert create(service, metricType=kind).status == 200


@pytest.mark.parametrize("kind", [None, "Number", "ip-list", "", 3, ["number"]])
def test_another_type_is_refused(service: CustomMetrics, kind: Any) -> None:
    assert "at 'metricType' failed to satisfy constraint" in create(service, metricType=kind).message


@pytest.mark.parametrize("token", ["a", "a" * 64, "aZ-_09"])
def test_a_token_of_the_pattern_is_taken(service: CustomMetrics, token: str) -> None:
    assert create(service, clientRequestToken=token).status == 200


@pytest.mark.parametrize("token", [None, "", "a" * 65, "a:b", "a b"])
def test_a_token_against_the_pattern_is_refused(service: CustomMetrics, token: str | None) -> None:
    assert "at 'clientRequestToken' failed" in create(service, clientRequestToken=token).message


@pytest.mark.parametrize("display_name", ["", "a", " ~!", "a" * 128])
def test_a_display_name_is_printable_ascii(service: CustomMetrics, display_name: str) -> None:
    assert create(service, displayName=display_name).status == 200


@pytest.mark.parametrize("display_name", ["ä", "a\tb", "a" * 129, "\x7f"])
def test_another_display_name_is_refused(service: CustomMetrics, display_name: str) -> None:
    assert "at 'displayName' failed" in create(service, displayName=display_name).message


@pytest.mark.parametrize(("display_name", "error"), [("", ""), ("a" * 129, "InvalidRequestException")])
def test_an_update_keeps_to_the_same_display_names(service: CustomMetrics, display_name: str, error: str) -> None:
    service.put("cpu")

    assert update(service, displayName=display_name).error == error


def test_an_update_without_a_display_name_is_refused(service: CustomMetrics) -> None:
    service.put("cpu")

    assert "'displayName' failed to satisfy constraint: Member must not be null" in update(service).message


@pytest.mark.parametrize(
    "tags",
    [
        [],
        [{"Key": "a"}],
        [{"Key": "a", "Value": ""}],
        [{"Key": "ä b_.:/=+-@1", "Value": "*" * 256}],
        [{"Key": f"k{number}"} for number in range(50)],
    ],
)
def test_tags_as_aws_has_them_are_taken(service: CustomMetrics, tags: Any) -> None:
    assert create(service, tags=tags).status == 200


@pytest.mark.parametrize(
    "tags",
    [
        [{}],
        [{"Key": ""}],
        [{"Key": "a" * 129}],
        [{"Key": "a*"}],
        [{"Key": "a", "Value": "a" * 257}],
        [{"Key": "a"}, {"Key": "a"}],
        [{"Key": "aws:a"}],
        [{"Key": f"k{number}"} for number in range(51)],
    ],
)
def test_other_tags_are_invalid(service: CustomMetrics, tags: Any) -> None:
    assert create(service, tags=tags).error == "InvalidRequestException"


@pytest.mark.parametrize(
    "members",
    [
        {"tags": {"a": "b"}},
        {"tags": ["a"]},
        {"tags": [{"Key": 3}]},
        {"tags": [{"Key": "a", "Value": 3}]},
        {"displayName": 3},
        {"clientRequestToken": 3},
    ],
)
def test_a_member_of_another_type_cannot_be_read(service: CustomMetrics, members: Any) -> None:
    assert create(service, **members).error == "SerializationException"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"3"])
def test_a_body_that_is_no_json_object_cannot_be_read(service: CustomMetrics, body: bytes) -> None:
    assert say(service, "POST", "/custom-metric/cpu", body).error == "SerializationException"


def test_every_broken_rule_is_named(service: CustomMetrics) -> None:
    said = create(service, "a b", metricType="x", clientRequestToken=None)

    assert said.message == (
        "3 validation errors detected: Value 'a b' at 'metricName' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: [a-zA-Z0-9:_-]+; Value 'x' at 'metricType' failed to satisfy constraint: Member "
        "must satisfy enum value set: [string-list, ip-address-list, number-list, number]; Value null at "
        "'clientRequestToken' failed to satisfy constraint: Member must not be null"
    )


@pytest.mark.parametrize(
    ("results", "error"),
    [
        ("1", ""),
        ("250", ""),
        ("0", "InvalidRequestException"),
        ("-1", "InvalidRequestException"),
        ("251", "InvalidRequestException"),
        ("x", "SerializationException"),
        ("1.5", "SerializationException"),
    ],
)
def test_a_page_has_1_to_250_names(service: CustomMetrics, results: str, error: str) -> None:
    assert list_page(service, maxResults=results).error == error


@given(body=JSON | st.dictionaries(MEMBERS, JSON) | st.fixed_dictionaries({"tags": JSON}))
def test_any_json_is_answered(body: Any) -> None:
    service = CustomMetrics(ManualClock())

    assert say(service, "POST", "/custom-metric/cpu", body).status in {200, 400}
