"""Which operation a request asks for. Source: the service model of AWS IoT 2015-05-28 (methods and paths)."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args
from urllib.parse import unquote

from thingmeter.sandbox.http.messages import HttpRequest

Operation: TypeAlias = Literal[
    "CreateCustomMetric", "DescribeCustomMetric", "UpdateCustomMetric", "DeleteCustomMetric", "ListCustomMetrics"
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

COLLECTION = "/custom-metrics"
ITEM = "/custom-metric/"
ON_ITEM: dict[str, Operation] = {
    "POST": "CreateCustomMetric",
    "GET": "DescribeCustomMetric",
    "PATCH": "UpdateCustomMetric",
    "DELETE": "DeleteCustomMetric",
}


def find_operation(request: HttpRequest) -> tuple[Operation, str] | None:
    """Return the operation and the name of the metric (empty for a list), or None where there is no such operation."""
    if request.path == COLLECTION and request.method == "GET":
        return "ListCustomMetrics", ""
    name = request.path.removeprefix(ITEM)
    if name == request.path or not name or "/" in name or request.method not in ON_ITEM:
        return None
    return ON_ITEM[request.method], unquote(name)


def operation_of(request: HttpRequest) -> tuple[str, str]:
    """Return the operation and the name of the metric for a record of the call."""
    return find_operation(request) or (f"{request.method} {request.path}", "")
