"""An AWS account's custom metrics in memory, as an ``Exchange``: what it does by itself, and what a test scripts."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from thingmeter.destinations.https import Answer, Request

URL = "https://iot.eu-west-1.amazonaws.com"
OPERATIONS = {"POST": "CreateCustomMetric", "GET": "DescribeCustomMetric", "PATCH": "UpdateCustomMetric"}


def answer(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, {"content-type": "application/json", **(headers or {})}, json.dumps(content).encode())


def error(status: int, error_type: str, message: str = "for a reason", **headers: str) -> Answer:
    """An error as AWS sends it: the type in a header, the message in the body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(
        status, {"message": message}, {"x-amzn-errortype": f"{error_type}:http://internal.amazon.com/", **named}
    )


MISSING = error(404, "ResourceNotFoundException")
EXISTS = error(409, "ResourceAlreadyExistsException")
LIMIT = error(410, "LimitExceededException", "Limit exceeded")
INVALID = error(400, "InvalidRequestException", "Invalid displayName")
THROTTLED = error(400, "ThrottlingException", "Rate exceeded", retry_after="7")
INTERNAL = error(500, "InternalFailureException")
ACCESS_DENIED = error(403, "AccessDeniedException", "User is not authorized")


@dataclass
class AwsAccount:
    """What is registered, every call that came, and answers that stand in for its own.

    Attributes:
        metrics: by name: metricType, displayName or None, tags, clientRequestToken.
        calls: the operation of each, with the metric's name behind it.
        script: by operation: for each call the answer to give or the error to raise; None: its own.
        page_size: of a list.
    """

    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    script: defaultdict[str, deque[Answer | Exception | None]] = field(default_factory=lambda: defaultdict(deque))
    page_size: int = 250

    def put(self, name: str, metric_type: str = "number", display_name: str | None = None) -> None:
        """Register a metric by another hand."""
        self.metrics[name] = {"metricType": metric_type, "displayName": display_name, "clientRequestToken": "console"}

    def __call__(self, request: Request) -> Answer:
        url = urlsplit(request.url)
        name = unquote(url.path.removeprefix("/custom-metric/"))
        is_list = url.path == "/custom-metrics"
        operation = "ListCustomMetrics" if is_list else OPERATIONS[request.method]
        self.calls.append(operation if is_list else f"{operation} {name}")
        scripted = self.script[operation].popleft() if self.script[operation] else None
        if isinstance(scripted, Exception):
            raise scripted
        if scripted is not None:
            return scripted
        if is_list:
            return self._list(parse_qs(url.query))
        return self._one(operation, name, json.loads(request.body or b"{}"))

    def _list(self, query: Mapping[str, list[str]]) -> Answer:
        start = int(query.get("nextToken", ["0"])[0])
        end = start + min(self.page_size, int(query["maxResults"][0]))
        names = sorted(self.metrics)
        return answer(200, {"metricNames": names[start:end], "nextToken": str(end) if end < len(names) else None})

    def _one(self, operation: str, name: str, content: dict[str, Any]) -> Answer:
        found = self.metrics.get(name)
        arn = f"arn:aws:iot:eu-west-1:123456789012:custommetric/{name}"
        if operation == "CreateCustomMetric":
            if found is not None and found["clientRequestToken"] != content["clientRequestToken"]:
                return EXISTS
            self.metrics.setdefault(name, {"displayName": None, **content})
            return answer(200, {"metricName": name, "metricArn": arn})
        if found is None:
            return MISSING
        found |= content
        described = {key: found[key] for key in ("metricType", "displayName")}
        return answer(200, {"metricName": name, "metricArn": arn, "creationDate": 1.5e9, **described})
