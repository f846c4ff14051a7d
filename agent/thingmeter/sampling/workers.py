"""The threads that collectors run on, and those left behind with one that hangs.

The collectors of one round run one after another on one worker, while the thread that asked for the round sleeps until
the last one is done, or the one that runs exceeds its time. Then that worker is left to it, and the rest go on on
another. So a round in which nothing hangs wakes two threads, once each, however many collectors it has.

A thread can't be ended from outside: a worker left behind waits for its collector for as long as that takes. There are
at most STUCK_WORKERS of them. All are daemonic, so that none can keep the process.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

from thingmeter.protocols import Clock
from thingmeter.sampling.running import NotRun, Outcome, RunningCollector, TimedOut

logger = logging.getLogger(__name__)

STUCK_WORKERS = 8  # each holds a thread's memory, and what its collector holds
CLEAN_UP_S = 1  # between the last collector's return and the end of the round; normally microseconds
IDLE_WORKERS = 2  # kept for the next round; two groups of collectors rarely have more turns at the same time

Settle: TypeAlias = Callable[[RunningCollector, Outcome], None]


class Workers:
    """Runs rounds of collectors, several at a time if asked on several threads.

    Args:
        clock: for the time limits.
        late: called, on the worker, when a collector that was given up has returned after all.
    """

    def __init__(self, clock: Clock, late: Callable[[RunningCollector], None]) -> None:
        self._clock = clock
        self._late = late
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._idle: list[queue.SimpleQueue[_Round | None]] = []
        self._rounds: set[_Round] = set()
        self._stuck = 0
        self._is_stopping = False

    def run(self, due: Iterable[RunningCollector], settle: Settle) -> None:
        """Run each of ``due`` and hand over each one's outcome, on this thread; returns when all are settled.

        An outcome waits for the end of the round, or until one of the others exceeds its time. ``stop()`` ends this
        early: then some are never settled.
        """
        left = deque(due)
        while left:
            round_ = _Round(left, self._clock)
            problem = self._hand_over(round_)
            if problem:
                for running in left:
                    settle(running, NotRun(problem))
            else:
                self._watch(round_, settle)
            with self._lock:
                self._rounds.discard(round_)
            left = deque() if problem else round_.left

    def stop(self) -> None:
        """End every round now, whatever its collectors do, and let idle workers go."""
        with self._lock:
            self._is_stopping = True
            rounds, idle, self._idle = list(self._rounds), self._idle, []
        for mailbox in idle:
            mailbox.put(None)
        for round_ in rounds:
            round_.stop()

    def _watch(self, round_: _Round, settle: Settle) -> None:
        """Settle what the round brings until it is over, or one of its collectors is given up."""
        hung, is_over = None, False
        while hung is None and not is_over:
            done, hung, is_over = round_.wait()
            for running, outcome in done:
                settle(running, outcome)
        if hung is not None:
            self._count_stuck(1)
            settle(hung, TimedOut(hung.timeout_s))

    def _hand_over(self, round_: _Round) -> str | None:
        """Give the round to a worker; return why there is none."""
        with self._lock:
            if self._is_stopping:
                return "the agent is stopping"
            if self._stuck >= STUCK_WORKERS:
                return f"{self._stuck} collectors hang, and no more threads are started"
            self._rounds.add(round_)
            if self._idle:
                self._idle.pop().put(round_)
                return None
        mailbox: queue.SimpleQueue[_Round | None] = queue.SimpleQueue()
        mailbox.put(round_)
        name = f"sampling-{next(self._numbers)}"
        try:
            threading.Thread(target=self._work, args=(mailbox,), name=name, daemon=True).start()
        except RuntimeError as error:  # no memory, or TasksMax= reached
            return f"no thread for it: {error}"
        return None

    def _work(self, mailbox: queue.SimpleQueue[_Round | None]) -> None:
        while (round_ := mailbox.get()) is not None:
            running = round_.current
            while running is not None:
                outcome = running.collect()
                if not round_.is_on_time(running, outcome):
                    self._count_stuck(-1)
                    self._late(running)
                    break
                running = round_.next()
            stays = self._goes_idle(mailbox)
            round_.end()  # after that: the next round, which may begin at once, must find this worker idle
            if not stays:
                return

    def _goes_idle(self, mailbox: queue.SimpleQueue[_Round | None]) -> bool:
        with self._lock:
            if self._is_stopping or len(self._idle) >= IDLE_WORKERS:
                return False
            self._idle.append(mailbox)
            return True

    def _count_stuck(self, by: int) -> None:
        with self._lock:
            self._stuck += by


class _Round:
    """Collectors that run one after another on one worker, and what it and the waiting thread tell each other."""

    def __init__(self, due: Iterable[RunningCollector], clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self.left = deque(due)
        self.current: RunningCollector | None = self.left.popleft()
        self._is_over = False
        self._began = clock.monotonic()
        self._done: list[tuple[RunningCollector, Outcome]] = []
        self._is_given_up = False

    def wait(self) -> tuple[list[tuple[RunningCollector, Outcome]], RunningCollector | None, bool]:
        """Wait for the end, or until the collector that runs now must be done.

        Returns what is done since the last time, the collector that is given up because it hangs, and whether all is
        over.

        The worker doesn't wake this thread between two collectors: that the next one has begun is seen here later, and
        its own time is waited for then.
        """
        with self._changed:
            watched = self.current
            limit_s = watched.timeout_s - (self._clock.monotonic() - self._began) if watched else CLEAN_UP_S
            self._changed.wait_for(lambda: self._is_over, max(0, limit_s))
            done, self._done = self._done, []
            self._is_given_up = watched is not None and watched is self.current and not self._is_over
            return done, watched if self._is_given_up else None, self._is_over

    def is_on_time(self, running: RunningCollector, outcome: Outcome) -> bool:
        """Take an outcome from the worker; return False when it was waited for too long already, and is not taken."""
        with self._changed:
            if not self._is_given_up:
                self._done.append((running, outcome))
            return not self._is_given_up

    def next(self) -> RunningCollector | None:
        """Return what the worker is to run next, None for nothing more."""
        with self._changed:
            self.current = self.left.popleft() if self.left else None
            self._began = self._clock.monotonic()
            return self.current

    def end(self) -> None:
        """Wake the waiting thread: nothing more comes."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Wake the waiting thread though a collector runs; it is not waited for, and the rest don't begin."""
        with self._changed:
            self.left.clear()
            self._is_over = True
            self._changed.notify_all()
