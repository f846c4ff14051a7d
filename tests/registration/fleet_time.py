"""Virtual time for a fleet of blocking, unmodified code: a day passes in seconds, and every run is the same.

What may block runs on threads, but only one of them at a time: who waits hands the turn to whoever is due next, and has
it back when the clock has come to its own time. So nothing depends on the machine. A thread is held by what is under
way at that virtual moment only, and used again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from types import TracebackType
from typing import Self, TypeAlias

Action: TypeAlias = Callable[[], None]

JOIN_S = 10.0
START = datetime(2026, 1, 1, tzinfo=UTC)


class _Over(BaseException):
    """The simulation has ended; ends what still waits in it, past every handler of errors."""


class _Turn:
    """What one thread waits for and another one gives."""

    __slots__ = ("give", "take")

    def __init__(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        self.take, self.give = lock.acquire, lock.release


class _Worker:
    """A thread that runs actions one after the other."""

    def __init__(self, work: Callable[[_Worker], None]) -> None:
        self.turn = _Turn()
        self.action: Action | None = None
        self.thread = threading.Thread(target=work, args=(self,), name="virtual time", daemon=True)
        self.thread.start()


class VirtualClock:
    """The clocks of all devices, which were set right at the same moment; a ``protocols.Clock``.

    Attributes:
        at_s: seconds since then. The wall clock follows from it: moved by itself, in steps that it cannot show, it
            would stay behind.
    """

    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.at_s)

    def monotonic(self) -> float:
        return self.at_s

    def boottime(self) -> float:
        return self.at_s

    def boot_id(self) -> str:
        return "00000000-0000-4000-8000-000000000001"

    def synchronised(self) -> bool:
        return True


class VirtualTime:
    """Runs actions at their times. Every ``wait()``, of an action or of a test, lets the others run meanwhile.

    Attributes:
        clock: the time; moved by nobody else.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self._events: list[tuple[float, int, Action | _Turn]] = []  # a heap; what was planned first goes first
        self._order = count()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._owner = threading.get_ident()
        self._failure: Exception | None = None
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over = True
        for _, _, planned in self._events:
            if isinstance(planned, _Turn):
                planned.give()
        for worker in self._workers:
            if worker in self._idle:
                worker.turn.give()
            worker.thread.join(JOIN_S)

    @property
    def threads(self) -> int:
        """The most actions that were under way at once."""
        return len(self._workers)

    def call_in(self, seconds: float, action: Action) -> None:
        """Have ``action`` run in ``seconds``; it may wait."""
        self._plan(seconds, action)

    def wait(self, seconds: float) -> None:
        """Return ``seconds`` later, and let everything happen that is planned until then.

        Raises:
            Exception: what an action has raised; in the test only, the other actions just end.
        """
        turn = _Turn()
        self._plan(seconds, turn)
        planned = self._next()
        if planned is not turn:
            self._pass_on(planned)
            turn.take()
        if threading.get_ident() != self._owner:
            if self._is_over or self._failure is not None:
                raise _Over
        elif self._failure is not None:
            raise self._failure

    def _plan(self, seconds: float, planned: Action | _Turn) -> None:
        heappush(self._events, (self.clock.at_s + max(0.0, seconds), next(self._order), planned))

    def _next(self) -> Action | _Turn:
        """Move the clock to what is next and return that; whoever calls ``wait()`` from outside is always there."""
        at_s, _, planned = heappop(self._events)
        self.clock.at_s = at_s
        return planned

    def _pass_on(self, planned: Action | _Turn) -> None:
        """Let another thread go on."""
        if isinstance(planned, _Turn):
            planned.give()
            return
        if not self._idle:
            self._idle.append(_Worker(self._work))
            self._workers.append(self._idle[-1])
        worker = self._idle.pop()
        worker.action = planned
        worker.turn.give()

    def _work(self, worker: _Worker) -> None:
        """Run one action, then all that come before somebody else's turn; over and over."""
        while True:
            worker.turn.take()
            if worker.action is None or not self._run(worker.action):
                return
            while not isinstance(planned := self._next(), _Turn):
                if not self._run(planned):
                    return
            worker.action = None
            self._idle.append(worker)
            planned.give()

    def _run(self, action: Action) -> bool:
        """Run an action unless one has failed before; return whether there is more to come."""
        if self._failure is None:
            try:
                action()
            except _Over:
                pass
            except Exception as error:  # noqa: BLE001  # raised again where the test waits
                self._failure = error
        return not self._is_over
