"""Every setting: its name, type, default, bounds and meaning; one file for each table and what belongs to it.

The loader, the JSON Schema, the README's table and the test of ``config/thingmeter.toml`` all read them here. A key
that carries a unit ends in it. ``Meta.extra`` says what msgspec has no word for: ``allowed`` (the bounds, where a
pattern does not speak for itself), ``default`` (where the loader works it out) and ``quota`` (whose limit the bound on
a number of tables is).
"""

from thingmeter.config.settings.aws import REGION, REGION_WORDS, Aws
from thingmeter.config.settings.clock import Clock
from thingmeter.config.settings.collectors import Collector
from thingmeter.config.settings.config import Config
from thingmeter.config.settings.defender import (
    AGGREGATES,
    MAXIMUM_CUSTOM_METRICS,
    Aggregate,
    Block,
    CustomMetric,
    Defender,
    MetricType,
)
from thingmeter.config.settings.devrev import DevRev
from thingmeter.config.settings.mqtt import Mqtt, Tls
from thingmeter.config.settings.outbox import Outbox
from thingmeter.config.settings.registration import Registration
from thingmeter.config.settings.thing import THING_NAME, THING_NAME_WORDS, Thing
from thingmeter.config.settings.topic import Topic
from thingmeter.config.settings.uom import AggregationType, Unit, UnitType, Uom

__all__ = [
    "AGGREGATES",
    "MAXIMUM_CUSTOM_METRICS",
    "REGION",
    "REGION_WORDS",
    "THING_NAME",
    "THING_NAME_WORDS",
    "Aggregate",
    "AggregationType",
    "Aws",
    "Block",
    "Clock",
    "Collector",
    "Config",
    "CustomMetric",
    "Defender",
    "DevRev",
    "MetricType",
    "Mqtt",
    "Outbox",
    "Registration",
    "Thing",
    "Tls",
    "Topic",
    "Unit",
    "UnitType",
    "Uom",
]
