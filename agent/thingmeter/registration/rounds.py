"""The thread of all registrations of the agent.

It sleeps until the first of them is due and never polls. They take turns: while one makes an attempt the others wait,
seconds as a rule and never longer than an attempt's time limit (child.py), which is short beside the hours of a spread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from thingmeter.registration.registration import Registration

logger = logging.getLogger(__name__)

FAILED_S = 60.0  # after something that nobody foresaw; the registration's own back-off comes on top
LONGEST_WAIT_S = 3600.0  # a wait without a reason to end still ends


class Rounds:
    """Runs the steps of registrations when they are due."""

    def __init__(self, registrations: Iterable[Registration]) -> None:
        self._registrations = tuple(registrations)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registration", daemon=True)

    def start(self) -> None:
        """Begin; returns at once. Without registrations no thread is started."""
        if self._registrations:
            self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End, with a running attempt if there is one; return whether the thread ended within ``timeout_s``."""
        self._stopping.set()
        for registration in self._registrations:
            registration.stop()
        if self._thread.ident is None:  # never started
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        for registration in self._registrations:
            registration.close()
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            least_s = max(self._step(registration) for registration in self._registrations)
            # Asked only now: an attempt of one may have taken minutes of the other's wait.
            wait_s = min(registration.wait_s() for registration in self._registrations)
            self._stopping.wait(min(max(wait_s, least_s), LONGEST_WAIT_S))

    def _step(self, registration: Registration) -> float:
        """Run a step unless all is to end; return the seconds that must pass before the next one."""
        if self._stopping.is_set():
            return 0.0
        try:
            registration.step()
        except Exception:  # the top of a thread
            logger.exception("registration %s failed unexpectedly", registration.service)
            return FAILED_S
        return 0.0
