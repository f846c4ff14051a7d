"""The agent's own counters and last events, kept by name; what the agent collector and, later, ``status`` report.

Every method may be called from any thread. Names of counters are ``noun_what_happened``, in the words of the README.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

logger = logging.getLogger(__name__)

NOTIFY_TIMEOUT_S = 1.0

CollectorState = Literal["new", "ok", "failing", "stuck", "resting", "unsupported"]


@dataclass(frozen=True, slots=True)
class CollectorHealth:
    """How one collector fares. ``failures`` counts all since the start, ``failures_in_a_row`` since it last worked."""

    state: CollectorState = "new"
    last_success: datetime | None = None
    duration_s: float | None = None
    failures: int = 0
    failures_in_a_row: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class DestinationHealth:
    """How one destination fares. ``last_error`` is the newest reason of any outcome but acceptance."""

    last_accepted: datetime | None = None
    last_rejected: datetime | None = None
    last_error: str = ""
    accepted: int = 0
    rejected: int = 0
    throttled: int = 0
    unreachable: int = 0
    unconfirmed: int = 0


class Health:
    """Counts what happens and remembers the latest state of each collector and destination."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._collectors: dict[str, CollectorHealth] = {}
        self._destinations: dict[str, DestinationHealth] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Add ``by`` to the counter ``name``."""
        with self._lock:
            self._counts[name] += by

    def counts(self) -> dict[str, int]:
        """Return every counter that has counted."""
        with self._lock:
            return dict(self._counts)

    def update_collector(self, name: str, **changes: Any) -> CollectorHealth:
        """Change fields of one collector's health; return it as it is now."""
        with self._lock:
            self._collectors[name] = replace(self._collectors.get(name, CollectorHealth()), **changes)
            return self._collectors[name]

    def collector(self, name: str) -> CollectorHealth:
        """Return how the collector ``name`` fares."""
        with self._lock:
            return self._collectors.get(name, CollectorHealth())

    def update_destination(self, name: str, **changes: Any) -> DestinationHealth:
        """Change fields of one destination's health; return it as it is now."""
        with self._lock:
            self._destinations[name] = replace(self._destinations.get(name, DestinationHealth()), **changes)
            return self._destinations[name]

    def destination(self, name: str) -> DestinationHealth:
        """Return how the destination ``name`` fares."""
        with self._lock:
            return self._destinations.get(name, DestinationHealth())


def notify_systemd(state: str) -> None:
    """Tell systemd ``state`` (``READY=1``, ``STOPPING=1``) where it asked to be told. Source: sd_notify(3).

    Nobody listening is no reason to fail: the variable may be inherited from somebody else's service.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.settimeout(NOTIFY_TIMEOUT_S)
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(state.encode())
    except OSError as error:
        logger.warning("NOTIFY_SOCKET %s: %s was not told: %s", address, state, error)
