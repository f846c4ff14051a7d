"""The UOMs that the tests of this folder declare, and attempts to register them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thingmeter.destinations.devrev.definition import UomDefinition
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.errors import DeliveryError
from thingmeter.plans import Outcome

LITRES = UomDefinition(
    metric_name="pumped_litres",
    display_name="Litres pumped",
    product_id="PROD-1",
    unit_name="litre",
    unit_type="number",
    aggregation_type="sum",
    dimensions=("site", "line"),
)
HOURS = replace(LITRES, metric_name="pump_hours", display_name="Hours of pumping", unit_name="hour")
FULL = replace(
    LITRES,
    aggregation_type="unique_count",
    unique_dimension="line",
    part_id="CAPL-2",
    description="Water through the main pump",
)


def applied(registrar: UomRegistrar, *definitions: UomDefinition) -> list[Outcome]:
    """Return the outcomes of an attempt that comes to its end."""
    return list(registrar.apply(registrar.plan(definitions or (LITRES,), ())))


def applied_in_part(registrar: UomRegistrar, *definitions: UomDefinition) -> tuple[list[Outcome], DeliveryError]:
    """Return the outcomes up to the error that ended the attempt, and that error."""
    outcomes: list[Outcome] = []
    with pytest.raises(DeliveryError) as caught:
        outcomes.extend(registrar.apply(registrar.plan(definitions or (LITRES,), ())))
    return outcomes, caught.value
