"""A UOM as DevRev keeps it, and as it stands in an answer. Source: the schema ``uom`` of DevRev's beta API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thingmeter.sandbox.devrev.parts import ORGANISATION, Part
from thingmeter.sandbox.devrev.switches import DimensionOrder

CALLER = {
    "type": "service_account",
    "id": f"{ORGANISATION.replace('core', 'identity')}:svcacc/1",
    "display_id": "SVCACC-1",
    "display_name": "sandbox",
}


@dataclass(frozen=True, slots=True)
class Uom:
    """A unit of measurement.

    ``serial`` counts UOMs from 1 in the order of their creation; texts that may be missing are empty then.
    """

    serial: int
    metric_name: str
    name: str
    product: Part
    unit_name: str
    unit_type: str
    aggregation_type: str
    created_at: datetime
    modified_at: datetime
    unique_dimension: str = ""
    dimensions: tuple[str, ...] = ()
    description: str = ""
    part: Part | None = None
    is_enabled: bool = True
    metric_scope: str = "org"

    @property
    def id(self) -> str:
        """Its DON."""
        return f"{ORGANISATION}:uom/{self.serial}"

    def declared(self, key: str) -> str | None:
        """Return a dimension's key as the UOM spells it; None for one that it has not."""
        return next((each for each in self.dimensions if each.lower() == key.lower()), None)

    def content(self, order: DimensionOrder = "as sent") -> dict[str, Any]:
        """Return it as an answer has it; what is empty is left out."""
        optional: dict[str, Any] = {
            "description": self.description,
            "dimensions": _ordered(self.dimensions, order),
            "part": None if self.part is None else self.part.content(),
        }
        details = {"aggregation_type": self.aggregation_type}
        if self.unique_dimension:
            details["unique_dimension"] = self.unique_dimension
        return {
            "id": self.id,
            "display_id": f"UOM-{self.serial}",
            "created_by": CALLER,
            "created_date": date_text(self.created_at),
            "modified_by": CALLER,
            "modified_date": date_text(self.modified_at),
            "aggregation_details": details,
            "is_enabled": self.is_enabled,
            "metric_name": self.metric_name,
            "metric_scope": self.metric_scope,
            "name": self.name,
            "product": self.product.content(),
            "unit": {"name": self.unit_name, "type": self.unit_type},
            **{key: value for key, value in optional.items() if value},
        }


def date_text(at: datetime) -> str:
    """Return a time as DevRev writes it: UTC, with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ordered(dimensions: tuple[str, ...], order: DimensionOrder) -> list[str]:
    match order:
        case "as sent":
            return list(dimensions)
        case "sorted":
            return sorted(dimensions)
        case "reversed":
            return list(reversed(dimensions))
