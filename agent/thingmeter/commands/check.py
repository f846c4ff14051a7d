"""``thingmeter check``: reads the configuration and loads the plugins; no network, no writes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thingmeter.collectors.plugins import LoadedCollector
    from thingmeter.config import Config

HELP = "read the configuration and load the collectors; no network, no writes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--schema`` and ``--origins``."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--schema", action="store_true", help="print a JSON Schema of the configuration, for editors")
    what.add_argument("--origins", action="store_true", help="list every setting in force and where it comes from")


def run(arguments: argparse.Namespace) -> int:
    """Print what would run, or raise ConfigError with every mistake."""
    if arguments.schema:
        return _print_schema()
    from thingmeter.config import default_path, load

    path = arguments.config or default_path()
    config = load(path)
    if arguments.origins:
        return _print_origins(config)
    loaded = _load(config)
    print(f"{path}: good")
    print(f"thing       {config.thing.name}")
    if config.mqtt:
        print(f"mqtt        {config.mqtt.client} to {config.mqtt.host}:{config.mqtt.port} as {config.mqtt.client_id}")
    if config.defender:
        custom = len(config.defender.custom_metric)
        blocks = ", ".join(config.defender.blocks) or "none"
        print(f"defender    every {config.defender.interval_s:g} s; blocks {blocks}; custom metrics {custom}")
    fed = [uom for uom in config.devrev.uom if uom.from_] if config.devrev else []
    if config.devrev and fed:
        devrev = config.devrev
        where = f"MQTT topic {devrev.topic}" if devrev.route == "mqtt" else devrev.endpoint_url
        print(f"devrev      usage of {len(fed)} UOMs in windows of {devrev.window_s} s to {where}")
    if config.topic:
        print(f"topic       every {config.topic.interval_s:g} s to {config.topic.template}")
    for line in _registrations(config):
        print(line)
    print(f"collectors  {', '.join(f'{one.name} every {one.interval_s:g} s' for one in loaded)}")
    return 0


def _registrations(config: Config) -> list[str]:
    from thingmeter.registration.declared import declared_in

    return [f"registers   {one.words()}" for one in declared_in(config)]


def _load(config: Config) -> Sequence[LoadedCollector]:
    """Load all that the configuration names; raise ConfigError with every mistake that only shows then."""
    from thingmeter.clock import SystemClock
    from thingmeter.errors import ConfigError, Problem
    from thingmeter.health import Health
    from thingmeter.loading import load_collectors, make_session, mapping_problems
    from thingmeter.mqtt.tls import files_problem
    from thingmeter.registration.declared import library_problem

    problems: list[Problem] = []
    if missing := library_problem(config):
        problems.append(missing)
    loaded: Sequence[LoadedCollector] = ()
    if config.mqtt and (mistake := files_problem(config.mqtt, SystemClock().now())):
        problems.append(config.problem("mqtt.tls", "", mistake.removeprefix("tls: ")))
    try:
        make_session(config, SystemClock())
    except ConfigError as error:
        problems += error.problems
    try:
        loaded = load_collectors(config, Health())
        problems += mapping_problems(config, loaded)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(tuple(problems))
    return loaded


def _print_schema() -> int:
    import json

    from thingmeter.config.schema import schema

    print(json.dumps(schema(), indent=2))
    return 0


def _print_origins(config: Config) -> int:
    from thingmeter.config.sources import sources

    rows = [(f"[{one.table}] {one.key} = {one.value}", one.origin) for one in sources(config)]
    width = max(len(setting) for setting, _ in rows)
    for setting, origin in rows:
        print(f"{setting:{width}}  {origin}")
    return 0
