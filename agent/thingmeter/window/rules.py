"""Which samples feed which value, and the window that folds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from thingmeter.metrics import DataPoint, Dimensions, Metric, Sample
from thingmeter.window.counters import Amounts, Counters, Series
from thingmeter.window.folds import FOLDS, Aggregation, Fold

EMPTY_MEANS_NONE = ("values", "distinct")  # these lists are empty when a collector worked and found nothing


@dataclass(frozen=True, slots=True)
class Rule:
    """Fold the samples of ``source`` (``cpu.usage_percent``) that carry all dimensions of ``where`` into ``name``."""

    name: str
    source: str
    aggregation: Aggregation
    where: Dimensions = ()

    def takes(self, name: str, dimensions: Dimensions) -> bool:
        """Return whether a sample of this metric and dimensions feeds the rule."""
        return name == self.source and set(self.where) <= set(dimensions)


class Window:
    """The samples of one period, folded as they come. Not thread-safe: its owner holds a lock."""

    def __init__(self, rules: Iterable[Rule], counters: Counters) -> None:
        self._folded: dict[str, list[Rule]] = {}
        self._increases: dict[str, list[Rule]] = {}
        for rule in rules:
            kind = self._increases if rule.aggregation == "increase" else self._folded
            kind.setdefault(rule.source, []).append(rule)
        self._counters = counters
        self._folds: dict[str, Fold] = {}
        self._counted: set[str] = set()

    def add(self, metrics: Iterable[Metric], samples: Sequence[Sample]) -> None:
        """Take what one successful collect gave; ``metrics`` are all that it could have given."""
        for metric in metrics:
            for rule in self._folded.get(metric.name, ()):
                if rule.aggregation in EMPTY_MEANS_NONE and rule.name not in self._folds:
                    self._folds[rule.name] = FOLDS[rule.aggregation]()
        for sample in samples:
            name = sample.metric.name
            for rule in self._folded.get(name, ()):
                if rule.takes(name, sample.dimensions):
                    self._fold(rule, sample)
            if name in self._increases and sample.metric.kind == "counter":  # a plugin may stand in for a built-in one
                self._count(sample)

    def _fold(self, rule: Rule, sample: Sample) -> None:
        fold = self._folds.get(rule.name)
        if fold is None:
            fold = self._folds[rule.name] = FOLDS[rule.aggregation]()
        assert sample.at is not None  # noqa: S101  # sampling stamps every sample
        fold.add(sample.value, sample.at)

    def _count(self, sample: Sample) -> None:
        series = (sample.metric.name, sample.dimensions)
        known = self._counters.seen(series)
        self._counters.add(sample)
        if known:
            self._counted.update(rule.name for rule in self._increases[sample.metric.name] if rule.takes(*series))

    def close(
        self, start: datetime, end: datetime, in_flight: Amounts | None = None
    ) -> tuple[list[DataPoint], Amounts]:
        """Return the period's data points and the increases they carry, and begin the next period.

        An increase is there when one of its series was seen twice, in this period or across an earlier one; it adds
        what is unreported of every series, less what a message ``in_flight`` carries. With ``in_flight`` None there
        are no increases: they all stay unreported for a later period.
        """
        points = self._folded_points(start, end)
        carried: dict[Series, int | float] = {}
        if in_flight is not None:
            unreported = self._counters.unreported(in_flight)
            for rule in (rule for rules in self._increases.values() for rule in rules):
                amounts = {series: amount for series, amount in unreported.items() if rule.takes(*series)}
                if amounts or rule.name in self._counted:
                    points.append(DataPoint(rule.name, sum(amounts.values()), start, end, end))
                    carried.update(amounts)
        self._folds = {}
        self._counted = set()
        return points, carried

    def _folded_points(self, start: datetime, end: datetime) -> list[DataPoint]:
        points = []
        for name, fold in self._folds.items():
            result = fold.result()
            if result is not None:
                value, at = result
                points.append(DataPoint(name, value, start, end, at or end))
        return points
