"""Requests to the fake of the custom-metric operations, without HTTP and without signatures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from thingmeter.sandbox.control_plane.custom_metrics import CustomMetrics
from thingmeter.sandbox.http.messages import HttpRequest


@dataclass(frozen=True)
class Said:
    status: int
    error: str
    body: Any

    @property
    def message(self) -> str:
        return str(self.body["message"])


def say(service: CustomMetrics, method: str, path: str, body: Any = None, **query: str) -> Said:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    answer = service(HttpRequest(method, path, urlencode(query), {}, content))
    return Said(answer.status, answer.headers.get("x-amzn-errortype", ""), json.loads(answer.body))


def create(service: CustomMetrics, name: str = "cpu", **members: Any) -> Said:
    body = {"metricType": "number", "clientRequestToken": "token", **members}
    given = {key: value for key, value in body.items() if value is not None}
    return say(service, "POST", f"/custom-metric/{quote(name, safe='')}", given)


def describe(service: CustomMetrics, name: str = "cpu") -> Said:
    return say(service, "GET", f"/custom-metric/{quote(name, safe='')}")


def update(service: CustomMetrics, name: str = "cpu", **members: Any) -> Said:
    return say(service, "PATCH", f"/custom-metric/{quote(name, safe='')}", members)


def delete(service: CustomMetrics, name: str = "cpu") -> Said:
    return say(service, "DELETE", f"/custom-metric/{quote(name, safe='')}")


def list_page(service: CustomMetrics, **query: str) -> Said:
    return say(service, "GET", "/custom-metrics", **query)
