"""Which collectors have their turn, and what comes of each one's outcome: samples, counts, states, log lines.

What is counted, in health: ``collector_failures`` (collects that raised, timed out or could not begin),
``collector_timeouts`` (of these, the timed out), ``collector_results_late`` (came after that, thrown away),
``collector_turns_skipped`` (the one before had not returned), ``collector_samples_refused``, ``collector_samples_cut``
(collects with too many), ``collector_samples_lost`` (collects whose samples the agent itself could not take).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, assert_never

from thingmeter.collectors.plugins import LoadedCollector
from thingmeter.health import CollectorState, Health
from thingmeter.metrics import Metric, Sample
from thingmeter.protocols import Clock
from thingmeter.sampling.running import Failed, NotRun, Outcome, RunningCollector, Taken, TimedOut
from thingmeter.sampling.workers import Workers

logger = logging.getLogger(__name__)

REFUSALS_TOLD = 32  # different ones of one collector, at WARNING; a plugin that names metrics at random must not flood

Sink: TypeAlias = Callable[[tuple[Metric, ...], Sequence[Sample]], None]


class Sampling:
    """Runs collectors and hands on what they yield. Its methods may be called from any thread.

    Args:
        collectors: each with a name of its own.
        sink: called once for each collect that worked, with the metrics of which it is now known what there was, and
            the samples, stamped and checked; full names (``cpu.usage_percent``) in both. A metric without a sample:
            there was none. No call, or a metric not named: unknown. Called on the threads that call ``run_once()`` and
            the functions of ``groups()``, never on one that a plugin's code has run on; several may call at a time.
        clock: for time stamps and time limits.
        health: where states and counts are kept.
    """

    def __init__(self, collectors: Sequence[LoadedCollector], sink: Sink, clock: Clock, health: Health) -> None:
        self._collectors = {loaded.name: RunningCollector(loaded, clock) for loaded in collectors}
        self._sink = sink
        self._clock = clock
        self._health = health
        self._lock = threading.Lock()  # of what the collectors know of their runs
        self._workers = Workers(clock, self._returned_late)
        for name in self._collectors:
            health.update_collector(name, state="new")

    def groups(self) -> Mapping[float, Callable[[], None]]:
        """Return for each interval in use, in seconds, what runs the collectors that have it, once."""
        groups: dict[float, list[RunningCollector]] = {}
        for running in self._collectors.values():
            groups.setdefault(running.interval_s, []).append(running)
        return {interval_s: partial(self._run, tuple(group)) for interval_s, group in groups.items()}

    def run_once(self, names: Iterable[str] | None = None) -> None:
        """Run the collectors ``names`` once, or all; returns when each has returned or exceeded its time.

        Raises:
            KeyError: there is no collector of that name.
        """
        self._run(self._collectors.values() if names is None else [self._collectors[name] for name in names])

    def stop(self) -> None:
        """Let every run in progress return now, also one whose collector hangs, and begin no other."""
        self._workers.stop()

    def _run(self, group: Iterable[RunningCollector]) -> None:
        due = [running for running in group if self._begins(running)]
        if due:
            self._workers.run(due, self._settle)

    def _begins(self, running: RunningCollector) -> bool:
        """Return whether the collector is to run now; it is busy then."""
        with self._lock:
            if running.is_unsupported:
                return False
            if not running.is_busy:
                running.is_busy = running.breaker.has_turn()
                return running.is_busy
        self._health.count("collector_turns_skipped")
        logger.debug("collector %s has not returned from the run before; this turn is left out", running.name)
        return False

    def _settle(self, running: RunningCollector, outcome: Outcome) -> None:
        match outcome:
            case Taken():
                self._worked(running, outcome)
            case Failed():
                self._failed(running, outcome)
            case TimedOut():
                self._timed_out(running, outcome)
            case NotRun():
                self._not_run(running, outcome)
            case _:
                assert_never(outcome)

    def _worked(self, running: RunningCollector, taken: Taken) -> None:
        with self._lock:
            running.is_busy = False
            running.breaker.worked()
            running.told.clear()
        failures = self._health.collector(running.name).failures_in_a_row
        self._tell_refusals(running, taken)
        self._health.update_collector(
            running.name,
            state="ok",
            last_success=self._clock.now(),
            duration_s=taken.duration_s,
            failures_in_a_row=0,
        )
        if failures:
            logger.info("collector %s works again after %d failures", running.name, failures)
        try:
            self._sink(taken.metrics, taken.samples)
        except Exception:  # our own mistake, which must not cost the other collectors their turn
            self._health.count("collector_samples_lost")
            logger.exception("the samples of collector %s are lost", running.name)

    def _tell_refusals(self, running: RunningCollector, taken: Taken) -> None:
        told = list(taken.refused)
        if told:
            self._health.count("collector_samples_refused", len(told))
        if taken.is_cut:
            self._health.count("collector_samples_cut")
            told.append(f"more than {len(taken.samples) + len(taken.refused)} samples; the rest were left out")
        if told:
            self._health.update_collector(running.name, last_error=told[-1])
        for reason in told:
            is_new = reason not in running.refusals and len(running.refusals) < REFUSALS_TOLD
            if is_new:
                running.refusals.add(reason)
            logger.log(logging.WARNING if is_new else logging.DEBUG, "collector %s: %s", running.name, reason)

    def _failed(self, running: RunningCollector, failed: Failed) -> None:
        with self._lock:
            running.is_busy = False
            running.is_unsupported = failed.is_unsupported
            if not failed.is_unsupported:
                running.breaker.failed()
        if failed.is_unsupported:
            logger.info("collector %s: nothing to measure here: %s", running.name, failed.reason)
            self._health.update_collector(
                running.name, state="unsupported", last_error=failed.reason, duration_s=failed.duration_s
            )
            return
        self._health.update_collector(running.name, duration_s=failed.duration_s)
        self._turn_bad(running, _state(running), failed.reason)

    def _timed_out(self, running: RunningCollector, timed_out: TimedOut) -> None:
        self._health.count("collector_timeouts")
        reason = f"has not returned after {timed_out.timeout_s:g} s; it is left alone until it does"
        with self._lock:  # it may have returned meanwhile, on its worker
            running.breaker.failed()
            self._turn_bad(running, "stuck" if running.is_busy else _state(running), reason)

    def _returned_late(self, running: RunningCollector) -> None:
        self._health.count("collector_results_late")
        with self._lock:
            running.is_busy = False
            if self._health.collector(running.name).state == "stuck":
                self._health.update_collector(running.name, state=_state(running))
            level = logging.INFO if running.tells("late") else logging.DEBUG
        logger.log(level, "collector %s has returned; its result is too late and thrown away", running.name)

    def _not_run(self, running: RunningCollector, not_run: NotRun) -> None:
        with self._lock:
            running.is_busy = False
        self._turn_bad(running, "failing", f"was not run: {not_run.reason}")

    def _turn_bad(self, running: RunningCollector, state: CollectorState, reason: str) -> None:
        before = self._health.collector(running.name)
        self._health.count("collector_failures")
        self._health.update_collector(
            running.name,
            state=state,
            failures=before.failures + 1,
            failures_in_a_row=before.failures_in_a_row + 1,
            last_error=reason,
        )
        level = logging.WARNING if running.tells(state) else logging.DEBUG
        rest = "; it has fewer turns from now on" if state == "resting" else ""
        logger.log(level, "collector %s: %s (%d in a row)%s", running.name, reason, before.failures_in_a_row + 1, rest)


def _state(running: RunningCollector) -> CollectorState:
    return "resting" if running.breaker.is_resting else "failing"
