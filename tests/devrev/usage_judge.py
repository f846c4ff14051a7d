"""DevRev as a judge of usage: what it bills for points, sent as the agent sends them or one for each sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from thingmeter.config.settings import AggregationType, DevRev, Unit, Uom
from thingmeter.destinations.devrev.folding import Fold, Window, fold_of, window_of
from thingmeter.destinations.devrev.grouping import Projection
from thingmeter.destinations.devrev.points import Group, UsagePoint
from thingmeter.destinations.devrev.usage import body, encode
from thingmeter.sandbox.devrev import DevRev as SandboxDevRev
from thingmeter.sandbox.devrev.totals import Group as BilledGroup
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.testing import ManualClock

NAME = "litres"
START = datetime(2026, 1, 1, tzinfo=UTC)
HEADERS = {"authorization": "Bearer t", "x-devrev-scope": "beta", "content-type": "application/json"}
COUNTS_DISTINCT = ("duration", "running_total", "unique_count")


@dataclass(frozen=True, slots=True)
class Raw:
    """A sample: ``millisecond`` after ``START``, and all its dimensions, declared or not."""

    millisecond: int
    value: int | float | bool
    dimensions: tuple[tuple[str, str], ...]

    @property
    def at(self) -> datetime:
        return START + timedelta(milliseconds=self.millisecond)


CUT = None
"""Among samples: everything that is open is frozen here."""


def uom_of(aggregation_type: AggregationType, **settings: Any) -> Uom:
    """Return settings of a UOM with the dimensions site and line, of which line is the unique one."""
    unique = "line" if aggregation_type in COUNTS_DISTINCT else ""
    required: dict[str, Any] = {
        "metric_name": NAME,
        "name": "Litres",
        "product_id": "PROD-1",
        "unit": Unit(name="l", type="number"),
    }
    own: dict[str, Any] = {"dimensions": ("site", "line"), "unique_dimension": unique, "account_dimension": "customer"}
    return Uom(aggregation_type=aggregation_type, **required | own | settings)


class Judge:
    """A DevRev that has one UOM; its clock stands ``now_s`` seconds after ``START``."""

    def __init__(self, uom: Uom, now_s: float) -> None:
        clock = ManualClock(START)
        self.devrev = SandboxDevRev(clock)
        self.devrev.tokens.add("t")
        detail: dict[str, str] = {"aggregation_type": uom.aggregation_type}
        if uom.unique_dimension:
            detail["unique_dimension"] = uom.unique_dimension
        definition = {
            "metric_name": uom.metric_name,
            "name": uom.name,
            "product_id": uom.product_id,
            "unit": {"name": uom.unit.name, "type": uom.unit.type},
            "dimensions": list(uom.dimensions),
            "aggregation_detail": detail,
        }
        self._ask("uoms.create", encoded(definition), status=201)
        clock.advance(now_s)

    def take(self, request: bytes) -> None:
        """Take a request that must be right."""
        self._ask("metrics.devrev.ingest", request, status=200)

    def bills(self, since: datetime | None = None, until: datetime | None = None) -> dict[BilledGroup, float]:
        return self.devrev.totals(NAME, since, until)

    def _ask(self, operation: str, request: bytes, *, status: int) -> None:
        answer = self.devrev.answer(HttpRequest("POST", f"/{operation}", headers=HEADERS, body=request))
        assert answer.status == status, answer.body


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def sent_one_by_one(judge: Judge, samples: Iterable[Raw]) -> None:
    """Send each sample in a request of its own, with all its dimensions."""
    for serial, sample in enumerate(samples):
        point = {
            "id": f"raw-{serial}",
            "timestamp": sample.at.isoformat(timespec="milliseconds"),
            "value": float(sample.value) if isinstance(sample.value, bool) else sample.value,
            "dimensions": [{"key": key, "value": value} for key, value in sample.dimensions if key != "customer"],
        }
        account = dict(sample.dimensions)["customer"]
        judge.take(encoded({"metrics": [{"account_ref": account, "name": NAME, "data_points": [point]}]}))


def frames_of(uom: Uom, events: Sequence[Raw | None], window_s: int) -> list[bytes]:
    """Return what the agent makes of samples and cuts, in the order in which it is frozen."""
    projection = Projection(uom, DevRev())
    folds: dict[tuple[Window, Group], Fold] = {}
    parts: dict[Window, int] = {}
    points: list[UsagePoint] = []
    for event in (*events, CUT):
        if event is not None:
            assert projection.takes(NAME, event.dimensions)
            group = projection.group(event.dimensions)
            assert isinstance(group, Group)
            key = (window_of(event.at, window_s), group)
            folds.setdefault(key, fold_of(uom.aggregation_type)).add(projection.number(event.value), event.at)
            continue
        for (window, group), fold in sorted(folds.items(), key=lambda item: item[0]):
            points += [UsagePoint(group, value, at) for value, at in fold.points(window, parts.get(window, 0))]
            assert fold.lost == 0
        for window in {window for window, _ in folds}:
            parts[window] = parts.get(window, 0) + 1
        folds.clear()
    return [encode(point, f"p-{serial}", uom.aggregation_type) for serial, point in enumerate(points)]


def sent_in_batches(judge: Judge, frames: Sequence[bytes], sizes: Sequence[int], repeated: Mapping[int, int]) -> None:
    """Send the frames in requests of these sizes, again and again; request number N as often again as is said."""
    start, number = 0, 0
    while start < len(frames):
        size = sizes[number % len(sizes)]
        for _ in range(1 + repeated.get(number, 0)):
            judge.take(body(frames[start : start + size]))
        start, number = start + size, number + 1
