"""Reads a configuration: files, variables, structs, rules. Every mistake in it is found before it is refused."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from thingmeter.config.environment import substitute_tree
from thingmeter.config.files import read_documents
from thingmeter.config.places import KeyPath, Places
from thingmeter.config.reading import Reading
from thingmeter.config.rules import (
    read_aws,
    read_clock,
    read_collectors,
    read_defender,
    read_devrev,
    read_mqtt,
    read_outbox,
    read_registration,
    read_thing,
    read_topic,
)
from thingmeter.config.settings import Config
from thingmeter.config.wording import escape
from thingmeter.errors import ConfigError

DEFAULT_PATH = Path("/etc/thingmeter/thingmeter.toml")
TABLES = ["thing", "mqtt", "aws", "clock", "registration", "defender", "devrev", "topic", "outbox", "collectors"]


def default_path() -> Path:
    """Return the file that is read where the command line names none."""
    return DEFAULT_PATH


def load(path: Path, *, environment: Mapping[str, str] = os.environ, files_elsewhere: Collection[str] = ()) -> Config:
    """Read ``path`` and the ``conf.d/*.toml`` beside it; it reads files and their modes, and nothing else.

    Args:
        path: the main file; problems spell it as given.
        environment: for ``${NAME}``, and the variables of systemd, XDG and AWS that stand in for settings.
        files_elsewhere: tables whose files are not looked at: the configuration is another machine's.

    Raises:
        ConfigError: with every problem, in the order of the files and lines. Files that cannot be read and mistakes of
            TOML syntax come alone: behind them nothing can be known.
    """
    document = read_documents(path)
    substitution = substitute_tree(document.values, environment)
    used = dict(substitution.used)
    places = Places(document.files[0], document.values, document.lines, used)
    reading = Reading(places, environment, files_elsewhere)
    for failed, reason in substitution.failures.items():
        reading.report(failed, reason)
    config = _read(reading, used)
    if reading.problems:
        order = {escape(file): number for number, file in enumerate(document.files)}
        raise ConfigError(tuple(sorted(reading.problems, key=lambda problem: (order[problem.file], problem.line))))
    return config


def _read(reading: Reading, used: dict[KeyPath, tuple[str, ...]]) -> Config:
    reading.unknown_keys(reading.places.document, TABLES, ())
    thing = read_thing(reading)
    mqtt = read_mqtt(reading, thing)
    aws, region_variables = read_aws(reading, mqtt)
    devrev = read_devrev(reading, thing)
    outbox, path_variables = read_outbox(reading)
    derived: dict[KeyPath, tuple[str, ...]] = {("aws", "region"): region_variables, ("outbox", "path"): path_variables}
    used.update({path: variables for path, variables in derived.items() if variables})
    return Config(
        thing=thing,
        mqtt=mqtt,
        aws=aws,
        clock=read_clock(reading),
        registration=read_registration(reading),
        defender=read_defender(reading),
        devrev=devrev,
        topic=read_topic(reading, thing, devrev),
        outbox=outbox,
        collectors=read_collectors(reading),
        all_built_in=not reading.given(("collectors",)),
        places=reading.places,
    )
