"""The data points of usage records, as DevRev takes them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from thingmeter.sandbox.devrev.shapes import double
from thingmeter.sandbox.devrev.usage_rules import time_of

Reason: TypeAlias = Literal[
    "duplicate id",
    "duplicate content",
    "unknown",
    "disabled",
    "undeclared dimension",
    "no user_ref",
    "no boolean",
]


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric.

    Attributes:
        name: of the metric, as it was sent.
        account_ref: whose usage it is.
        org_ref: empty when there was none; so ``user_ref``.
        user_ref: see ``org_ref``.
        id: empty when there was none.
        at: the instant it is for.
        value: as a double, which is what DevRev has.
        dimensions: by key; of an accepted point only those of its UOM, in the UOM's spelling.
        path: its place in the request.
    """

    name: str
    account_ref: str
    org_ref: str
    user_ref: str
    id: str
    at: datetime
    value: float
    dimensions: tuple[tuple[str, str], ...]
    path: str = ""

    @property
    def content(self) -> tuple[object, ...]:
        """What two points without id have in common when they count once."""
        lowered = tuple(sorted((key.lower(), value) for key, value in self.dimensions))
        return (self.name.lower(), self.account_ref, self.org_ref, self.user_ref, self.at, self.value, lowered)


@dataclass(frozen=True, slots=True)
class Drop:
    """A point that was dropped behind a 200, and why."""

    reason: Reason
    point: Point


def points_of(body: dict[str, Any]) -> Iterator[Point]:
    """Yield the points of a request that has the right shape."""
    for index, metric in enumerate(body["metrics"]):
        for place, point in enumerate(metric["data_points"]):
            yield Point(
                name=metric["name"],
                account_ref=metric["account_ref"],
                org_ref=metric.get("org_ref", ""),
                user_ref=metric.get("user_ref", ""),
                id=point.get("id", ""),
                at=time_of(point["timestamp"]) or datetime.min.replace(tzinfo=UTC),
                value=double(point["value"]),
                dimensions=tuple(sorted((each["key"], each["value"]) for each in point.get("dimensions", ()))),
                path=f"metrics[{index}].data_points[{place}]",
            )
