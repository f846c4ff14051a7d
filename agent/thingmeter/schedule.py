"""Runs functions at intervals. The only module that knows APScheduler.

Guarantees: a step of the wall clock by any amount, either way, is invisible: every job goes on at its interval of
monotonic time. What was missed (a suspended machine, a job longer than its interval) is run once, never caught up on.
No job runs twice at a time, and none keeps another waiting until all threads are taken. Nothing wakes up between jobs.

How: APScheduler plans in wall time, so after a step back of 3 h its interval jobs are silent for 3 h. But it asks for
the time in one way only, ``datetime.now(scheduler.timezone)``, and that ends in ``timezone.fromutc()``. So the
scheduler gets a time zone whose local time is the monotonic clock (seen in APScheduler 3.11; the executors ask the wall
clock as well, but only for jobs with a misfire grace time, and here none has one).

Threads: APScheduler's own, and up to ``THREADS`` that run the jobs, all daemonic, started when first needed. They are
ours and not those of ``concurrent.futures``, which the interpreter joins at its exit: one hung job would keep it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from thingmeter.protocols import Clock

logger = logging.getLogger(__name__)

THREADS = 6  # two or three groups of collectors, the report, the journal; more only if several of them hang
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001  # any date will do: it never meets the wall time
_ZERO = timedelta()


class Schedule:
    """Jobs by name, each at its own interval.

    Args:
        clock: whose ``monotonic()`` it plans by. The waiting itself is real.
        threads: how many jobs may run at a time.
    """

    def __init__(self, clock: Clock, *, threads: int = THREADS) -> None:
        self._zone = _MonotonicZone(clock.monotonic)
        self._threads = _Threads(threads, clock)
        self._scheduler = BackgroundScheduler(
            timezone=self._zone,  # never None, or APScheduler goes and reads the machine's
            executors={"default": self._threads},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            logger=_quiet_logger(),
        )
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        self._overlapping: set[str] = set()

    def every(self, interval_s: float, run: Callable[[], None], name: str, *, first: float | None = None) -> None:
        """Run ``run`` every ``interval_s`` seconds from now on, or from ``start()`` on when that comes later.

        ``first`` is the delay of the first run in seconds, 0 for at once; without it, one interval. The runs stay in
        phase with the first one. An exception that ``run`` raises is logged, and the next run comes all the same.

        Raises:
            ValueError: ``interval_s`` is not above zero, ``first`` is below zero, or ``name`` is taken.
        """
        if interval_s <= 0 or (first is not None and first < 0):
            raise ValueError(f"job {name}: interval {interval_s} s, first {first} s: not a plan")
        if self._scheduler.get_job(name) is not None:
            raise ValueError(f"job {name}: there is one of this name")
        trigger = _MonotonicTrigger(interval_s, interval_s if first is None else first)
        self._scheduler.add_job(_Guarded(name, run), trigger, id=name, name=name)

    def now(self, name: str) -> None:
        """Run the job ``name`` as soon as a thread is free, out of turn; its phase stays what it was.

        While the job is running, this is no more than that run.

        Raises:
            KeyError: there is no job of that name.
        """
        if self._scheduler.get_job(name) is None:
            raise KeyError(name)
        if not self._threads.is_running(name):
            self._scheduler.modify_job(name, next_run_time=datetime.now(self._zone))

    def again(self, name: str, after_s: float) -> None:
        """Run the job ``name`` next in ``after_s`` seconds, and from there on at its interval.

        Raises:
            KeyError: there is no job of that name.
        """
        job = self._scheduler.get_job(name)
        if job is None:
            raise KeyError(name)
        self._scheduler.modify_job(name, next_run_time=job.trigger.restart(datetime.now(self._zone), after_s))

    def start(self) -> None:
        """Start the jobs; returns at once."""
        self._scheduler.start()

    def stop(self, timeout_s: float) -> bool:
        """Start no more jobs and wait for those that run, at most ``timeout_s`` seconds in all.

        Returns whether all have ended. One that has not is left to its daemonic thread. Stopping twice, or what never
        started, is fine.
        """
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        return self._threads.join(timeout_s)

    def _skipped(self, event: JobSubmissionEvent) -> None:
        level = logging.DEBUG if event.job_id in self._overlapping else logging.WARNING
        self._overlapping.add(event.job_id)
        logger.log(level, "job %s: still running at its next turn, which is left out", event.job_id)


class _MonotonicZone(tzinfo):
    """A time zone whose local time is a monotonic clock: makes ``datetime.now(zone)`` immune to clock steps.

    Its offset from UTC is zero, so that differences and comparisons of its times are those of the clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic

    def fromutc(self, _wall: datetime, /) -> datetime:
        """Return the monotonic time, whatever the wall time."""
        return (_EPOCH + timedelta(seconds=self._monotonic())).replace(tzinfo=self)

    def utcoffset(self, _time: datetime | None, /) -> timedelta:
        """Return zero."""
        return _ZERO

    def dst(self, _time: datetime | None, /) -> timedelta:
        """Return zero."""
        return _ZERO

    def tzname(self, _time: datetime | None, /) -> str:
        """Return what log lines call it."""
        return "monotonic"


class _MonotonicTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Fires ``first_s`` after the job came to the scheduler, then at whole intervals from there; skips what is past."""

    def __init__(self, interval_s: float, first_s: float) -> None:
        self._interval = max(timedelta(seconds=interval_s), timedelta.resolution)
        self._first = timedelta(seconds=first_s)
        self._phase: datetime | None = None

    def restart(self, now: datetime, after_s: float) -> datetime:
        """Move the phase to ``after_s`` seconds after ``now``; return that turn."""
        self._phase = now + timedelta(seconds=after_s)
        return self._phase

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the first turn after ``now``, or on the very first call the first turn of all."""
        if self._phase is None:
            self._phase = now + self._first
        if previous_fire_time is None or now < self._phase:
            return self._phase
        turns = (now - self._phase) // self._interval + 1
        return self._phase + turns * self._interval


class _Guarded:
    """The top of a job: nothing that it raises goes further. Told at the first failure and the first success after."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name = name
        self._run = run
        self._failures = 0

    def __call__(self) -> None:
        try:
            self._run()
        except Exception:
            self._failures += 1
            level = logging.ERROR if self._failures == 1 else logging.DEBUG
            logger.log(level, "job %s failed (%d in a row)", self._name, self._failures, exc_info=True)
        else:
            if self._failures:
                logger.info("job %s works again after %d failures", self._name, self._failures)
            self._failures = 0


class _Threads(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """Daemonic threads that run jobs: one is started when a job finds none idle, until there are ``limit``."""

    def __init__(self, limit: int, clock: Clock) -> None:
        super().__init__()
        self._limit = limit
        self._clock = clock
        self._due: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._started: list[threading.Thread] = []
        self._free = 0  # threads that wait for a job, less the jobs already put for them
        self._stopping = False

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002, ARG002  # the signature is APScheduler's
        """Let every thread end after the job it runs; what is due but not begun is dropped."""
        with self._lock:
            self._stopping = True
            for _ in self._started:
                self._due.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads to end, at most ``timeout_s`` seconds in all; return whether they have.

        Called from a job, it does not wait for that job.
        """
        deadline = self._clock.monotonic() + timeout_s
        others = [thread for thread in self._started if thread is not threading.current_thread()]
        for thread in others:
            thread.join(max(0, deadline - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in others)

    def is_running(self, name: str) -> bool:
        """Return whether the job ``name`` runs now, or is due and waits for a thread."""
        return bool(self._instances.get(name))

    def _do_submit_job(self, job: Job, _run_times: Any) -> None:
        # Called with BaseExecutor's lock held. A job that finds all threads taken waits in the queue.
        if self._free == 0 and len(self._started) < self._limit:
            thread = threading.Thread(target=self._work, name=f"schedule-{len(self._started) + 1}", daemon=True)
            thread.start()
            self._started.append(thread)
        else:
            self._free -= 1
        self._due.put(job)

    def _work(self) -> None:
        while (job := self._due.get()) is not None and not self._stopping:
            job.func()
            with self._lock:
                self._run_job_success(job.id, [])
                self._free += 1


def _quiet_logger() -> logging.Logger:
    """Return APScheduler's logger, which must not write two lines for each run of each job."""
    quiet = logging.getLogger("apscheduler.scheduler")
    quiet.setLevel(logging.ERROR)
    return quiet
