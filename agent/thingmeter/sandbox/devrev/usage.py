"""Usage records: which points are accepted, which are dropped in silence, and what they add up to.

A request is taken whole or not at all. Source: ``metrics.devrev.ingest`` of DevRev's beta API.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from thingmeter.protocols import Clock
from thingmeter.sandbox.defender.tree import show
from thingmeter.sandbox.devrev.memory import Memory
from thingmeter.sandbox.devrev.points import Drop, Point, Reason, points_of
from thingmeter.sandbox.devrev.refusals import Flaw, bad_request
from thingmeter.sandbox.devrev.switches import Switches
from thingmeter.sandbox.devrev.totals import Group, Period, fold
from thingmeter.sandbox.devrev.uom import Uom
from thingmeter.sandbox.devrev.uoms import Uoms
from thingmeter.sandbox.http.messages import HttpAnswer


class Usage:
    """Takes points in, and keeps every one for the totals.

    Attributes:
        dropped: what was dropped behind a 200, oldest first.
    """

    def __init__(self, uoms: Uoms, clock: Clock, switches: Switches) -> None:
        self.dropped: list[Drop] = []
        self._uoms = uoms
        self._clock = clock
        self._switches = switches
        self._memory = Memory(clock, switches)
        self._accepted: dict[int, list[Point]] = {}

    def ingest(self, body: dict[str, Any]) -> HttpAnswer:
        """Take in the points of a request of the right shape."""
        uoms = {name: self._uoms.named(name) for name in {metric["name"] for metric in body["metrics"]}}
        points = [(point, uoms[point.name]) for point in points_of(body)]
        fates = [tuple(self._misfits(point, uom)) for point, uom in points]
        flaws = [flaw for misfits in fates for flaw in misfits if isinstance(flaw, Flaw)]
        if flaws:
            return bad_request(flaws)
        for (point, uom), misfits in zip(points, fates, strict=True):
            reason = next((each for each in misfits if isinstance(each, str)), None)
            self._take(point, uom, reason)
        return HttpAnswer(200)

    def points(self, metric_name: str) -> tuple[Point, ...]:
        """Return the accepted points of a UOM, in the order of their arrival."""
        uom = self._uoms.named(metric_name)
        return () if uom is None else tuple(self._accepted.get(uom.serial, ()))

    def totals(
        self, metric_name: str, since: datetime | None = None, until: datetime | None = None
    ) -> dict[Group, float]:
        """Return what each group would be billed for a period; see ``totals.fold``.

        Args:
            metric_name: the UOM's.
            since: aware; all time before ``until`` when it is None.
            until: aware and excluded; now when it is None.
        """
        uom = self._uoms.named(metric_name)
        if uom is None:
            return {}
        # Without an end a point that bears a time to come counts as well, but nothing lasts longer than until now.
        period = Period(since, until, now=self._clock.now())
        return fold(uom, self.points(metric_name), period, self._switches.running_total)

    def _take(self, point: Point, uom: Uom | None, reason: Reason | None) -> None:
        """Accept or drop a point; one that is dropped for its UOM's sake leaves no trace in the memory."""
        if uom is None or reason is not None:
            self.dropped.append(Drop(reason or "unknown", point))
            return
        seen = self._memory.take(point, uom)
        if seen is not None:
            self.dropped.append(Drop(seen, point))
            return
        self._accepted.setdefault(uom.serial, []).append(replace(point, dimensions=_declared(point, uom)))

    def _misfits(self, point: Point, uom: Uom | None) -> Iterator[Reason | Flaw]:
        """Yield why a point is dropped, or the flaws for which the request is refused."""
        switches = self._switches
        longest = switches.maximum_id_length
        if longest is not None and len(point.id) > longest:
            yield Flaw("invalid_field", f"{point.path}.id", f"{len(point.id)} characters, more than {longest}")
        if uom is None:
            words = f"there is no UOM of the metric {show(point.name)}"
            yield from _misfit(switches.unknown_uom, "unknown", words, point)
            return
        if not uom.is_enabled:
            yield from _misfit(switches.disabled_uom, "disabled", f"the UOM {uom.metric_name} is disabled", point)
        undeclared = [key for key, _ in point.dimensions if uom.declared(key) is None]
        if undeclared:
            words = f"{', '.join(undeclared)} is no dimension of {uom.metric_name}"
            yield from _misfit(switches.undeclared_dimension, "undeclared dimension", words, point)
        if uom.metric_scope == "user" and not point.user_ref:
            words = f"user_ref is missing: the metric scope of {uom.metric_name} is user"
            yield from _misfit(switches.missing_user_ref, "no user_ref", words, point)
        if uom.unit_type == "boolean" and point.value not in {0.0, 1.0}:
            words = f"the unit of {uom.metric_name} is boolean: 0 or 1"
            yield from _misfit(switches.unfit_boolean, "no boolean", words, point)


def _misfit(
    fate: Literal["accepted", "ignored", "dropped", "refused"], reason: Reason, words: str, point: Point
) -> Iterator[Reason | Flaw]:
    if fate == "refused":
        yield Flaw("value_not_permitted", point.path, words, {"reason": words})
    elif fate == "dropped":
        yield reason


def _declared(point: Point, uom: Uom) -> tuple[tuple[str, str], ...]:
    known = ((uom.declared(key), value) for key, value in point.dimensions)
    return tuple(sorted((key, value) for key, value in known if key is not None))
