"""A caller of the sandbox's DevRev that knows what every call carries, for the tests of each of its parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thingmeter.sandbox.devrev import DevRev, Switches
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest
from thingmeter.testing import ManualClock

TOKEN = "eyJ.token"
HEADERS = {
    "authorization": f"Bearer {TOKEN}",
    "x-devrev-scope": "beta",
    "content-type": "application/json",
}
LITRES: dict[str, Any] = {
    "aggregation_detail": {"aggregation_type": "sum"},
    "metric_name": "litres",
    "name": "Litres pumped",
    "product_id": "PROD-1",
    "unit": {"name": "litre", "type": "number"},
    "dimensions": ["site", "line"],
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls with a good token and all headers, unless told otherwise."""

    clock: ManualClock
    devrev: DevRev

    @property
    def switches(self) -> Switches:
        return self.devrev.switches

    def send(self, operation: str, body: bytes, *, headers: Mapping[str, str] = HEADERS) -> HttpAnswer:
        return self.devrev.answer(HttpRequest("POST", f"/{operation}", headers=headers, body=body))

    def ask(self, operation: str, body: Any = None, *, headers: Mapping[str, str] = HEADERS) -> HttpAnswer:
        """Call by POST."""
        return self.send(operation, json.dumps({} if body is None else body).encode(), headers=headers)

    def read(self, operation: str, query: str = "", *, headers: Mapping[str, str] = HEADERS) -> HttpAnswer:
        """Call by GET."""
        return self.devrev.answer(HttpRequest("GET", f"/{operation}", query, headers))

    def create(self, metric_name: str = "litres", **changes: Any) -> dict[str, Any]:
        """Create a UOM and return it as the answer has it."""
        answer = self.ask("uoms.create", {**LITRES, "metric_name": metric_name, **changes})
        assert answer.status in {200, 201}, answer.body
        uom: dict[str, Any] = content(answer)["uom"]
        return uom

    def ingest(self, *points: dict[str, Any], name: str = "litres", **refs: str) -> HttpAnswer:
        """Send one usage record with points."""
        record = {"account_ref": "ACC-1", "name": name, "data_points": list(points), **refs}
        return self.ask("metrics.devrev.ingest", {"metrics": [record]})


def caller_on(clock: ManualClock) -> Caller:
    """Return a caller of a new DevRev that knows its token."""
    devrev = DevRev(clock)
    devrev.tokens.add(TOKEN)
    return Caller(clock, devrev)


def content(answer: HttpAnswer) -> dict[str, Any]:
    """Return the JSON object in an answer."""
    body = json.loads(answer.body)
    assert isinstance(body, dict)
    return body


@dataclass(slots=True)
class Points:
    """Makes points a minute apart with ids in sequence."""

    made: int = field(default=0)

    def __call__(self, value: float, at: str = "", point_id: str | None = None, **dimensions: str) -> dict[str, Any]:
        self.made += 1
        point: dict[str, Any] = {
            "timestamp": at or f"2026-01-01T{self.made // 60:02}:{self.made % 60:02}:00.000Z",
            "value": value,
            "dimensions": [{"key": key, "value": text} for key, text in dimensions.items()],
        }
        point_id = f"p{self.made}" if point_id is None else point_id
        return point | ({"id": point_id} if point_id else {})
