from __future__ import annotations

import pytest

from config.device import MQTT, SMALLEST, THING, Device
from config.test_devrev_rules import reason_of
from thingmeter.config.settings import Topic

TOPIC = SMALLEST + '[topic]\ntemplate = "telemetry/{thing}"\n'


def topic_of(device: Device, text: str) -> Topic:
    topic = device.load(text).topic
    assert topic is not None
    return topic


def test_without_the_table_nothing_is_published(device: Device) -> None:
    assert device.load(SMALLEST).topic is None


def test_each_minute_everything_is_published(device: Device) -> None:
    assert topic_of(device, TOPIC) == Topic(template="telemetry/pump-7", interval_s=60, metrics=("*",))


def test_a_topic_needs_a_template(device: Device) -> None:
    assert reason_of(device, SMALLEST + "[topic]\n").startswith("[topic]: template is missing: a topic of at most 256")


def test_a_topic_needs_a_broker(device: Device) -> None:
    reason = reason_of(device, TOPIC.replace(MQTT, ""))

    assert reason == "[topic]: needs the tables [mqtt] and [mqtt.tls], which say where samples go"


@pytest.mark.parametrize(
    "template",
    [
        "t",
        "a/b/c/d/e/f/g/h",
        "$aws/rules/telemetry",
        "$aws/rules/telemetry/{thing}",
        "$aws/rules/R_1/a/b/c/d/e/f/g/h",
        "$aws/rules/" + "r" * 100 + "/" + "x" * 256,
    ],
)
def test_a_template_may_be_any_that_aws_iot_takes(device: Device, template: str) -> None:
    assert device.problems(TOPIC.replace("telemetry/{thing}", template)) == []


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("a/#", "must not hold + or #"),
        ("$aws/rules/+/x", "must not hold + or #"),
        ("$aws/things/x", "must not begin with $"),
        ("$aws/rules", "must not begin with $"),
        ("$aws/rules//x", "must not begin with $"),
        ("$aws/rules/my-rule/x", "$aws/rules/RULE/... may, RULE of a-z A-Z 0-9 _ alone"),
        ("$SYS/x", "must not begin with $"),
        ("{thin}", "may hold {thing}, and no other { or }"),
        ("a/b/c/d/e/f/g/h/i", "has 8 slashes, at most 7 are allowed"),
        ("$aws/rules/R/a/b/c/d/e/f/g/h/i", "has 8 slashes, at most 7 are allowed"),
        ("x" * 257, "is 257 bytes long, at most 256 are allowed"),
        ("$aws/rules/R/" + "x" * 257, "is 257 bytes long, at most 256 are allowed"),
    ],
)
def test_a_template_that_cannot_be_published_to_is_refused(device: Device, template: str, hint: str) -> None:
    assert hint in reason_of(device, TOPIC.replace("telemetry/{thing}", template))


def test_a_status_cannot_go_to_a_rule(device: Device) -> None:
    reason = reason_of(device, SMALLEST.replace("[mqtt]", '[mqtt]\nstatus_topic = "$aws/rules/R/x"'))

    assert reason.endswith("must not begin with $, which brokers keep to themselves")


@pytest.mark.parametrize("interval", ["0", "86401", "0.5", '"60"'])
def test_an_interval_out_of_its_bounds_is_refused(device: Device, interval: str) -> None:
    reason = reason_of(device, TOPIC + f"interval_s = {interval}\n")

    assert reason.endswith("must be an integer from 1 to 86400 (seconds)")


@pytest.mark.parametrize("glob", ["cpu.usage_percent", "cpu.*", "*", "*_bytes", "disk.free_?ytes"])
def test_metrics_are_named_by_patterns(device: Device, glob: str) -> None:
    assert topic_of(device, TOPIC + f'metrics = ["{glob}"]\n').metrics == (glob,)


@pytest.mark.parametrize("glob", ["", "cpu.[ab]", "cpu usage", "x" * 131, "cpu/*"])
def test_a_pattern_that_is_none_is_refused(device: Device, glob: str) -> None:
    reason = reason_of(device, TOPIC + f'metrics = ["{glob}"]\n')

    assert reason.endswith(
        "must be names such as cpu.usage_percent, in which * stands for any characters and ? for one"
    )


def test_a_pattern_that_no_metric_can_have_is_refused(device: Device) -> None:
    reason = reason_of(device, TOPIC + 'metrics = ["cpu.*", "memory"]\n')

    assert reason == '[topic] metrics[1] = "memory": is no metric\'s name: they are collector.metric; * has them all'


@pytest.mark.parametrize(("metrics", "count"), [("[]", 0), ([f"cpu.m{n}" for n in range(101)], 101)])
def test_patterns_are_one_to_a_hundred(device: Device, metrics: object, count: int) -> None:
    assert f"{count} of them, must be an array of 1 to 100 names" in reason_of(device, TOPIC + f"metrics = {metrics}\n")


def test_usage_and_samples_have_topics_of_their_own(device: Device) -> None:
    devrev = '[devrev]\nregistration = "off"\nroute = "mqtt"\ntopic = "telemetry/pump-7"\n'

    assert "usage records go: samples need a topic of their own" in reason_of(device, TOPIC + devrev)


def test_a_topic_of_usage_that_is_not_used_is_free(device: Device) -> None:
    devrev = '[devrev]\nregistration = "off"\nroute = "https"\ntopic = "telemetry/{thing}"\n'

    assert device.problems(TOPIC + devrev) == []


def test_samples_go_out_without_any_report(device: Device) -> None:
    assert device.load(THING + MQTT + '[topic]\ntemplate = "t"\n').defender is None
