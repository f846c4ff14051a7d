"""One collector at work: calls it, checks and stamps what it yields, and knows how often it is to be tried.

A collect counts as a whole or not at all: when ``collect()`` raises after some samples, these are thrown away. Half of
them would look like all: a list that is short, a sum that is low. A sample that is not as declared is refused alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from thingmeter.collectors.checks import by_name, checked
from thingmeter.collectors.plugins import LoadedCollector
from thingmeter.collectors.told import told
from thingmeter.errors import Unsupported
from thingmeter.metrics import Metric, Sample
from thingmeter.protocols import Clock

SAMPLES_PER_COLLECT = (
    5_000  # 100 times what a busy gateway has; a plugin that never stops yielding must not fill memory
)
FAILURES_BEFORE_REST = 3  # one is a glitch, two may be a slow boot
LONGEST_REST_S = 900  # so that what is plugged in again is back within a quarter of an hour


@dataclass(frozen=True, slots=True)
class Taken:
    """A collect that worked.

    Attributes:
        metrics: those of which it is known what there was, ``samples`` or none; full names. Missing is a metric of
            which a sample was refused, or may have been cut off, when no other of its samples is there.
        samples: full names, checked, stamped.
        refused: for each refused sample, of which metric and why.
        is_cut: whether there were more than SAMPLES_PER_COLLECT.
        duration_s: how long it took.
    """

    metrics: tuple[Metric, ...]
    samples: tuple[Sample, ...]
    refused: tuple[str, ...]
    is_cut: bool
    duration_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A collect that raised."""

    reason: str
    is_unsupported: bool
    duration_s: float


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A collect that has not returned within ``timeout_s``."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class NotRun:
    """A collect that never began, and why."""

    reason: str


Outcome: TypeAlias = Taken | Failed | TimedOut | NotRun


class Breaker:
    """Lets a collector that keeps failing have fewer of its turns: every 2nd, 4th, 8th ... up to one in LONGEST_REST_S.

    Counted in turns and not in seconds, so that neither a suspended machine nor a late turn changes anything.
    """

    def __init__(self, interval_s: float) -> None:
        self._longest = int(LONGEST_REST_S / interval_s)
        self._rest = 0
        self.failures = 0

    @property
    def is_resting(self) -> bool:
        """Whether some turns are left out."""
        return self.failures >= FAILURES_BEFORE_REST and self._longest > 1

    def has_turn(self) -> bool:
        """Take note of a turn; return whether it is to be used."""
        if self._rest == 0:
            return True
        self._rest -= 1
        return False

    def worked(self) -> None:
        """Begin anew."""
        self._rest = self.failures = 0

    def failed(self) -> None:
        """Take note of one more failure in a row."""
        self.failures += 1
        if self.is_resting:
            doublings = min(self.failures - FAILURES_BEFORE_REST + 1, 32)
            self._rest = min(2**doublings, self._longest) - 1


class RunningCollector:
    """A loaded collector with what its runs have taught. ``collect()`` runs on a worker; the rest is its owner's."""

    def __init__(self, loaded: LoadedCollector, clock: Clock) -> None:
        self.name = loaded.name
        self.interval_s = loaded.interval_s
        self.timeout_s = loaded.timeout_s
        self.breaker = Breaker(loaded.interval_s)
        self.is_busy = False
        self.is_unsupported = False
        self.refusals: set[str] = set()  # what was logged about its samples since the start
        self.told: set[str] = set()  # and about its failures since it last worked
        self._collector = loaded.collector
        self._clock = clock
        declared = loaded.collector.metrics
        self._declared = by_name(declared)
        self._full = {metric.name: replace(metric, name=f"{loaded.name}.{metric.name}") for metric in declared}

    def tells(self, news: str) -> bool:
        """Return whether ``news`` has not been logged since the collector last worked; now it counts as logged."""
        is_new = news not in self.told
        self.told.add(news)
        return is_new

    def collect(self) -> Outcome:
        """Run the collector once; blocks as long as it does, raises nothing."""
        began = self._clock.monotonic()
        try:
            yielded = self._collector.collect()
            candidates = list(islice(yielded, SAMPLES_PER_COLLECT + 1))
            if len(candidates) > SAMPLES_PER_COLLECT:
                _close(yielded)
            return self._taken(candidates, began)
        except Unsupported as error:
            return Failed(told(error), is_unsupported=True, duration_s=self._clock.monotonic() - began)
        except BaseException as error:  # noqa: BLE001  # a plugin's sys.exit() must end neither the worker nor the agent
            return Failed(told(error), is_unsupported=False, duration_s=self._clock.monotonic() - began)

    def _taken(self, candidates: list[Sample], began: float) -> Taken:
        now = self._clock.now()
        is_cut = len(candidates) > SAMPLES_PER_COLLECT
        samples: list[Sample] = []
        refused: list[str] = []
        doubtful: set[str] = set()
        for candidate in candidates[:SAMPLES_PER_COLLECT]:
            try:
                sample = checked(candidate, self._declared)
            except (TypeError, ValueError) as error:
                name = self._declared_name(candidate)
                doubtful |= {name} if name else self._declared.keys()
                refused.append(f"a sample of {_metric_name(candidate) or 'no metric'}: {error}")
            else:
                full = self._full[sample.metric.name]
                samples.append(Sample(full, sample.value, sample.at or now, sample.dimensions))
        if is_cut:
            doubtful = set(self._declared)
        seen = {sample.metric.name for sample in samples}
        metrics = tuple(full for name, full in self._full.items() if name not in doubtful or full.name in seen)
        return Taken(metrics, tuple(samples), tuple(refused), is_cut, self._clock.monotonic() - began)

    def _declared_name(self, candidate: Sample) -> str:
        name = _metric_name(candidate)
        return name if name and self._declared.get(name) == candidate.metric else ""


def _metric_name(candidate: object) -> str:
    """Return the name of the metric that a plugin yielded a sample of, if that is what it yielded."""
    metric = candidate.metric if isinstance(candidate, Sample) else None
    return metric.name if isinstance(metric, Metric) else ""


def _close(yielded: Iterable[Sample]) -> None:
    """Let a generator that was not used up give back what it holds."""
    close = getattr(yielded, "close", None)
    if callable(close):
        close()
