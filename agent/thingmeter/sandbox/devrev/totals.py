"""What points add up to, by the aggregation type of their UOM. Pure.

DevRev describes the eight types in a sentence and an example each (``aggregation-detail-aggregation-type`` of its beta
API). Their meaning here:

sum, maximum, minimum   of the values in the period.
latest, oldest          the value of the last, the first instant in the period; of several at one instant the one that
                        arrived last, first.
unique_count            how many values of the unique dimension the period has seen, whatever the points' values.
running_total           how many values of the unique dimension were active. A point says that its one is active from
                        then on (any value but 0) or no longer (0). DevRev's example (VM0 on and off in January, VM2 and
                        VM3 in February: 3) counts what was active before as well, though its words ask for what is
                        still active: "ever active" follows the example, "active in the period" the words.
duration                for each value of the unique dimension the time during which it was active, in seconds, times
                        the value it was active with; what was active before the period began goes on. DevRev's
                        example: 4 for thirty days and 5 for ten.

A group is what is billed apart: account_ref, org_ref, user_ref and the declared dimensions; for the last three types
without the unique one. Where such a UOM has no unique dimension, all its dimensions together stand for it; a point that
lacks the unique dimension says nothing of any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from thingmeter.sandbox.devrev.points import Point
from thingmeter.sandbox.devrev.uom import Uom

Past: TypeAlias = Literal["ever active", "active in the period"]
BY_UNIQUE_DIMENSION = frozenset({"duration", "running_total", "unique_count"})


@dataclass(frozen=True, slots=True)
class Group:
    """What is billed apart; ``dimensions`` is sorted."""

    account_ref: str
    org_ref: str = ""
    user_ref: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """The time from ``since`` to before ``until``, open where one is None; nothing lasts longer than until ``now``."""

    since: datetime | None
    until: datetime | None
    now: datetime

    def holds(self, at: datetime) -> bool:
        """Return whether an instant is in the period."""
        return not self.precedes(at) and not self.follows(at)

    def precedes(self, at: datetime) -> bool:
        """Return whether an instant is before the period."""
        return self.since is not None and at < self.since

    def follows(self, at: datetime) -> bool:
        """Return whether an instant is behind the period."""
        return self.until is not None and at >= self.until

    def seconds(self, start: datetime, end: datetime | None) -> float:
        """Return how much of the time from ``start`` to ``end`` is in the period; None: it has not ended."""
        first = start if self.since is None else max(start, self.since)
        limit = self.now if self.until is None else min(self.until, self.now)
        return max(0.0, ((limit if end is None else min(end, limit)) - first).total_seconds())


def fold(uom: Uom, points: Iterable[Point], period: Period, past: Past = "ever active") -> dict[Group, float]:
    """Return the total of each group that has one.

    Args:
        uom: says how.
        points: its own, in the order of their arrival.
        period: which of them count.
        past: of which past a running total knows.
    """
    groups: dict[Group, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.at):  # stable: at one instant in the order of arrival
        if period.follows(point.at):
            break
        groups.setdefault(_group(uom, point), []).append(point)
    totals = {group: _total(uom, own, period, past) for group, own in groups.items()}
    return {group: total for group, total in totals.items() if total is not None}


def _total(uom: Uom, points: Sequence[Point], period: Period, past: Past) -> float | None:
    match uom.aggregation_type:
        case "unique_count":
            seen = _series(uom, (point for point in points if period.holds(point.at)))
            return float(len(seen)) if seen else None
        case "running_total":
            active = [_is_active(own, period, past) for own in _series(uom, points).values()]
            return float(sum(active)) if active else None
        case "duration":
            lasted = [_duration(own, period) for own in _series(uom, points).values()]
            return _sum(lasted) if lasted else None
        case kind:
            held = [point.value for point in points if period.holds(point.at)]
            return FOLDS[kind](held) if held else None


def _is_active(points: Sequence[Point], period: Period, past: Past) -> bool:
    before = [point.value != 0 for point in points if period.precedes(point.at)]
    carried = any(before) if past == "ever active" else bool(before) and before[-1]
    return carried or any(point.value != 0 for point in points if period.holds(point.at))


def _duration(points: Sequence[Point], period: Period) -> float:
    ends = (*(point.at for point in points[1:]), None)
    return _sum([point.value * period.seconds(point.at, end) for point, end in zip(points, ends, strict=True)])


def _series(uom: Uom, points: Iterable[Point]) -> dict[Hashable, list[Point]]:
    """Return the points of each value of the unique dimension."""
    series: dict[Hashable, list[Point]] = {}
    for point in points:
        unique: Hashable = point.dimensions
        if uom.unique_dimension:
            unique = dict(point.dimensions).get(uom.declared(uom.unique_dimension) or uom.unique_dimension)
        if unique is not None:
            series.setdefault(unique, []).append(point)
    return series


def _group(uom: Uom, point: Point) -> Group:
    dimensions = point.dimensions
    if uom.aggregation_type in BY_UNIQUE_DIMENSION:
        unique = uom.unique_dimension.lower()
        dimensions = tuple(each for each in dimensions if unique and each[0].lower() != unique)
    return Group(point.account_ref, point.org_ref, point.user_ref, dimensions)


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # beyond the largest double, on the way or already in the values
        return sum(values)


FOLDS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "latest": lambda values: values[-1],
    "maximum": max,
    "minimum": min,
    "oldest": lambda values: values[0],
    "sum": _sum,
}
