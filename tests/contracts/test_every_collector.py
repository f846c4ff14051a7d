"""What every built-in collector keeps, held on this real machine."""

from __future__ import annotations

import inspect
import math
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

import thingmeter.collectors
from thingmeter.collectors import BUILT_IN
from thingmeter.errors import CollectError
from thingmeter.health import Health
from thingmeter.metrics import Connection, Listener, Metric, Sample, Value
from thingmeter.protocols import Collector

UNITS = {"percent": "%", "bytes": "By", "s": "s", "ms": "ms", "us": "us", "celsius": "Cel", "count": "1"}
NOT_COLLECTORS = {"__init__", "plugins"}

every_collector = pytest.mark.parametrize("name", BUILT_IN)


def factory_of(name: str) -> Callable[..., Collector]:
    factory: Callable[..., Collector] = import_module(f"thingmeter.collectors.{name}").collector
    return factory


def options_of(name: str) -> dict[str, inspect.Parameter]:
    """Return the keyword arguments that the TOML table may set; the agent provides the others."""
    parameters = inspect.signature(factory_of(name), eval_str=True).parameters
    return {option: parameter for option, parameter in parameters.items() if option not in provided()}


def provided() -> dict[str, object]:
    return {"health": Health(), "outbox": None}


def made(name: str, **options: object) -> Collector:
    wanted = inspect.signature(factory_of(name)).parameters
    return factory_of(name)(**{key: value for key, value in provided().items() if key in wanted}, **options)


def outcome(collector: Collector) -> list[Sample] | str:
    """Return the samples, or the reason why there are none."""
    try:
        return list(collector.collect())
    except (CollectError, OSError) as error:
        return str(error)


def collected(collector: Collector) -> list[Sample]:
    """Return the samples of this machine; none where it has nothing of the kind."""
    try:
        return list(collector.collect())
    except CollectError:
        return []


def second_look(name: str) -> list[Sample]:
    """Return samples of a collector that has collected before, so that shares and increases exist as well."""
    collector = made(name)
    collected(collector)
    return collected(collector)


def series_of(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.metric.name, sample.dimensions


def fits(metric: Metric, value: Value) -> bool:
    match metric.type:
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "text":
            return isinstance(value, str) and value.isprintable()
        case "address":
            return isinstance(value, IPv4Address | IPv6Address)
        case "connections":
            return isinstance(value, tuple) and all(isinstance(connection, Connection) for connection in value)
        case "listeners":
            return isinstance(value, tuple) and all(isinstance(listener, Listener) for listener in value)


def test_every_module_that_has_a_collector_is_built_in() -> None:
    folder = Path(thingmeter.collectors.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    with_collector = {
        module
        for module in modules - NOT_COLLECTORS
        if hasattr(import_module(f"thingmeter.collectors.{module}"), "collector")
    }

    assert with_collector == set(BUILT_IN)


@every_collector
def test_it_says_what_it_measures(name: str) -> None:
    assert import_module(f"thingmeter.collectors.{name}").__doc__


@every_collector
def test_it_can_be_made_without_any_option(name: str) -> None:
    required = [
        option for option, parameter in options_of(name).items() if parameter.default is inspect.Parameter.empty
    ]

    assert required == []


@every_collector
def test_each_option_has_a_type_and_a_name(name: str) -> None:
    unfit = [
        option
        for option, parameter in options_of(name).items()
        if parameter.annotation is inspect.Parameter.empty
        or parameter.kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]

    assert unfit == []


@every_collector
def test_its_metrics_have_unique_names(name: str) -> None:
    names = Counter(metric.name for metric in made(name).metrics)

    assert [metric for metric, count in names.items() if count > 1] == []


@every_collector
def test_its_metrics_have_short_names(name: str) -> None:
    assert [metric.name for metric in made(name).metrics if "." in metric.name] == []


@every_collector
def test_its_metrics_each_have_a_unit(name: str) -> None:
    assert [metric.name for metric in made(name).metrics if not metric.unit] == []


@every_collector
def test_its_metrics_each_have_a_sentence_of_description(name: str) -> None:
    assert [metric.name for metric in made(name).metrics if not metric.description.endswith(".")] == []


@every_collector
def test_a_unit_in_a_name_is_the_unit(name: str) -> None:
    named = {metric.name: (metric.unit, UNITS.get(metric.name.rpartition("_")[2])) for metric in made(name).metrics}

    assert {metric: units for metric, units in named.items() if units[1] not in (None, units[0])} == {}


@every_collector
def test_it_collects_on_this_machine_or_says_why_not(name: str) -> None:
    assert outcome(made(name))


@every_collector
def test_it_collects_a_second_time(name: str) -> None:
    collector = made(name)
    first = collected(collector)

    second = collected(collector)

    assert bool(first) == bool(second)


@every_collector
def test_it_yields_only_declared_metrics(name: str) -> None:
    declared = set(made(name).metrics)

    assert {sample.metric.name for sample in second_look(name) if sample.metric not in declared} == set()


@every_collector
def test_its_values_are_of_the_metrics_type(name: str) -> None:
    assert [sample for sample in second_look(name) if not fits(sample.metric, sample.value)] == []


@every_collector
def test_its_numbers_are_finite(name: str) -> None:
    numbers = [sample.value for sample in second_look(name) if isinstance(sample.value, float)]

    assert [number for number in numbers if not math.isfinite(number)] == []


@every_collector
def test_its_percentages_are_within_0_and_100(name: str) -> None:
    values = {
        series_of(sample): sample.value
        for sample in second_look(name)
        if sample.metric.unit == "%" and "100 is one core" not in sample.metric.description
    }

    assert {s: v for s, v in values.items() if not isinstance(v, int | float) or not 0 <= v <= 100} == {}


@every_collector
def test_its_samples_carry_only_declared_dimensions(name: str) -> None:
    undeclared = {
        series_of(sample)
        for sample in second_look(name)
        if not {key for key, _ in sample.dimensions} <= set(sample.metric.dimensions)
    }

    assert undeclared == set()


@every_collector
def test_its_dimensions_are_printable_text(name: str) -> None:
    values = {value for sample in second_look(name) for _, value in sample.dimensions}

    assert {value for value in values if not value or not value.isprintable()} == set()


@every_collector
def test_a_series_of_numbers_has_one_value_a_collect(name: str) -> None:
    numbers = Counter(series_of(sample) for sample in second_look(name) if sample.metric.type in ("number", "boolean"))

    assert [series for series, count in numbers.items() if count > 1] == []


@every_collector
def test_times_of_its_samples_are_utc(name: str) -> None:
    times = [sample.at for sample in second_look(name) if sample.at is not None]

    assert [at for at in times if at.utcoffset() != timedelta(0)] == []


@every_collector
def test_its_counters_do_not_go_down(name: str) -> None:
    collector = made(name)
    before = {series_of(s): s.value for s in collected(collector) if s.metric.kind == "counter"}

    after = {series_of(s): s.value for s in collected(collector) if s.metric.kind == "counter"}

    changes = [(before[series], value) for series, value in after.items() if series in before]
    assert [(b, a) for b, a in changes if isinstance(a, int | float) and isinstance(b, int | float) and a < b] == []


@every_collector
def test_its_counters_begin_at_zero_or_above(name: str) -> None:
    counts = {series_of(s): s.value for s in second_look(name) if s.metric.kind == "counter"}

    assert {s: v for s, v in counts.items() if not isinstance(v, int | float) or v < 0} == {}


@every_collector
def test_it_leaves_no_thread_that_keeps_the_process_from_ending(name: str) -> None:
    before = set(threading.enumerate())

    second_look(name)

    assert [thread for thread in threading.enumerate() if thread not in before and not thread.daemon] == []


@every_collector
def test_a_machine_whose_kernel_shows_nothing_is_an_error_not_an_accident(name: str, tmp_path: Path) -> None:
    folders: dict[str, object] = {
        option: tmp_path for option, parameter in options_of(name).items() if parameter.annotation is Path
    }

    told = outcome(made(name, **folders))

    assert isinstance(told, str) or all(fits(sample.metric, sample.value) for sample in told)
