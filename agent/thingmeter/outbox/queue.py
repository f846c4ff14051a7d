"""The outbox as the rest of the agent sees it.

Every method may be called from any thread. What changes the outbox returns after its commit is on the disk; threads
that wait at the same moment share one commit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from thingmeter.config import settings
from thingmeter.errors import OutboxError
from thingmeter.outbox.commits import Commits
from thingmeter.outbox.lock import ProcessLock
from thingmeter.outbox.messages import Depth, Keep, Message, Priority, SetAside
from thingmeter.outbox.rescue import DAMAGED_COUNT
from thingmeter.outbox.store import Damaged, Store
from thingmeter.outbox.tallies import Outcome, Tallies
from thingmeter.outbox.transaction import Transaction
from thingmeter.protocols import Clock

NO_STATE: Mapping[str, bytes] = MappingProxyType({})

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Outbox:
    """Durable bounded queue of messages not yet acknowledged; made by ``Outbox.open()``."""

    def __init__(self, commits: Commits, lock: ProcessLock, limits: settings.Outbox, clock: Clock) -> None:
        self._commits = commits
        self._process_lock = lock
        self._limits = limits
        self._clock = clock
        self._listening = threading.Lock()
        self._listeners: dict[str, tuple[Callable[[], None], ...]] = {}
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, limits: settings.Outbox, clock: Clock) -> Outbox:
        """Open the outbox at ``path``, made (0600, in a folder of 0700) when it is missing.

        Takes the same time for an empty outbox and for a full one. A damaged file is kept under a dated name and a
        new one begun with what can still be read of it; ``damaged()`` counts that.

        Raises:
            OutboxLocked: another process has it open; the message names it.
            OutboxNewer: a newer version wrote it; not a byte of it was changed.
            OutboxFull: the disk has no room to make it.
            OutboxError: it can't be used, and why.
        """
        path = path.absolute()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = ProcessLock(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise OutboxError(f"{path}: {error.strerror}") from error
        try:
            return cls(Commits(path, limits, clock), lock, limits, clock)
        except BaseException:
            lock.release()
            raise

    def put(  # noqa: PLR0913  # three parts of a message, three ways of keeping it
        self,
        destination: str,
        key: str,
        payload: bytes,
        *,
        state: Mapping[str, bytes] = NO_STATE,
        keep: Keep = "all",
        priority: Priority = "telemetry",
    ) -> Message:
        """Add a message, and write ``state``, in one transaction; return the message after the commit.

        ``keep="newest"`` replaces whatever waits for ``destination``. When a bound is reached, telemetry is given up:
        what was set aside first, then the oldest that waits; usage never is. The first ``put`` for a destination
        fixes its priority.

        Raises:
            OutboxFull: no room, and nothing that may be given up; nothing was changed.
            OutboxError: it can't be stored; nothing was changed.
            ValueError: ``destination`` has the other priority.
        """
        draft = Message(destination, key, payload)

        def change(transaction: Transaction) -> Message:
            message = transaction.put(draft, keep, priority)
            transaction.write_state(state)
            return message

        message = self._commits.run(change, len(payload))
        for notify in self._listeners.get(destination, ()):
            notify()
        return message

    def next(self, destination: str) -> Message | None:
        """Return the oldest message that waits for ``destination``; it stays until its outcome is told."""
        found = self.waiting(destination, 1)
        return found[0] if found else None

    def waiting(self, destination: str, limit: int) -> list[Message]:
        """Return at most ``limit`` messages that wait for ``destination``, oldest first; they count as in flight.

        Telemetry that is too old is dropped on the way; a message damaged on the disk is set aside.
        """
        while True:
            found, sound = self._commits.read(lambda store, tallies: _hand_out(store, tallies, destination, limit))
            tally = self._commits.tallies.get(destination)
            if tally is None:
                return []
            stale = tally.priority == "telemetry" and any(self._is_stale(message) for message in found[:1])
            if sound and not stale and (found or not tally.waiting or limit < 1):
                return found
            self._tidy(destination, limit)

    def acknowledge(self, message: Message, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete ``message``, which its destination accepted, and write ``state`` in the same transaction."""
        self._settle(message, "delivered", state)

    def acknowledge_through(self, destination: str, seq: int, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete every message of ``destination`` up to sequence number ``seq``: all of them were accepted."""

        def change(transaction: Transaction) -> None:
            transaction.settle_through(destination, seq)
            transaction.write_state(state)

        self._commits.run(change)

    def retire(self, message: Message, reason: str, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete ``message``, published without an answer: it is counted as unconfirmed and never sent again."""
        _log.debug("%s: message %s retired: %s", message.destination, message.key, reason)
        self._settle(message, "unconfirmed", state)

    def set_aside(self, message: Message, reason: str, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Keep ``message``, which its destination refused for good, for a person, out of the way of the others."""

        def change(transaction: Transaction) -> None:
            transaction.set_aside(message, reason)
            transaction.write_state(state)

        self._commits.run(change)

    def set_aside_list(self, destination: str, limit: int = 100) -> list[SetAside]:
        """Return at most ``limit`` messages of ``destination`` that were set aside, oldest first."""

        def look(store: Store, tallies: Tallies) -> list[SetAside]:
            tally = tallies.get(destination)
            return store.set_aside(tally, limit) if tally else []

        return self._commits.read(look)

    def state(self, name: str) -> bytes | None:
        """Return the small durable value ``name``, None when it was never written."""
        return self._commits.read(lambda store, _: store.state(name))

    def put_state(self, state: Mapping[str, bytes]) -> None:
        """Write small durable values, all or none; names that begin with ``outbox.`` are the outbox's own."""
        self._commits.run(lambda transaction: transaction.write_state(state))

    def depth(self) -> Depth:
        """Return how much waits and how much was set aside; asks no disk and waits for no lock."""
        return self._commits.tallies.depth()

    def counts(self, destination: str | None = None) -> Mapping[str, int]:
        """Return what became of every message ever put, for one destination or for all; durable, as of the last commit.

        ``put`` is the sum of ``waiting``, ``set_aside``, ``delivered``, ``unconfirmed``, ``replaced`` and ``dropped``;
        ``dropped`` is the sum of ``dropped_bytes``, ``dropped_age``, ``dropped_disk`` and ``dropped_damage``.
        """
        return self._commits.tallies.counts(destination)

    def damaged(self) -> int:
        """Return how many times the file was found damaged and begun anew; durable."""
        return int(self.state(DAMAGED_COUNT) or b"0")

    def listen(self, destination: str, callback: Callable[[], None]) -> None:
        """Have ``callback`` called after each commit that put a message for ``destination``.

        It runs on the thread that put the message, outside every lock, and must neither block nor raise.
        """
        with self._listening:
            self._listeners[destination] = (*self._listeners.get(destination, ()), callback)

    def close(self) -> None:
        """Wait for the commit in progress, and let go of the file; later calls raise OutboxError."""
        if not self._closed:
            self._closed = True
            self._commits.close()
            self._process_lock.release()

    def _settle(self, message: Message, outcome: Outcome, state: Mapping[str, bytes]) -> None:
        def change(transaction: Transaction) -> None:
            transaction.settle(message, outcome)
            transaction.write_state(state)

        self._commits.run(change)

    def _tidy(self, destination: str, limit: int) -> None:
        for message in self._commits.run(lambda transaction: transaction.tidy(destination, limit)):
            _log.error("%s: message %d is damaged on the disk: set aside", destination, message.seq)

    def _is_stale(self, message: Message) -> bool:
        return (self._clock.now() - message.created).total_seconds() > self._limits.maximum_age_s


def _hand_out(store: Store, tallies: Tallies, destination: str, limit: int) -> tuple[list[Message], bool]:
    """Return the messages that wait and can be sent, and whether that is all of them: none was damaged."""
    tally = tallies.get(destination)
    rows = list(store.messages(tally, max(limit, 0))) if tally and tally.waiting else []
    found = [row.message for row in rows if row.sound]
    if any(later.seq <= earlier.seq for earlier, later in pairwise(found)):
        raise Damaged(f"the messages of {destination} are out of order")
    tallies.hand_out(destination, [message.seq for message in found])
    return found, len(found) == len(rows)
