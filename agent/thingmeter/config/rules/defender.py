"""[defender]: intervals, and the custom metrics that a service would refuse."""

from __future__ import annotations

import unicodedata

from thingmeter.config.reading import Reading
from thingmeter.config.rules.names import check_names
from thingmeter.config.settings import AGGREGATES, CustomMetric, Defender
from thingmeter.config.wording import listed, show, show_key

TAG_SIGNS_WORDS = "letters, digits, spaces and _ . : / = + - @"
TAG_SIGNS = frozenset("_.:/=+-@")  # AWS IoT TagKey; its letters, separators and numbers are Unicode's L, Z and N


def read_defender(reading: Reading) -> Defender | None:
    """Return [defender], None without the table."""
    if not reading.given(("defender",)):
        return None
    defender = reading.struct(Defender, ("defender",))
    if not reading.given(("mqtt",)):
        reason = "needs the tables [mqtt] and [mqtt.tls], which say where reports go"
        reading.report(("mqtt",), reason, at=("defender",))
    interval, minimum = ("defender", "interval_s"), ("defender", "minimum_interval_s")
    if defender.interval_s < defender.minimum_interval_s and reading.sound(interval, minimum):
        if reading.given(interval):
            reading.report(interval, f"must be at least minimum_interval_s ({defender.minimum_interval_s})")
        else:
            reading.report(minimum, f"is above interval_s, whose default is {defender.interval_s}; raise that as well")
    _check_blocks(reading, defender)
    _check_custom_metrics(reading, defender.custom_metric)
    return defender


def _check_blocks(reading: Reading, defender: Defender) -> None:
    path = ("defender", "blocks")
    if not defender.blocks and not defender.custom_metric and reading.sound(path, ("defender", "custom_metric")):
        reading.report(path, "leaves nothing to report: name a block, or add a [[defender.custom_metric]]")


def _check_custom_metrics(reading: Reading, metrics: tuple[CustomMetric, ...]) -> None:
    array = ("defender", "custom_metric")
    for index, metric in enumerate(metrics):
        name, kind, aggregate = ((*array, index, key) for key in ("name", "type", "aggregate"))
        if metric.name.startswith("aws:"):
            reading.report(name, "must not begin with aws:, which AWS keeps to itself")
        allowed = AGGREGATES.get(metric.type, ())
        if reading.sound(kind, aggregate) and metric.aggregate not in allowed:
            reading.report(aggregate, f"must be {listed(map(show, allowed))} for the type {show(metric.type)}")
        for key in filter(_strange_sign, metric.tags):
            reason = (
                f"the key {show_key(key)} has {show(_strange_sign(key))} in it, and AWS takes {TAG_SIGNS_WORDS} alone"
            )
            reading.report((*array, index, "tags", key), reason)
    check_names(reading, (((*array, index, "name"), metric.name) for index, metric in enumerate(metrics)))


def _strange_sign(key: str) -> str:
    """Return the first character that AWS takes in no tag's key, or nothing."""
    return next((sign for sign in key if sign not in TAG_SIGNS and unicodedata.category(sign)[0] not in "LZN"), "")
