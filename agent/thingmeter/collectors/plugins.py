"""Finds and makes the collectors that a configuration names, the built-in ones and those that plugins bring.

A built-in one is the module ``thingmeter.collectors.NAME`` with a callable ``collector``; a plugin is a Python package
with an entry point in the group ``thingmeter.collectors`` that names such a callable. Either is imported only when a
``[collectors.NAME]`` asks for it. Whatever goes wrong on the way is a problem of that table; all are reported at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from thingmeter.collectors import BUILT_IN
from thingmeter.collectors.checks import declared_problem
from thingmeter.collectors.options import arguments
from thingmeter.collectors.told import told
from thingmeter.config import Config
from thingmeter.config import settings as configured
from thingmeter.config.wording import listed, nearest, show
from thingmeter.errors import ConfigError, Problem
from thingmeter.protocols import Collector

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "thingmeter.collectors"


@dataclass(frozen=True, slots=True)
class LoadedCollector:
    """A collector that is ready to run: ``name`` is that of its table, and comes before its metrics' names."""

    name: str
    collector: Collector
    interval_s: float
    timeout_s: float


def load(config: Config, *, provided: Mapping[str, object]) -> tuple[LoadedCollector, ...]:
    """Make every collector that ``config`` names, in its order; without any ``[collectors]``, every built-in one.

    Args:
        config: what its tables say.
        provided: what the agent itself hands to built-in collectors that have a keyword-only argument of that name
            (``health``, ``outbox``, ``clock``); never set from TOML, never handed to a plugin.

    Raises:
        ConfigError: with every problem.
    """
    wanted = config.collectors
    if config.all_built_in:
        wanted = tuple(configured.Collector(name=name) for name in BUILT_IN)
    problems: list[Problem] = []
    loaded = []
    for settings in wanted:
        made = _made(settings, provided)
        if isinstance(made, list):
            problems += [config.problem(f"collectors.{settings.name}", key, message) for key, message in made]
        else:
            loaded.append(LoadedCollector(settings.name, made, settings.interval_s, settings.timeout_s))
    if problems:
        raise ConfigError(tuple(problems))
    return tuple(loaded)


def _made(settings: configured.Collector, provided: Mapping[str, object]) -> Collector | list[tuple[str, str]]:
    """Return the collector of one table, or what is wrong: (key or "", message)."""
    is_built_in = not settings.use and settings.name in BUILT_IN
    source = _of_agent(settings.name) if is_built_in else _of_plugin(settings)
    if isinstance(source, str):
        return [("use" if settings.use else "", source)]
    try:
        factory = source()
        if not callable(factory):
            return [("", "its entry point must name a class or a function that makes a collector")]
        given = arguments(factory, settings.options, provided if is_built_in else None)
        if given.faults:
            return given.faults
        collector = factory(**given.values)
        fault = _fault(collector)
    except ValueError as error:  # how a constructor says that an option has no such value
        return [("", str(error) or told(error))]
    except (Exception, SystemExit) as error:  # noqa: BLE001  # code of others, which may raise anything
        return [("", told(error))]
    return [("", fault)] if fault else cast("Collector", collector)


def _of_agent(name: str) -> Callable[[], object]:
    return lambda: importlib.import_module(f"thingmeter.collectors.{name}").collector


def _of_plugin(settings: configured.Collector) -> Callable[[], object] | str:
    """Return what imports the entry point of a table's plugin, or what is wrong."""
    from importlib.metadata import entry_points  # noqa: PLC0415  # reads every package's metadata: plugins only

    installed = entry_points(group=GROUP)
    name = settings.use or settings.name
    found = {entry.value: entry for entry in installed.select(name=name)}  # an editable install can be seen twice
    if len(found) > 1:
        return f"several plugins have an entry point {name}: {listed(map(_package, found.values()), last='and')}"
    if found:
        return next(iter(found.values())).load
    if settings.use:
        near = nearest(name, installed.names)
        return "no plugin has this entry point; " + (
            f"did you mean {show(near)}?" if near else _listed(installed.names)
        )
    near = nearest(name, (*BUILT_IN, *installed.names))
    hint = (
        f"did you mean {near}?" if near else f"built in are {listed(BUILT_IN, last='and')}; {_listed(installed.names)}"
    )
    return f"no collector of this name; {hint}"


def _listed(names: set[str]) -> str:
    return f"plugins bring {listed(sorted(names), last='and')}" if names else "no plugin is installed"


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name if entry.dist else 'a package'} ({entry.value})"


def _fault(collector: object) -> str | None:
    """Return what keeps ``collector`` from being one."""
    if not callable(getattr(collector, "collect", None)):
        return f"a {type(collector).__name__} is no collector: it has no method collect()"
    if not hasattr(collector, "metrics"):
        return f"a {type(collector).__name__} is no collector: it has no metrics"
    return declared_problem(collector.metrics)
