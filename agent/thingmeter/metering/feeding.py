"""Which UOMs a value feeds, and as what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thingmeter.config.settings import DevRev, Uom
from thingmeter.destinations.devrev.grouping import Misfit, Projection
from thingmeter.metering.measured import Series
from thingmeter.metrics import Dimensions, Metric


@dataclass(frozen=True, slots=True)
class Claim:
    """What one UOM takes of a value.

    Attributes:
        projection: of the UOM.
        series: which of the UOM's.
        is_increase: the UOM adds up what a counter grew by.
        maximum_increase: what the counter can grow by between two samples; None: by any amount.
    """

    projection: Projection
    series: Series
    is_increase: bool = False
    maximum_increase: float | None = None


class Feeding:
    """The UOMs of [devrev], by what feeds them."""

    def __init__(self, settings: DevRev) -> None:
        self._uoms: dict[str, list[tuple[Uom, Projection]]] = {}
        for uom in settings.uom:
            projection = Projection(uom, settings)
            self._uoms.setdefault(projection.source, []).append((uom, projection))

    def adds_up(self, name: str, dimensions: Dimensions) -> bool:
        """Return whether a sum takes values under ``name`` and with these dimensions."""
        return any(
            uom.aggregation_type == "sum" and projection.takes(name, dimensions)
            for uom, projection in self._uoms.get(name, ())
        )

    def of(self, name: str, dimensions: Dimensions, metric: Metric | None = None) -> Iterator[Claim]:
        """Yield what each UOM takes of a value under ``name``: a metric's full name, or what it was handed in under."""
        for uom, projection in self._uoms.get(name, ()):
            if not projection.takes(name, dimensions):
                continue
            group = projection.group(dimensions)
            if isinstance(group, Misfit):
                series = Series(group.group, uom.aggregation_type, group.reason)
            else:
                series = Series(group, uom.aggregation_type)
            is_increase = metric is not None and metric.kind == "counter" and uom.aggregation_type == "sum"
            yield Claim(projection, series, is_increase, uom.maximum_increase)
