from __future__ import annotations

import pytest

from thingmeter.mqtt.topics import matches, name_problem


@pytest.mark.parametrize(
    ("filter_", "topic"),
    [
        ("a/b", "a/b"),
        ("a/+", "a/b"),
        ("+/b", "a/b"),
        ("a/#", "a/b/c"),
        ("a/#", "a"),
        ("#", "a/b"),
        ("+/+", "/b"),
        ("$aws/+/x", "$aws/y/x"),
    ],
)
def test_a_filter_matches_what_mqtt_says(filter_: str, topic: str) -> None:
    assert matches(filter_, topic)


@pytest.mark.parametrize(
    ("filter_", "topic"),
    [("a/b", "a"), ("a", "a/b"), ("a/+", "a"), ("a/+", "a/b/c"), ("#", "$aws/x"), ("+/x", "$aws/x"), ("a/#", "b")],
)
def test_a_filter_matches_nothing_else(filter_: str, topic: str) -> None:
    assert not matches(filter_, topic)


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "a" * 65_536, "\ud800"])
def test_a_topic_that_mqtt_forbids_has_a_problem(topic: str) -> None:
    assert name_problem(topic)


@pytest.mark.parametrize("topic", ["a", "$aws/things/x/defender/metrics/cbor", "a b/ü", "a" * 65_535])
def test_a_topic_that_mqtt_allows_has_none(topic: str) -> None:
    assert not name_problem(topic)
