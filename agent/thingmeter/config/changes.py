"""The ways in which the agent departs from what a file says, both as new structs: the old stay as they were."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from thingmeter.config.settings import Collector, Config, CustomMetric, Defender, DevRev, Uom


def with_collectors(config: Config, names: Iterable[str]) -> Config:
    """Return ``config`` with these collectors as well, each by its defaults where it has no table."""
    if config.all_built_in:
        return config
    missing = sorted(set(names) - {collector.name for collector in config.collectors})
    return replace(config, collectors=(*config.collectors, *(Collector(name=name) for name in missing)))


def with_custom_metrics(defender: Defender, metrics: Iterable[CustomMetric]) -> Defender:
    """Return ``defender`` with these custom metrics and no others."""
    return replace(defender, custom_metric=tuple(metrics))


def with_uoms(devrev: DevRev, uoms: Iterable[Uom]) -> DevRev:
    """Return ``devrev`` with these UOMs and no others."""
    return replace(devrev, uom=tuple(uoms))


def with_registration(config: Config) -> Config:
    """Return ``config`` with registration switched on for every service that it has a table of."""
    defender = config.defender and replace(config.defender, registration="auto")
    devrev = config.devrev and replace(config.devrev, registration="auto")
    return replace(config, defender=defender, devrev=devrev)


def with_usual_chain(config: Config) -> Config:
    """Return ``config`` with AWS asked by the usual credentials chain, whatever role the device has."""
    return replace(config, aws=config.aws and replace(config.aws, role_alias="", credentials_endpoint=""))
