"""[devrev]: its token, and the UOMs that DevRev would refuse or that could never count anything."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from thingmeter.config.addresses import url_fault
from thingmeter.config.places import KeyPath
from thingmeter.config.reading import Reading
from thingmeter.config.rules.names import check_names
from thingmeter.config.settings import AggregationType, DevRev, Uom
from thingmeter.config.wording import listed, show

COUNTS_DISTINCT: Final[tuple[AggregationType, ...]] = ("unique_count", "running_total")
"""What is a number of distinct values of a dimension. DevRev's API does not ask for that dimension, but without it a
record says nothing that could be counted. Otherwise every type goes with either unit: a boolean is sent as 1 or 0."""


def read_devrev(reading: Reading) -> DevRev | None:
    """Return [devrev], None without the table; its files are checked and made absolute."""
    if not reading.given(("devrev",)):
        return None
    devrev = reading.struct(DevRev, ("devrev",))
    reading.check(("devrev", "endpoint_url"), url_fault(devrev.endpoint_url))
    token, registration = ("devrev", "token_file"), ("devrev", "registration")
    if devrev.registration == "auto" and not reading.given(token) and reading.sound(registration):
        reason = 'token_file is missing: the path of a file with DevRev\'s token; or set registration = "off"'
        reading.report(token, reason, at=("devrev",))
    _check_uoms(reading, devrev.uom)
    return structs.replace(
        devrev,
        endpoint_url=devrev.endpoint_url.rstrip("/"),
        ca_file=reading.file(("devrev", "ca_file"), devrev.ca_file),
        token_file=reading.file(token, devrev.token_file, private=True),
    )


def _check_uoms(reading: Reading, uoms: tuple[Uom, ...]) -> None:
    array = ("devrev", "uom")
    for index, uom in enumerate(uoms):
        _check_dimensions(reading, (*array, index), uom)
    check_names(reading, (((*array, index, "metric_name"), uom.metric_name) for index, uom in enumerate(uoms)))


def _check_dimensions(reading: Reading, table: KeyPath, uom: Uom) -> None:
    dimensions, unique = (*table, "dimensions"), (*table, "unique_dimension")
    check_names(reading, (((*dimensions, index), key) for index, key in enumerate(uom.dimensions)))
    if not reading.sound(dimensions, unique):
        return
    if uom.unique_dimension:
        if uom.unique_dimension not in uom.dimensions:
            reading.report(unique, _not_among(uom.unique_dimension, uom.dimensions))
    elif uom.aggregation_type in COUNTS_DISTINCT:
        reason = "counts the distinct values of one dimension: give unique_dimension, one of dimensions"
        reading.check((*table, "aggregation_type"), reason)


def _not_among(unique: str, dimensions: tuple[str, ...]) -> str:
    if not dimensions:
        return f"must be one of dimensions, of which there are none: add dimensions = [{show(unique)}]"
    same = next((key for key in dimensions if key.lower() == unique.lower()), None)
    hint = f"; did you mean {show(same)}?" if same else ""
    return f"must be one of dimensions: {listed(map(show, dimensions))}{hint}"
