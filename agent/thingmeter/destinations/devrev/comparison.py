"""What differs between a UOM as it is declared here and as DevRev has it (pure).

What DevRev cannot change later, and what would change the meaning of the records, is a conflict; texts for people are
left as they are there. Its reference says which members every UOM has (aggregation_details with an aggregation_type,
unit, product ...) and which only some have (unique_dimension, dimensions, part). Of the first, what it does not show is
unknown, and the unknown is no conflict. Of the second, it has no other way to show that there is none: a
unique_dimension that is left out is none, and dimensions that are left out are missing.
Source: DevRev's beta API reference, the schemas ``uom`` and ``aggregation-detail``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from thingmeter.destinations.answers import shown
from thingmeter.destinations.devrev.definition import UomDefinition

MAXIMUM_DIMENSIONS = 12  # of a UOM: uoms.create


class Aggregation(msgspec.Struct, frozen=True):
    """How DevRev folds records; ``unique_dimension`` is None where there is none."""

    aggregation_type: str | None = None
    unique_dimension: str | None = None


class Unit(msgspec.Struct, frozen=True):
    """What is counted."""

    name: str | None = None
    type: str | None = None


class Part(msgspec.Struct, frozen=True):
    """A product or a part of one; configurations name it by either id."""

    id: str | None = None
    display_id: str | None = None


class Uom(msgspec.Struct, frozen=True):
    """The members of DevRev's UOM that matter here; None: it shows none.

    The aggregation is called ``aggregation_details`` in answers, and ``aggregation_detail`` in requests.
    """

    metric_name: str
    id: str | None = None
    name: str | None = None
    description: str | None = None
    is_enabled: bool | None = None
    metric_scope: str | None = None
    aggregation_details: Aggregation | None = None
    unit: Unit | None = None
    dimensions: tuple[str, ...] | None = None
    product: Part | None = None
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a UOM is what was declared.

    Attributes:
        conflict: what keeps it from being that; empty where nothing does.
        missing: declared dimensions that it lacks.
        notes: other differences, which stay.
    """

    conflict: str = ""
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def compare(definition: UomDefinition, uom: Uom) -> Comparison:
    """Return what differs; of several conflicts all of them, in one line."""
    present = uom.dimensions or ()
    missing = _without(definition.dimensions, present)
    conflicts = list(_conflicts(definition, uom))
    if missing and len(present) + len(missing) > MAXIMUM_DIMENSIONS:
        conflicts.append(
            f"it has {len(present)} dimensions, and adding {', '.join(missing)} would exceed {MAXIMUM_DIMENSIONS}"
        )
    return Comparison("; ".join(conflicts), missing, tuple(_notes(definition, uom)))


def _conflicts(definition: UomDefinition, uom: Uom) -> Iterable[str]:
    details = uom.aggregation_details
    if details is not None and (details.aggregation_type is not None or details.unique_dimension is not None):
        if details.aggregation_type not in {None, definition.aggregation_type}:
            yield _other("aggregation_type", details.aggregation_type, definition.aggregation_type)
        unique = details.unique_dimension or ""
        if unique.lower() != definition.unique_dimension.lower():
            yield _other("unique_dimension", unique, definition.unique_dimension)
    if uom.unit is not None and uom.unit.type not in {None, definition.unit_type}:
        yield _other("unit.type", uom.unit.type, definition.unit_type)
    if _is_other(definition.product_id, uom.product):
        yield _other("product_id", _shown_part(uom.product), definition.product_id)
    if definition.part_id and _is_other(definition.part_id, uom.part):
        yield _other("part_id", _shown_part(uom.part), definition.part_id)


def _notes(definition: UomDefinition, uom: Uom) -> Iterable[str]:
    if uom.metric_name != definition.metric_name:
        yield f'metric_name is "{shown(uom.metric_name)}" there'
    if uom.name not in {None, definition.display_name}:
        yield f'name is "{shown(uom.name or "")}" there'
    if uom.description is not None and uom.description != definition.description:
        yield "description is another one there"
    if uom.unit is not None and uom.unit.name not in {None, definition.unit_name}:
        yield f'unit.name is "{shown(uom.unit.name or "")}" there'
    if definition.part_id and (uom.part is None or not (uom.part.id or uom.part.display_id)):
        yield "DevRev shows no part for it"


def _without(wanted: Iterable[str], present: Iterable[str]) -> tuple[str, ...]:
    known = {dimension.lower() for dimension in present}
    return tuple(dimension for dimension in wanted if dimension.lower() not in known)


def _is_other(wanted: str, part: Part | None) -> bool:
    """Return whether ``part`` is certainly not the one that ``wanted`` names by id or by display id.

    An id (``don:core:...``) and a display id (``PROD-1``) cannot be held against each other.
    """
    told = [name.lower() for name in (part.id, part.display_id) if name] if part is not None else []
    alike = [name for name in told if name.startswith("don:") == wanted.lower().startswith("don:")]
    return bool(alike) and wanted.lower() not in told


def _shown_part(part: Part | None) -> str:
    return (part.display_id or part.id or "") if part is not None else ""


def _other(key: str, theirs: str | None, ours: str) -> str:
    return f'{key} is "{shown(theirs or "")}" there and "{ours}" here'
