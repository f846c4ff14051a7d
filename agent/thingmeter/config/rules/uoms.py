"""[[devrev.uom]]: those that DevRev would refuse, that could never count anything, that nobody is billed for."""

from __future__ import annotations

from typing import Final

from thingmeter.config.places import KeyPath
from thingmeter.config.reading import Reading
from thingmeter.config.rules.names import check_names
from thingmeter.config.settings import AggregationType, Uom
from thingmeter.config.wording import listed, show

COUNTS_DISTINCT: Final[tuple[AggregationType, ...]] = ("unique_count", "running_total")
"""What is a number of distinct values of a dimension. DevRev's API does not ask for that dimension, but without it a
record says nothing that could be counted. Otherwise every type goes with either unit: a boolean is sent as 1 or 0."""


def check_uoms(reading: Reading, uoms: tuple[Uom, ...]) -> None:
    """Report what is wrong with the UOMs of [devrev]."""
    array = ("devrev", "uom")
    for index, uom in enumerate(uoms):
        _check_dimensions(reading, (*array, index), uom)
        _check_account(reading, (*array, index), uom)
        _check_increase(reading, (*array, index), uom)
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


def _check_account(reading: Reading, table: KeyPath, uom: Uom) -> None:
    for whose in ("account", "org", "user"):
        dimension = (*table, f"{whose}_dimension")
        if reading.given((*table, f"{whose}_ref")) and reading.given(dimension):
            reading.check(dimension, f"excludes {whose}_ref: a record has one {whose}; leave one of the two out")
    named = (*table, "account_ref"), (*table, "account_dimension"), ("devrev", "account_ref")
    if not uom.from_ or any(map(reading.given, named)):
        return
    reason = (
        "nobody would be billed for its records: give account_ref here, or account_ref in [devrev] for all UOMs, or "
        "account_dimension here, the dimension whose value is the account"
    )
    reading.report(named[0], reason, at=table)


def _check_increase(reading: Reading, table: KeyPath, uom: Uom) -> None:
    increase, aggregation = (*table, "maximum_increase"), (*table, "aggregation_type")
    if reading.given(increase) and uom.aggregation_type != "sum" and reading.sound(aggregation):
        reading.check(increase, 'is for the aggregation type "sum", which alone bills what a counter grows by')
