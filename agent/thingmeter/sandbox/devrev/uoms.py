"""All UOMs of the organisation, and which of them a list shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from thingmeter.protocols import Clock
from thingmeter.sandbox.devrev.parts import part_of
from thingmeter.sandbox.devrev.switches import Switches
from thingmeter.sandbox.devrev.uom import Uom


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; an empty field narrows nothing.

    ``metric_names`` are in lower case where it ``ignores_case``; parts and products are pairs of type and number.
    """

    aggregation_types: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    metric_names: frozenset[str] = frozenset()
    parts: frozenset[tuple[str, str]] = frozenset()
    products: frozenset[tuple[str, str]] = frozenset()
    unit_types: frozenset[str] = frozenset()
    ignores_case: bool = True

    def takes(self, uom: Uom) -> bool:
        """Return whether the UOM passes."""
        return (
            _passes(uom.metric_name.lower() if self.ignores_case else uom.metric_name, self.metric_names)
            and _passes(uom.aggregation_type, self.aggregation_types)
            and _passes(uom.id, self.ids)
            and _passes(uom.unit_type, self.unit_types)
            and (not self.products or _key(uom.product.id) in self.products)
            and (not self.parts or (uom.part is not None and _key(uom.part.id) in self.parts))
        )


def filter_of(body: dict[str, Any], *, ignores_case: bool) -> Filter:
    """Return the filter of a request that has the shape of one."""
    names = body.get("metric_names", ())
    return Filter(
        aggregation_types=frozenset(body.get("aggregation_types", ())),
        ids=frozenset(body.get("ids", ())),
        metric_names=frozenset(map(str.lower, names) if ignores_case else names),
        unit_types=frozenset(body.get("unit_types", ())),
        parts=frozenset(map(_key, body.get("part_ids", ()))),
        products=frozenset(map(_key, body.get("product_ids", ()))),
        ignores_case=ignores_case,
    )


class Uoms:
    """The UOMs there are; iterates over them in the order of their creation."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._ever: dict[int, Uom] = {}
        self._born: dict[int, tuple[float, int]] = {}
        self._deleted: set[int] = set()
        self._lists = 0

    def __iter__(self) -> Iterator[Uom]:
        return iter([uom for uom in self._ever.values() if uom.serial not in self._deleted])

    def __len__(self) -> int:
        return len(self._ever) - len(self._deleted)

    @property
    def next_serial(self) -> int:
        """The serial number of the next new UOM."""
        return len(self._ever) + 1

    def named(self, metric_name: str) -> Uom | None:
        """Return the UOM of a metric name, whatever its case."""
        return next((uom for uom in self if uom.metric_name.lower() == metric_name.lower()), None)

    def of_id(self, uom_id: str) -> Uom | None:
        """Return the UOM of a DON."""
        return next((uom for uom in self if uom.id == uom_id), None)

    def put(self, uom: Uom) -> None:
        """Store a new UOM, or a changed one in its place, without judging it: a test may make what no call could."""
        if uom.serial not in self._ever:
            self._born[uom.serial] = (self._clock.monotonic(), self._lists)
        self._ever[uom.serial] = uom

    def delete(self, uom: Uom) -> None:
        """Remove a UOM."""
        self._deleted.add(uom.serial)

    def count_list(self) -> None:
        """Take note of one more list, for UOMs that only a later one shows."""
        self._lists += 1

    def ever(self) -> Sequence[Uom]:
        """Return all there ever were, deleted ones included, in the order of their creation."""
        return tuple(self._ever.values())

    def shows(self, uom: Uom, narrowed: Filter) -> bool:
        """Return whether a list shows the UOM now."""
        born_s, lists = self._born[uom.serial]
        return (
            uom.serial not in self._deleted
            and self._clock.monotonic() - born_s >= self._switches.visible_after_s
            and self._lists - lists >= self._switches.visible_after_lists
            and narrowed.takes(uom)
        )


def _passes(value: str, allowed: frozenset[str]) -> bool:
    return not allowed or value in allowed


def _key(part_id: str) -> tuple[str, str]:
    """Return what two names of one part have in common."""
    part = part_of(part_id)
    return ("", part_id) if part is None else (part.type, part.id.rpartition("/")[2])
