"""A UOM as it is declared to DevRev: plain data, light enough for the daemon.

Source: DevRev's beta API reference, uoms.create.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from thingmeter.config.settings import AggregationType, Config, UnitType

FOR_PEOPLE = frozenset({"display_name", "unit_name", "description"})


@dataclass(frozen=True, slots=True)
class UomDefinition:
    """One UOM; what DevRev calls its name is ``display_name`` here, since ``name`` is what a registrar knows it by.

    Attributes:
        metric_name: unique in the organisation, ignoring case.
        display_name: for people.
        product_id: of the product that is metered; its id or its display id.
        unit_name: for people.
        unit_type: number or boolean.
        aggregation_type: what DevRev folds records into.
        unique_dimension: may be empty, as ``part_id`` and ``description``.
        dimensions: keys, unique ignoring case; at most twelve.
    """

    metric_name: str
    display_name: str
    product_id: str
    unit_name: str
    unit_type: UnitType
    aggregation_type: AggregationType
    unique_dimension: str = ""
    part_id: str = ""
    description: str = ""
    dimensions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The metric name."""
        return self.metric_name

    def fingerprint(self) -> str:
        """Return a digest of all that is declared: equal for equal definitions, on every device and at every start.

        The order of the dimensions means nothing to DevRev, so it means nothing here.
        """
        return _digest(asdict(self) | {"dimensions": sorted(self.dimensions)})

    def essence(self) -> str:
        """Return a digest of all but what is for people: the name, the description and the unit's name."""
        content = asdict(self) | {"dimensions": sorted(self.dimensions)}
        return _digest({key: content[key] for key in content.keys() - FOR_PEOPLE})


def definitions_of(config: Config) -> tuple[UomDefinition, ...]:
    """Return what the configuration declares to DevRev, in its order."""
    if config.devrev is None:
        return ()
    return tuple(
        UomDefinition(
            metric_name=uom.metric_name,
            display_name=uom.name,
            product_id=uom.product_id,
            unit_name=uom.unit.name,
            unit_type=uom.unit.type,
            aggregation_type=uom.aggregation_type,
            unique_dimension=uom.unique_dimension,
            part_id=uom.part_id,
            description=uom.description,
            dimensions=uom.dimensions,
        )
        for uom in config.devrev.uom
    )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
