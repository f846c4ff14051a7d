from __future__ import annotations

import pytest

from thingmeter.sandbox.limits import Limits
from thingmeter.sandbox.packets import Message, Publish, Reason
from thingmeter.sandbox.permission import judge_filter, judge_publish
from thingmeter.sandbox.policy import allowed, policy_of
from thingmeter.sandbox.topics import is_filter, matches

LIMITS = Limits()
PUMP = policy_of("pump-7")


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "b", False),
        ("+/+", "/a", True),
        ("#", "a/b", True),
        ("#", "$aws/things", False),
        ("+/things", "$aws/things", False),
        ("$aws/#", "$aws/things", True),
    ],
)
def test_filters_match_as_the_standard_says(topic_filter: str, topic: str, *, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@pytest.mark.parametrize("topic_filter", ["", "a+", "a/#/b", "#a", "a/b#"])
def test_wildcards_fill_whole_levels(topic_filter: str) -> None:
    assert not is_filter(topic_filter)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("$aws/things/pump-7/defender/metrics/json", Reason.SUCCESS),
        ("$aws/things/pump-8/defender/metrics/json", Reason.NOT_AUTHORIZED),
        ("$aws/things/pump-7/shadow/update", Reason.NOT_AUTHORIZED),
        ("status/pump-7", Reason.SUCCESS),
        ("telemetry/pump-7/cpu", Reason.SUCCESS),
        ("usage/pump-77", Reason.NOT_AUTHORIZED),
        ("elsewhere", Reason.NOT_AUTHORIZED),
        ("status/pump-7/+", Reason.TOPIC_NAME_INVALID),
        ("", Reason.TOPIC_NAME_INVALID),
        ("status/pump-7/" + "x" * 300, Reason.TOPIC_NAME_INVALID),
        ("status/pump-7" + "/x" * 7, Reason.TOPIC_NAME_INVALID),
    ],
)
def test_a_thing_publishes_where_its_policy_lets_it(topic: str, reason: Reason) -> None:
    assert judge_publish(Publish(Message(topic, b"", 1)), PUMP, LIMITS) is reason


@pytest.mark.parametrize(
    ("publish", "reason"),
    [
        (Publish(Message("status/pump-7", b"", 2)), Reason.QOS_NOT_SUPPORTED),
        (Publish(Message("status/pump-7", b"", 1), topic_alias=1), Reason.TOPIC_ALIAS_INVALID),
        (Publish(Message("status/pump-7", bytes(131_073), 1)), Reason.PACKET_TOO_LARGE),
        (Publish(Message("status/pump-7", bytes(131_072), 1)), Reason.SUCCESS),
    ],
)
def test_what_aws_does_not_take_is_refused(publish: Publish, reason: Reason) -> None:
    assert judge_publish(publish, PUMP, LIMITS) is reason


@pytest.mark.parametrize(
    ("topic_filter", "reason"),
    [
        ("$aws/things/pump-7/defender/metrics/cbor/accepted", Reason.SUCCESS),
        ("$aws/things/pump-7/defender/metrics/+/rejected", Reason.SUCCESS),
        ("$aws/things/pump-7/defender/metrics/cbor", Reason.NOT_AUTHORIZED),
        ("$aws/things/pump-8/defender/metrics/cbor/accepted", Reason.NOT_AUTHORIZED),
        ("$aws/#", Reason.NOT_AUTHORIZED),
        ("#", Reason.NOT_AUTHORIZED),
        ("usage/pump-7/#", Reason.SUCCESS),
        ("$share/group/status/pump-7", Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        ("a/#/b", Reason.TOPIC_FILTER_INVALID),
    ],
)
def test_a_thing_subscribes_where_its_policy_lets_it(topic_filter: str, reason: Reason) -> None:
    assert judge_filter(topic_filter, PUMP, LIMITS) is reason


@pytest.mark.parametrize(("topic", "expected"), [("anything/at/all", True), ("$aws/things/pump-7", False)])
def test_the_operator_may_do_all_but_touch_reserved_topics(topic: str, *, expected: bool) -> None:
    assert allowed(policy_of("operator").publish, topic) is expected
