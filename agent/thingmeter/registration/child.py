"""Makes attempts to register with one service, each in a short-lived process of its own (attempt.py), and reads them.

The process is new (never a fork of this one), in a session of its own, and is killed with all that it started when it
exceeds its time, when nobody reads it any more, or by ``stop()``. Its stdin stays open as long as it is wanted: when
this process is killed, the kernel closes that, and the child ends. Whatever it prints is bounded, and what is none of
our lines is left out.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thingmeter.errors import Unreachable
from thingmeter.plans import Outcome, Step
from thingmeter.protocols import Clock
from thingmeter.registration.lines import End, Service, from_line, one_line
from thingmeter.registration.pipes import STDERR_BYTES, Pipes

logger = logging.getLogger(__name__)

PROGRAM = (sys.executable, "-P", "-m", "thingmeter.registration.attempt")  # -P: nothing is imported from here
LIMIT_S = 120.0
CALLS = 3  # that a definition may take: describe, create, update
CALL_S = 3.0  # that a call may take; most take a tenth of that, and a slow service has LIMIT_S besides
GAP_JITTER = 1.5  # the longest gap between two calls, in gap_s
END_S = 1.0  # between the last line and the end of the process; normally milliseconds
REAP_S = 1.0  # between SIGKILL and the end; only a dead network file system takes longer
LINES = 20  # beyond a step and an outcome for each definition
STOPPING = "the agent is stopping"


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be registered.

    Attributes:
        service: where.
        account: as what; the fields of the service's ``Account``, ready for JSON, with secrets by path only.
        definitions: what; each one's fields, ready for JSON.
        gap_s: the mean time between two calls, in seconds.
    """

    service: Service
    account: Mapping[str, Any]
    definitions: Sequence[Mapping[str, Any]]
    gap_s: float = 1.0

    def limit_s(self) -> float:
        """Return the seconds that a whole attempt may take."""
        return LIMIT_S + len(self.definitions) * CALLS * (CALL_S + GAP_JITTER * self.gap_s)


class Attempts:
    """Makes the attempts of one job, one at a time; ``stop()`` may be called from any thread.

    Args:
        job: what is to be registered.
        clock: for the time limit.
        program: the command of the child process.
        limit_s: the seconds that an attempt may take; by default what the job asks for.
    """

    def __init__(
        self, job: Job, clock: Clock, *, program: Sequence[str] = PROGRAM, limit_s: float | None = None
    ) -> None:
        self._job = job
        self._clock = clock
        self._program = program
        self._limit_s = job.limit_s() if limit_s is None else limit_s
        self._lock = threading.Lock()  # over the next two
        self._running: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def plan(self, known: Collection[str]) -> list[Step]:
        """Look at the service and return what is to be done, a step for each definition; changes nothing there.

        Raises:
            Throttled: the service asks to wait.
            Denied: it refuses us.
            Unreachable: it can't be reached, or the attempt ended or was ended without a result.
        """
        return [said for said in self._said(known, apply=False) if isinstance(said, Step)]

    def apply(self, known: Collection[str]) -> Iterator[Outcome]:
        """Register what is to be registered; yield each outcome as soon as it is known.

        Args:
            known: the names that this device has registered before, unchanged since.

        Raises:
            DeliveryError: as ``plan()`` does; what was yielded before holds.
        """
        for said in self._said(known, apply=True):
            if isinstance(said, Outcome):
                yield said

    def stop(self) -> None:
        """Kill the attempt that is running, and allow no more."""
        with self._lock:
            self._is_stopped = True
            if self._running:
                _kill(self._running)

    def _said(self, known: Collection[str], *, apply: bool) -> Iterator[Step | Outcome]:
        """Run one attempt and yield what it says, up to its end."""
        process = self._start()
        pipes = Pipes(process, self._request(known, apply=apply), self._clock)
        end: End | None = None
        try:
            for line in pipes.lines(self._limit_s, LINES + 2 * len(self._job.definitions)):
                said = from_line(line)
                if isinstance(said, End):
                    end = said
                    break
                if said is None:
                    logger.debug("registration %s: not a line of ours: %s", self._job.service, _text(line))
                else:
                    yield said
        finally:
            self._finish(process, is_ending=end is not None or pipes.is_over)
            pipes.close()
        if end is None:
            raise Unreachable(self._lost(process, pipes))
        if pipes.stderr:
            logger.debug("registration %s: the attempt printed: %s", self._job.service, _text(pipes.stderr))
        error = end.error()
        if error is not None:
            raise error

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_stopped:
                raise Unreachable(STOPPING)
            try:
                self._running = subprocess.Popen(  # noqa: S603  # our own interpreter and package
                    self._program,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is for this process; and what the child starts ends with it
                )
            except OSError as error:  # no memory, or TasksMax= reached
                raise Unreachable(f"no process for it: {error.strerror}") from error
            return self._running

    def _request(self, known: Collection[str], *, apply: bool) -> bytes:
        job = self._job
        document = {
            "service": job.service,
            "account": dict(job.account),
            "definitions": [dict(definition) for definition in job.definitions],
            "known": sorted(known),
            "apply": apply,
            "gap_s": job.gap_s,
        }
        return json.dumps(document).encode() + b"\n"

    def _finish(self, process: subprocess.Popen[bytes], *, is_ending: bool) -> None:
        """Let the process end when it is about to, else end it."""
        with self._lock:
            self._running = None  # once it is reaped, its id may be another process's
        if is_ending:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
        if process.returncode is None:
            _kill(process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(REAP_S)

    def _lost(self, process: subprocess.Popen[bytes], pipes: Pipes) -> str:
        """Return why an attempt ended without saying so."""
        if self._is_stopped:
            return STOPPING
        printed = pipes.stderr.decode("utf-8", "replace").strip()
        problem = pipes.problem or f"registration ended with exit code {process.returncode}"
        last = one_line(printed.rpartition("\n")[2])
        logger.debug(
            "registration %s: %s; it printed: %s", self._job.service, problem, _text(pipes.stderr) or "nothing"
        )
        return f"{problem}: {last}" if last else problem


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its session's only group, so all that it started, too


def _text(printed: bytes) -> str:
    return one_line(printed.decode("utf-8", "replace").strip(), STDERR_BYTES)
