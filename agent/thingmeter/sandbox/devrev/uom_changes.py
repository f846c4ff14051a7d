"""What a create or an update makes of a UOM, once the request has the right shape. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from thingmeter.sandbox.devrev.parts import Part, part_of
from thingmeter.sandbox.devrev.refusals import Flaw
from thingmeter.sandbox.devrev.switches import Switches
from thingmeter.sandbox.devrev.uom import Uom
from thingmeter.sandbox.devrev.uom_rules import MAXIMUM_DIMENSIONS


def created(body: dict[str, Any], serial: int, now: datetime, switches: Switches) -> tuple[Uom | None, list[Flaw]]:
    """Return the new UOM of a request, or what is wrong with it."""
    flaws = list(_missing_parts(body, switches))
    detail, unit = body["aggregation_detail"], body["unit"]
    dimensions = [_kept(each, switches) for each in body.get("dimensions", ())]
    unique = _kept(detail.get("unique_dimension", ""), switches)
    if unique and switches.declared_unique_dimension and unique.lower() not in map(str.lower, dimensions):
        reason = "is not one of the dimensions"
        flaws.append(Flaw("value_not_permitted", "aggregation_detail.unique_dimension", reason, {"reason": reason}))
    product = part_of(body["product_id"])
    if flaws or product is None:
        return None, flaws
    uom = Uom(
        serial=serial,
        metric_name=_kept(body["metric_name"], switches),
        name=body["name"],
        product=product,
        unit_name=unit["name"],
        unit_type=unit["type"],
        aggregation_type=detail["aggregation_type"],
        created_at=now,
        modified_at=now,
        unique_dimension=unique,
        dimensions=tuple(dimensions),
        description=body.get("description", ""),
        part=_part(body, "part_id"),
        is_enabled=switches.created_enabled,
        metric_scope=switches.metric_scope,
    )
    return uom, []


def updated(uom: Uom, body: dict[str, Any], now: datetime, switches: Switches) -> tuple[Uom, list[Flaw]]:
    """Return the UOM as a request changes it, and what is wrong with the request."""
    changes = body.get("dimensions", {})
    flaws = [
        *_missing_parts(body, switches),
        *_wrong_changes(uom, changes.get("add", ()), changes.get("remove", ()), switches),
    ]
    gone = {each.lower() for each in changes.get("remove", ())}
    added = [_kept(each, switches) for each in changes.get("add", ()) if uom.declared(each) is None]
    dimensions = (*(each for each in uom.dimensions if each.lower() not in gone), *added)
    if len(dimensions) > MAXIMUM_DIMENSIONS:
        flaws.append(
            Flaw("invalid_field", "dimensions.add", f"{len(dimensions)} dimensions, more than {MAXIMUM_DIMENSIONS}")
        )
    changed = replace(
        uom,
        aggregation_type=body.get("aggregation_type", uom.aggregation_type),
        description=body.get("description", uom.description),
        dimensions=dimensions,
        is_enabled=body.get("is_enabled", uom.is_enabled),
        modified_at=now,
        name=body.get("name", uom.name),
        part=_part(body, "part_id") or uom.part,
        product=_part(body, "product_id") or uom.product,
        unit_name=body.get("unit", uom.unit_name),
    )
    return changed, flaws


def _wrong_changes(uom: Uom, added: list[str], removed: list[str], switches: Switches) -> Iterator[Flaw]:
    both = sorted({each.lower() for each in added} & {each.lower() for each in removed})
    if both:
        yield Flaw("invalid_field", "dimensions", f"{', '.join(both)} is added and removed")
    if uom.unique_dimension.lower() in map(str.lower, removed):
        reason = "the unique dimension cannot be removed"
        yield Flaw("value_not_permitted", "dimensions.remove", reason, {"reason": reason})
    if switches.repeated_dimension == "refused":
        there = [each for each in added if uom.declared(each) is not None]
        if there:
            yield Flaw("invalid_field", "dimensions.add", f"{', '.join(there)} is there already")
        missing = [each for each in removed if uom.declared(each) is None]
        if missing:
            yield Flaw("invalid_field", "dimensions.remove", f"{', '.join(missing)} is not there")


def _missing_parts(body: dict[str, Any], switches: Switches) -> Iterator[Flaw]:
    for key in ("product_id", "part_id"):
        part = _part(body, key)
        if part is not None and switches.known_parts is not None and part.display_id not in switches.known_parts:
            yield Flaw("invalid_id", key, f"{part.display_id} does not exist")


def _part(body: dict[str, Any], key: str) -> Part | None:
    return part_of(body[key]) if key in body else None


def _kept(text: str, switches: Switches) -> str:
    return text.lower() if switches.stored_case == "lower" else text
