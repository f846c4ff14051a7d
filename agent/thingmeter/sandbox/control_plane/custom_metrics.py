"""The custom metrics of one account: AWS IoT's five operations on them, as a pure function of requests and the clock.

No I/O and no thread: a simulated fleet asks it directly, the sandbox puts it behind HTTPS and signatures.

Source: the service model of AWS IoT 2015-05-28;
docs.aws.amazon.com/iot/latest/apireference/API_CreateCustomMetric.html (the request token)
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from thingmeter.protocols import Clock
from thingmeter.sandbox.control_plane.operations import Operation, find_operation
from thingmeter.sandbox.control_plane.pace import CallLog, TokenBucket
from thingmeter.sandbox.control_plane.refusal import Refusal, answer_of
from thingmeter.sandbox.control_plane.rules import Creation, read_creation, read_listing, read_name, read_update
from thingmeter.sandbox.control_plane.switches import Switches
from thingmeter.sandbox.http.calls import error_of
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest

ACCOUNT = "123456789012"
REGION = "eu-west-1"
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}  # by how a region begins


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """A custom metric as the account has it.

    Attributes:
        asked: what created it; all of it but the display name stays.
        display_name: as it is now.
        arn: its name in AWS.
        created_s: since the epoch.
        modified_s: since the epoch.
    """

    asked: Creation
    display_name: str
    arn: str
    created_s: float
    modified_s: float


@dataclass(slots=True)
class CustomMetrics:
    """The service; call it with a request. Not thread-safe.

    Attributes:
        clock: gives the metrics their dates, and the limits of calls per second their time.
        region: of the ARNs.
        switches: what can be turned while it runs.
        metrics: what the account has, by name.
        log: when which call came, and what of it.
    """

    clock: Clock
    region: str = REGION
    switches: Switches = field(default_factory=Switches)
    metrics: dict[str, CustomMetric] = field(default_factory=dict)
    log: CallLog = field(default_factory=CallLog)
    _buckets: dict[Operation, TokenBucket] = field(default_factory=dict, repr=False)

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request."""
        found = find_operation(request)
        operation = found[0] if found else "unknown"
        try:
            content = self._answer(found, request)
        except Refusal as refusal:
            answer, error = answer_of(refusal, self.switches.error_type), refusal.error
        else:
            answer = content if isinstance(content, HttpAnswer) else HttpAnswer.of_json(200, content)
            error, _ = error_of(answer)
        self.log.note(operation, self.clock.monotonic(), error)
        return replace(answer, headers={**answer.headers, "x-amzn-requestid": str(uuid.uuid4())})

    def put(self, name: str, metric_type: str = "number", display_name: str = "") -> None:
        """Have a metric in the account that somebody else has created; replaces one of the name."""
        self._keep(Creation(name, metric_type, uuid.uuid4().hex, display_name))

    def arn(self, name: str) -> str:
        """Return the ARN of a metric."""
        partition = next((each for start, each in PARTITIONS.items() if self.region.startswith(start)), "aws")
        return f"arn:{partition}:iot:{self.region}:{ACCOUNT}:custommetric/{name}"

    def _answer(self, found: tuple[Operation, str] | None, request: HttpRequest) -> dict[str, Any] | HttpAnswer:
        if found is None:
            raise Refusal("UnknownOperationException", f"No operation {request.method} {request.path}")
        operation, name = found
        if self.switches.closed is not None:
            return self.switches.closed
        if error := self.switches.take_error(operation):
            raise Refusal(error, self._denial(operation, name) if error == "AccessDeniedException" else "")
        if not self._may_pass(operation):
            raise Refusal("ThrottlingException")
        return self._carry_out(operation, name, request)

    def _carry_out(self, operation: Operation, name: str, request: HttpRequest) -> dict[str, Any]:
        match operation:
            case "CreateCustomMetric":
                return self._create(read_creation(name, request))
            case "DescribeCustomMetric":
                return _described(self._find(read_name(name)))
            case "UpdateCustomMetric":
                return self._update(self._find(name), read_update(name, request))
            case "DeleteCustomMetric":
                self.metrics.pop(read_name(name), None)
                return {}
            case "ListCustomMetrics":
                return self._list(request)
        assert_never(operation)

    def _create(self, asked: Creation) -> dict[str, Any]:
        there = self.metrics.get(asked.name)
        if there is None:
            if len(self.metrics) >= self.switches.quota:
                raise Refusal("LimitExceededException", f"The account has its {self.switches.quota} custom metrics")
            there = self._keep(asked)
        elif there.asked.token != asked.token or (there.asked != asked and self.switches.repeated == "exists"):
            raise _exists(there)
        elif there.asked != asked and self.switches.repeated == "invalid":
            raise Refusal("InvalidRequestException", "The token was used with other parameters")
        return {"metricName": asked.name, "metricArn": there.arn}

    def _update(self, there: CustomMetric, display_name: str) -> dict[str, Any]:
        changed = replace(there, display_name=display_name, modified_s=self.clock.now().timestamp())
        self.metrics[changed.asked.name] = changed
        return _described(changed)

    def _list(self, request: HttpRequest) -> dict[str, Any]:
        asked = read_listing(request)
        last = _name_in(asked.token) if asked.token else ""
        names = sorted(name for name in tuple(self.metrics) if name > last)  # a test may put more meanwhile
        size = asked.results or self.switches.page
        page = {"metricNames": names[:size]}
        return {**page, "nextToken": _token_after(names[size - 1])} if len(names) > size else page

    def _find(self, name: str) -> CustomMetric:
        try:
            return self.metrics[name]
        except KeyError:
            raise Refusal("ResourceNotFoundException", f"Custom metric {name} does not exist") from None

    def _keep(self, asked: Creation) -> CustomMetric:
        now = self.clock.now().timestamp()
        self.metrics[asked.name] = CustomMetric(asked, asked.display_name, self.arn(asked.name), now, now)
        return self.metrics[asked.name]

    def _may_pass(self, operation: Operation) -> bool:
        per_s = self.switches.calls_per_s.get(operation)
        if per_s is None:
            return True
        bucket = self._buckets.get(operation)
        if bucket is None or bucket.per_s != per_s:
            bucket = self._buckets[operation] = TokenBucket(per_s, self.clock)
        return bucket.take()

    def _denial(self, operation: Operation, name: str) -> str:
        return (
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/thingmeter is not authorized to perform: iot:{operation} on "
            f"resource: {self.arn(name or '*')} because no identity-based policy allows the iot:{operation} action"
        )


def _described(metric: CustomMetric) -> dict[str, Any]:
    display_name = {"displayName": metric.display_name} if metric.display_name else {}
    return {
        "metricName": metric.asked.name,
        "metricArn": metric.arn,
        "metricType": metric.asked.type,
        **display_name,
        "creationDate": metric.created_s,
        "lastModifiedDate": metric.modified_s,
    }


def _exists(metric: CustomMetric) -> Refusal:
    name = metric.asked.name
    members = {"resourceId": name, "resourceArn": metric.arn}
    return Refusal("ResourceAlreadyExistsException", f"Custom metric {name} already exists", members)


def _token_after(name: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"after": name}).encode()).decode()


def _name_in(token: str) -> str:
    try:
        return str(json.loads(base64.urlsafe_b64decode(token.encode()))["after"])
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise Refusal("InvalidRequestException", "The token of the next page is not valid") from error
