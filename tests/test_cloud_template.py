"""The template of the cloud side: sound by itself, within AWS's limits, and in step with what the agent sends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from thingmeter.config.addresses import topic_fault
from thingmeter.destinations.topic.sample import encode
from thingmeter.metrics import Metric
from topic.cloud_template import TEMPLATE, function_source, resource, template, texts_in
from topic.samples import AT

POLICY_CHARACTERS = 2048  # Source: AWS IoT Core quotas, "Policy document size", white space left out
INLINE_CHARACTERS = 4096  # Source: AWS CloudFormation, AWS::Lambda::Function Code, as it was for years
QUEUE_MESSAGE_BYTES = 262_144
PAYLOAD_BYTES = 131_072
LONGEST = {
    "Prefix": "p" * 30,
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-southeast-1",
    "AWS::AccountId": "1" * 12,
}
SERVICES_WITHOUT_RESOURCES = {"iot:ListCustomMetrics", "cloudwatch:PutMetricData", "timestream:DescribeEndpoints"}


def filled(part: Any) -> Any:
    """Return a part of the template with the longest names put in, and every condition met."""
    match part:
        case {"Fn::Sub": str(text)}:
            known = re.sub(r"\$\{([A-Za-z:]+)\}", lambda match: LONGEST.get(match[1], match[0]), text)
            return known.replace("${!", "${")
        case {"Fn::If": [_, then, _]}:
            return filled(then)
        case dict():
            return {key: filled(value) for key, value in part.items()}
        case list():
            return [filled(value) for value in part]
        case _:
            return part


def statements() -> list[Any]:
    """Return every statement that allows something to a role."""
    roles = [one["Properties"] for one in template()["Resources"].values() if one["Type"] == "AWS::IAM::Role"]
    policies = [filled(policy["PolicyDocument"]) for role in roles for policy in role["Policies"]]
    return [statement for policy in policies for statement in policy["Statement"]]


def actions_of(statement: Any) -> list[str]:
    actions = statement["Action"]
    return actions if isinstance(actions, list) else [actions]


def test_cfn_lint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--template", TEMPLATE],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_the_policy_of_a_thing_is_no_longer_than_aws_takes() -> None:
    document = json.dumps(filled(resource("ThingPolicy")["PolicyDocument"]), separators=(",", ":"))

    assert len(document) <= POLICY_CHARACTERS


def test_a_thing_may_publish_under_its_own_name_alone() -> None:
    policy = filled(resource("ThingPolicy")["PolicyDocument"])
    publish = next(statement for statement in policy["Statement"] if statement["Action"] == "iot:Publish")

    assert all(arn.endswith("/${iot:Connection.Thing.ThingName}") for arn in publish["Resource"])


def test_a_thing_may_publish_to_every_topic_that_the_outputs_recommend() -> None:
    outputs = template()["Outputs"]
    topics = [filled(outputs[name]["Value"]) for name in ("TopicTemplate", "BasicIngestTemplate", "UsageTopic")]
    policy = filled(resource("ThingPolicy")["PolicyDocument"])
    publish = next(statement for statement in policy["Statement"] if statement["Action"] == "iot:Publish")

    allowed = [
        arn.partition(":topic/")[2].replace("${iot:Connection.Thing.ThingName}", "{thing}")
        for arn in publish["Resource"]
    ]

    assert set(topics) <= set(allowed)


@pytest.mark.parametrize("output", ["TopicTemplate", "BasicIngestTemplate"])
def test_the_agent_takes_the_topics_that_the_outputs_recommend(output: str) -> None:
    topic = filled(template()["Outputs"][output]["Value"]).replace("{thing}", "pump-7")

    assert topic_fault(topic, basic_ingest=True) is None


def test_no_role_may_do_anything_to_everything() -> None:
    wide = [statement for statement in statements() if statement["Resource"] == "*"]

    assert {action for statement in wide for action in actions_of(statement)} == SERVICES_WITHOUT_RESOURCES


def test_no_action_has_a_wildcard() -> None:
    assert [action for statement in statements() for action in actions_of(statement) if "*" in action] == []


def test_the_rules_read_nothing_that_a_sample_lacks() -> None:
    sample = Metric("disk.used_percent", unit="%", dimensions=("mount",)).sample(41.5, {"mount": "/"})
    fields = json.loads(encode(sample, AT, "pump-7"))
    rule = resource("TelemetryRule")["TopicRulePayload"]

    read = {name for text in texts_in(rule["Actions"]) for name in re.findall(r"\$\{(?:floor\()?([a-z]+)[ })]", text)}

    assert read == {"series", "value", "timestamp", "metric"} <= set(fields)


def test_the_telemetry_rule_keeps_whole_numbers_decimal() -> None:
    assert resource("TelemetryRule")["TopicRulePayload"]["AwsIotSqlVersion"] == "2015-10-08"


def test_the_function_fits_into_the_template() -> None:
    assert len(function_source()) <= INLINE_CHARACTERS


def test_a_record_is_hidden_for_as_long_as_the_function_may_need() -> None:
    assert resource("UsageQueue")["VisibilityTimeout"] == 6 * resource("UsageFunction")["Timeout"]


def test_the_function_has_time_for_every_record_of_a_batch() -> None:
    timeout = re.search(r"timeout=([0-9]+)", function_source())
    assert timeout is not None

    assert resource("UsageFunctionSource")["BatchSize"] * int(timeout[1]) < resource("UsageFunction")["Timeout"]


def test_a_record_is_tried_for_less_than_the_horizon() -> None:
    queue = resource("UsageQueue")

    assert queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"] < 86_400


def test_the_largest_payload_fits_into_the_queue() -> None:
    around = len(json.dumps({"body": "", "topic": "usage/" + "t" * 128}))

    assert 4 * -(-PAYLOAD_BYTES // 3) + around <= QUEUE_MESSAGE_BYTES


def test_every_log_ends_some_day() -> None:
    groups = [one for one in template()["Resources"].values() if one["Type"] == "AWS::Logs::LogGroup"]

    assert all("RetentionInDays" in group["Properties"] for group in groups)


def test_what_was_not_delivered_outlives_the_stack() -> None:
    kept = {name for name, one in template()["Resources"].items() if one.get("DeletionPolicy") == "Retain"}

    assert kept == {"UsageDeadLetters", "DevRevToken"}
