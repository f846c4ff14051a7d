"""The function between the queue and DevRev, held against the sandbox's DevRev."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from thingmeter.destinations.devrev.points import Group, UsagePoint
from thingmeter.destinations.devrev.usage import body, encode
from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.devrev import Fault
from thingmeter.sandbox.http.messages import HttpRequest
from topic.aws_by_hand import AwsByHand
from topic.cloud_template import Handler, function

AT = datetime(2026, 1, 1, 0, 7, 30, tzinfo=UTC)
HORIZON_S = 86_400
POISON = b'{"metrics": []}'


def usage(number: int = 1) -> bytes:
    return body([encode(UsagePoint(Group("litres", "ACC-1"), number, AT), f"pump-7.a.b.{number}", "sum")])


def queued(content: bytes, *, age_s: float = 1.0, received: int = 1, name: str = "m1") -> dict[str, Any]:
    """Return a record as the rule and the queue make it of a payload."""
    return {
        "messageId": name,
        "body": json.dumps({"body": base64.b64encode(content).decode(), "topic": "usage/pump-7"}),
        "attributes": {
            "SentTimestamp": str(int((time.time() - age_s) * 1000)),
            "ApproximateReceiveCount": str(received),
        },
    }


@dataclass
class Cloud:
    """The function with all that it talks to."""

    sandbox: Sandbox
    aws: AwsByHand
    handler: Handler = field(default_factory=function)

    def run(self, *records: dict[str, Any]) -> list[str]:
        """Return the names of the records that stay in the queue."""
        answer = self.handler({"Records": list(records)}, None)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def bodies(self) -> list[bytes]:
        """Return the body of every request that came to DevRev."""
        return [call.request.body for call in self.sandbox.calls.all() if call.operation == "metrics.devrev.ingest"]

    def total(self) -> float:
        return float(sum(self.sandbox.devrev.totals("litres").values()))

    def strike(self, fault: Fault) -> None:
        self.sandbox.devrev.switches.faults = [fault]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with Sandbox(tmp_path / "sandbox", things=(), settings=Settings()) as sandbox:
        aws = AwsByHand()
        environment = {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_MAX_ATTEMPTS": "1",
            "SSL_CERT_FILE": str(sandbox.ca_file),
            "NO_PROXY": "*",
            "DEVREV_ENDPOINT": sandbox.devrev_url,
            "DEVREV_SCHEME": "Bearer",
            "DEVREV_TOKEN": sandbox.folder.devrev_token(),
            "DEVREV_TOKEN_SECRET": "thingmeter/devrev-token",
            "DEAD_LETTERS_URL": f"{aws.url}/1/dead-letters",
            "DEDUPE_HORIZON_S": str(HORIZON_S),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        declare_litres(sandbox)
        yield Cloud(sandbox, aws)
        aws.close()


def declare_litres(sandbox: Sandbox) -> None:
    content = {
        "aggregation_detail": {"aggregation_type": "sum"},
        "metric_name": "litres",
        "name": "Litres",
        "product_id": "PROD-1",
        "unit": {"name": "litre", "type": "number"},
    }
    headers = {
        "authorization": sandbox.folder.devrev_token(),
        "x-devrev-scope": "beta",
        "content-type": "application/json",
    }
    request = HttpRequest("POST", "/uoms.create", headers=headers, body=json.dumps(content).encode())
    assert sandbox.devrev.answer(request).status == 201


def test_a_body_is_posted_as_the_device_has_sent_it(cloud: Cloud) -> None:
    spaced = usage(1).replace(b":", b" :  ")

    cloud.run(queued(spaced))

    assert cloud.bodies() == [spaced]


def test_what_devrev_has_taken_leaves_the_queue(cloud: Cloud) -> None:
    assert cloud.run(queued(usage(1), name="m1"), queued(usage(2), name="m2")) == []


def test_a_second_copy_from_the_queue_is_counted_once(cloud: Cloud) -> None:
    cloud.run(queued(usage(5)))

    cloud.run(queued(usage(5), received=2))

    assert (len(cloud.bodies()), cloud.total()) == (2, 5)


def test_what_devrev_refuses_is_a_dead_letter(cloud: Cloud) -> None:
    poison = queued(POISON)

    left = cloud.run(poison)

    assert (left, cloud.aws.dead_letters) == ([], [poison["body"]])


def test_those_behind_a_refused_one_are_delivered(cloud: Cloud) -> None:
    cloud.run(queued(POISON), queued(usage(3), name="m2"))

    assert cloud.total() == 3


def test_what_cannot_be_made_a_dead_letter_stays(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEAD_LETTERS_URL")

    assert cloud.run(queued(POISON, name="m1"), queued(usage(3), name="m2")) == ["m1"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"body": "not base64!"}', '{"body": 7}', "\x00"])
def test_what_is_no_usage_record_is_a_dead_letter(cloud: Cloud, text: str) -> None:
    left = cloud.run(queued(usage()) | {"body": text})

    assert (left, cloud.aws.dead_letters, cloud.bodies()) == ([], [text], [])


def test_what_a_rule_could_not_queue_is_posted_once_it_is_sent_again(cloud: Cloud) -> None:
    failed = {"ruleName": "thingmeter_usage", "base64OriginalPayload": base64.b64encode(usage(4)).decode()}

    cloud.run(queued(usage()) | {"body": json.dumps(failed)})

    assert cloud.bodies() == [usage(4)]


def test_a_budget_that_is_used_up_stops_the_others_as_well(cloud: Cloud) -> None:
    cloud.strike(Fault("throttled"))

    left = cloud.run(*(queued(usage(number), name=f"m{number}") for number in (1, 2, 3)))

    assert (left, len(cloud.bodies())) == (["m1", "m2", "m3"], 1)


@pytest.mark.parametrize("kind", ["error before", "error after", "html", "redirect"])
def test_an_error_of_the_server_holds_up_its_own_record_alone(cloud: Cloud, kind: Any) -> None:
    cloud.strike(Fault(kind, remaining=1))

    assert cloud.run(queued(usage(1), name="m1"), queued(usage(2), name="m2")) == ["m1"]


def test_a_record_whose_answer_was_lost_comes_again_and_is_counted_once(cloud: Cloud) -> None:
    faults = cloud.sandbox.http_faults["devrev"]
    faults.kind, faults.remaining = "missing", 1
    left = cloud.run(queued(usage(5)))

    cloud.run(queued(usage(5), received=2))

    assert (left, cloud.total()) == (["m1"], 5)


def test_what_may_be_counted_and_is_older_than_the_horizon_is_for_a_person(cloud: Cloud) -> None:
    left = cloud.run(queued(usage(), age_s=HORIZON_S + 60, received=2))

    assert (left, len(cloud.aws.dead_letters), cloud.bodies()) == ([], 1, [])


def test_what_was_never_posted_has_no_horizon(cloud: Cloud) -> None:
    cloud.run(queued(usage(7), age_s=10 * HORIZON_S, received=1))

    assert cloud.total() == 7


def test_the_token_goes_to_no_other_host(cloud: Cloud) -> None:
    faults = cloud.sandbox.http_faults["devrev"]
    faults.kind, faults.status, faults.headers = "status", 307, {"location": f"{cloud.aws.url}/elsewhere"}

    left = cloud.run(queued(usage()))

    assert (left, cloud.aws.elsewhere) == (["m1"], [])


def test_the_token_is_in_a_secret(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEVREV_TOKEN")
    cloud.aws.secret = cloud.sandbox.folder.devrev_token() + "\n"

    cloud.run(queued(usage(1)), queued(usage(2), name="m2"))

    assert (cloud.total(), cloud.aws.secret_reads) == (3, 1)


def test_usage_waits_for_a_secret_that_is_empty_yet(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEVREV_TOKEN")

    assert (cloud.run(queued(usage())), cloud.bodies()) == (["m1"], [])


def test_a_token_that_was_replaced_is_read_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEVREV_TOKEN")
    cloud.aws.secret = "an.old.token"
    cloud.run(queued(usage(1)))

    cloud.aws.secret = cloud.sandbox.folder.devrev_token()
    cloud.run(queued(usage(1), received=2))

    assert cloud.total() == 1


def test_no_token_is_printed(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.strike(Fault("error before"))

    cloud.run(queued(usage()), queued(POISON, name="m2"))

    assert cloud.sandbox.folder.devrev_token() not in capsys.readouterr().out


def test_it_starts_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    assert function()({"Records": []}, None) == {"batchItemFailures": []}
