"""The agent itself: what it uses of the machine, what waits in its outbox, what it dropped, what failed.

Its counters start from zero at each start of the agent, except the outbox's, which are as old as the outbox: both are
counters that reset at times unknown. An event that never happened has no series yet.

Source: getrusage(2).
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Protocol

import psutil

from thingmeter.health import Health
from thingmeter.metrics import Metric, Sample

CPU = Metric(
    "cpu_seconds",
    unit="s",
    description="Processor time that the agent used since it started.",
    kind="counter",
    resets="unknown",
)
WAKEUPS = Metric(
    "wakeups",
    unit="1",
    description="Times that a thread of the agent went to sleep and was woken (voluntary context switches).",
    kind="counter",
    resets="unknown",
)
PREEMPTIONS = Metric(
    "preemptions",
    unit="1",
    description="Times that the kernel took the processor from a thread of the agent (involuntary context switches).",
    kind="counter",
    resets="unknown",
)
RESIDENT = Metric("resident_bytes", unit="By", description="Memory of the agent that is in RAM, shared pages included.")
UNIQUE = Metric("unique_bytes", unit="By", description="Memory that would be free without the agent (USS).")
THREADS = Metric("threads", unit="1", description="Threads of the agent.")
OPEN_FILES = Metric("open_files", unit="1", description="Files, sockets and pipes that the agent holds open.")
COLLECTOR_FAILURES = Metric(
    "collector_failures",
    unit="1",
    description="Collects that failed since the agent started, of all collectors.",
    kind="counter",
    resets="unknown",
)
EVENTS = Metric(
    "events",
    unit="1",
    description="What the agent counted since it started, each kind of event on its own.",
    kind="counter",
    dimensions=("event",),
    resets="unknown",
)
OUTBOX_ROWS = Metric("outbox_rows", unit="1", description="Messages that wait in the outbox.")
OUTBOX_BYTES = Metric("outbox_bytes", unit="By", description="Size of the messages that wait in the outbox.")
DROPPED = Metric(
    "messages_dropped",
    unit="1",
    description="Messages lost because the outbox was at a bound, since it was made.",
    kind="counter",
    resets="unknown",
)
SET_ASIDE = Metric(
    "messages_set_aside", unit="1", description="Messages that a destination rejected, kept for a person to look at."
)

MAXIMUM_EVENTS = 64  # kinds; their names stand in our own code, so a sound agent never has as many
FAILED_COLLECTS = "collector_failures"  # the name under which sampling counts them


class Depth(Protocol):
    """How much waits in an outbox."""

    @property
    def rows(self) -> int:
        """Messages waiting."""

    @property
    def bytes(self) -> int:
        """The size of their payloads."""


class Outbox(Protocol):
    """What is asked of the outbox: totals that it keeps anyway, so that asking costs the same full and empty."""

    def depth(self) -> Depth:
        """Return how much waits."""

    def counts(self) -> Mapping[str, int]:
        """Return what became of messages since the outbox was made; ``dropped`` and ``set_aside`` are read here."""


class AgentCollector:
    """Asks the kernel about this process, and the agent's own parts about their work.

    Args:
        health: the agent's counters.
        outbox: the agent's outbox; without it (``thingmeter once``) what it would tell is left out.
    """

    metrics = (
        CPU,
        WAKEUPS,
        PREEMPTIONS,
        RESIDENT,
        UNIQUE,
        THREADS,
        OPEN_FILES,
        COLLECTOR_FAILURES,
        EVENTS,
        OUTBOX_ROWS,
        OUTBOX_BYTES,
        DROPPED,
        SET_ASIDE,
    )

    def __init__(self, *, health: Health, outbox: Outbox | None = None) -> None:
        self._health = health
        self._outbox = outbox
        self._process = psutil.Process()

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each metric and of each kind of event that has happened."""
        yield from self._use()
        counts = self._health.counts()
        yield COLLECTOR_FAILURES.sample(counts.get(FAILED_COLLECTS, 0))
        for event in sorted(counts)[:MAXIMUM_EVENTS]:
            yield EVENTS.sample(counts[event], {"event": event})
        if self._outbox is not None:
            depth = self._outbox.depth()
            yield OUTBOX_ROWS.sample(depth.rows)
            yield OUTBOX_BYTES.sample(depth.bytes)
            counts = dict(self._outbox.counts())
            yield DROPPED.sample(counts.get("dropped", 0))
            yield SET_ASIDE.sample(counts.get("set_aside", 0))

    def _use(self) -> Iterator[Sample]:
        use = resource.getrusage(resource.RUSAGE_SELF)  # of all threads; psutil counts the main thread's switches only
        yield CPU.sample(round(use.ru_utime + use.ru_stime, 6))  # the kernel counts in microseconds
        yield WAKEUPS.sample(use.ru_nvcsw)
        yield PREEMPTIONS.sample(use.ru_nivcsw)
        yield RESIDENT.sample(self._process.memory_info().rss)
        yield THREADS.sample(self._process.num_threads())
        # The kernel shows these two to nobody but root where the process is not dumpable (it has capabilities).
        with suppress(psutil.AccessDenied):
            yield UNIQUE.sample(self._process.memory_full_info().uss)
        with suppress(psutil.AccessDenied):
            yield OPEN_FILES.sample(self._process.num_fds() - 1)  # less the folder that is open for counting


collector = AgentCollector
