"""Loads what a configuration names: the MQTT library, the collectors, and what fits between them and the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thingmeter.collectors.plugins import LoadedCollector, load
from thingmeter.config import Config
from thingmeter.config.changes import with_collectors, with_custom_metrics, with_uoms
from thingmeter.config.settings import Defender, DevRev
from thingmeter.destinations.defender.mapping import collectors_of, mistake_in
from thingmeter.destinations.devrev import grouping
from thingmeter.errors import ConfigError, Problem
from thingmeter.health import Health
from thingmeter.metrics import Metric
from thingmeter.mqtt.session import Session
from thingmeter.outbox import Outbox
from thingmeter.protocols import Clock


def make_session(config: Config, clock: Clock) -> Session | None:
    """Load the MQTT library that [mqtt] names; nothing is connected yet. None without [mqtt].

    Raises:
        ConfigError: the library is not installed.
    """
    if config.mqtt is None:
        return None
    try:
        return Session(config.mqtt, config.thing.name, clock=clock)
    except ConfigError as error:
        problems = (config.problem("mqtt", "client", problem.message) for problem in error.problems)
        raise ConfigError(tuple(problems)) from error


def load_collectors(
    config: Config, health: Health, outbox: Outbox | None = None, clock: Clock | None = None
) -> tuple[LoadedCollector, ...]:
    """Load what is configured, and what the blocks of the report are made of.

    Raises:
        ConfigError: a collector is unknown, or an option of one is wrong.
    """
    if config.defender:
        config = with_collectors(config, collectors_of(config.defender))
    return load(config, provided={"health": health, "outbox": outbox, "clock": clock})


def mapping_problems(config: Config, loaded: Sequence[LoadedCollector]) -> list[Problem]:
    """Return a Problem for each custom metric and each UOM that its ``from`` can never feed."""
    known = known_metrics(loaded)
    mistakes = [
        (f"defender.custom_metric.{index}", mistake_in(metric, known))
        for index, metric in enumerate(config.defender.custom_metric if config.defender else ())
    ]
    mistakes += [
        (f"devrev.uom.{index}", grouping.mistake_in(uom, known))
        for index, uom in enumerate(config.devrev.uom if config.devrev else ())
    ]
    return [config.problem(table, "from", mistake) for table, mistake in mistakes if mistake]


def without_mistakes(config: Config, loaded: Sequence[LoadedCollector]) -> Defender | None:
    """Return the [defender] settings without the custom metrics that can never have a value."""
    if config.defender is None:
        return None
    known = known_metrics(loaded)
    good = (metric for metric in config.defender.custom_metric if not mistake_in(metric, known))
    return with_custom_metrics(config.defender, good)


def usage_without_mistakes(config: Config, loaded: Sequence[LoadedCollector]) -> DevRev | None:
    """Return the [devrev] settings without the UOMs that can never be fed."""
    if config.devrev is None:
        return None
    known = known_metrics(loaded)
    return with_uoms(config.devrev, (uom for uom in config.devrev.uom if not grouping.mistake_in(uom, known)))


def known_metrics(loaded: Sequence[LoadedCollector]) -> Mapping[str, Metric]:
    """Return every metric that a loaded collector declares, by its full name."""
    return {f"{one.name}.{metric.name}": metric for one in loaded for metric in one.collector.metrics}
