"""The outbox as the rest of the agent sees it.

Every method may be called from any thread. What changes the outbox returns after its commit is on the disk; threads
that wait at the same moment share one commit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from thingmeter.config import settings
from thingmeter.errors import OutboxError
from thingmeter.outbox import putting, tidying
from thingmeter.outbox.aside import decide, drop, replay
from thingmeter.outbox.commits import Commits
from thingmeter.outbox.handing import hand_out
from thingmeter.outbox.journal import PackedRow, StoredRow
from thingmeter.outbox.lock import ProcessLock
from thingmeter.outbox.messages import (
    Depth,
    Entry,
    JournalPage,
    JournalRow,
    Keep,
    LedgerRow,
    Loss,
    Message,
    Priority,
    SetAside,
)
from thingmeter.outbox.rescue import DAMAGED_COUNT
from thingmeter.outbox.tallies import Outcome, Tallies
from thingmeter.outbox.transaction import File, Transaction
from thingmeter.protocols import Clock

PAGE_BYTES = 262144  # of the journal that is read at once; one row may be larger
NO_PAGE = JournalPage()
NO_STATE: Mapping[str, bytes] = MappingProxyType({})
NONE_ASIDE: Mapping[str, Sequence[tuple[Entry, str]]] = MappingProxyType({})

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
        message = self._change(
            lambda transaction: putting.put(transaction, draft, keep, priority), state, size=len(payload)
        )
        self._notify([destination])
        return message

    def next(self, destination: str) -> Message | None:
        """Return the oldest message that waits for ``destination``; it stays until its outcome is told."""
        found = self.waiting(destination, 1)
        return found[0] if found else None

    def waiting(self, destination: str, limit: int) -> list[Message]:
        """Return at most ``limit`` messages that wait for ``destination``, oldest first; they count as in flight.

        Telemetry that is too old is dropped on the way; a message damaged on the disk is set aside.
        """
        expired_before = self._clock.now() - timedelta(seconds=self._limits.maximum_age_s)
        return hand_out(self._commits, destination, limit, expired_before)

    def acknowledge(self, message: Message, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete ``message``, which its destination accepted, and write ``state`` in the same transaction."""
        self._change(lambda transaction: transaction.settle(message, "delivered"), state)

    def acknowledge_through(self, destination: str, seq: int, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete every message of ``destination`` up to sequence number ``seq``: all of them were accepted."""
        self._settle_all({destination: seq}, "delivered", state)

    def acknowledge_all(self, through: Mapping[str, int], *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete every message of each destination up to its sequence number, in one transaction: all were accepted.

        For a request made of several queues: ``through`` has the newest message that it took from each.
        """
        self._settle_all(through, "delivered", state)

    def retire_all(self, through: Mapping[str, int], reason: str, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete as ``acknowledge_all`` does what was published without an answer: counted as unconfirmed."""
        _log.debug("%s: retired: %s", ", ".join(through), reason)
        self._settle_all(through, "unconfirmed", state)

    def retire(self, message: Message, reason: str, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete ``message``, published without an answer: it is counted as unconfirmed and never sent again."""
        _log.debug("%s: message %s retired: %s", message.destination, message.key, reason)
        self._change(lambda transaction: transaction.settle(message, "unconfirmed"), state)

    def set_aside(self, message: Message, reason: str, *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Keep ``message``, which its destination refused for good, for a person, out of the way of the others."""
        self._change(lambda transaction: transaction.set_aside(message, reason), state)

    def set_aside_list(self, destination: str, limit: int = 100) -> list[SetAside]:
        """Return at most ``limit`` messages of ``destination`` that were set aside, oldest first."""

        def look(file: File, tallies: Tallies) -> list[SetAside]:
            tally = tallies.get(destination)
            return [row.entry for row in file.store.set_aside(tally, limit)] if tally else []

        return self._commits.read(look)

    def freeze(
        self,
        puts: Mapping[str, Sequence[Entry]],
        *,
        aside: Mapping[str, Sequence[tuple[Entry, str]]] = NONE_ASIDE,
        windows: Collection[int] = (),
        state: Mapping[str, bytes] = NO_STATE,
    ) -> None:
        """Put what became of ``windows``, delete their samples from the journal and write ``state``: one transaction.

        ``puts`` has the messages for each destination, in order, as usage; those in ``aside`` are set aside at once,
        each with its reason. Entries with a day are counted in the ledger.

        Raises:
            OutboxFull: no room, though all telemetry were given up; nothing was changed.
            OutboxError: it can't be stored; nothing was changed.
            ValueError: a destination holds telemetry, or an amount is no finite number; nothing was changed.
        """
        freezing = putting.Freezing(puts, aside, windows)
        self._change(lambda transaction: putting.freeze(transaction, freezing), state, size=freezing.need().bytes)
        self._notify(destination for destination, entries in puts.items() if entries)

    def append_journal(
        self,
        rows: Sequence[JournalRow],
        *,
        instead_of: JournalPage = NO_PAGE,
        state: Mapping[str, bytes] = NO_STATE,
    ) -> None:
        """Keep samples until their windows end, delete those of a page, and write ``state``, in one transaction.

        Raises:
            OutboxFull: no room, though all telemetry were given up; nothing was changed.
            OutboxError: they can't be stored; nothing was changed.
            ValueError: no window begins when a row says; nothing was changed.
        """
        packed = [PackedRow.of(row) for row in rows]
        size = sum(len(each.stored) for each in packed)
        self._change(lambda transaction: putting.append_journal(transaction, packed, instead_of), state, size=size)

    def journal(self) -> list[JournalRow]:
        """Return every row of the journal by window and, within one, in the order they were appended.

        All at once may be more than fits the memory: it is compressed on the disk. The rest is as ``journal_pages``.
        """
        return [row for page in self.journal_pages() for row in page.rows]

    def journal_pages(self, window: int | None = None) -> Iterator[JournalPage]:
        """Yield the rows of one window, or (None) of all, as ``journal()`` but some at a time.

        A page may be replaced before the next one is read. A row damaged on the disk is deleted and counted as lost.

        Raises:
            OutboxError: nothing can be read.
        """
        rows, last = 0, 0
        while stored := self._some_of_journal(last, window):
            if not all(each.sound for each in stored):
                self._tidy_journal()
                continue
            rows, last = rows + len(stored), stored[-1].id
            yield JournalPage(tuple(each.row for each in stored), stored[0].id, last)
        if window is None and rows < self._commits.tallies.journal.rows:
            self._tidy_journal()

    def _some_of_journal(self, after: int, window: int | None) -> list[StoredRow]:
        return self._commits.read(lambda file, _: file.journal.some(after, window, PAGE_BYTES))

    def _tidy_journal(self) -> None:
        lost = self._commits.run(tidying.tidy_journal)
        _log.error("journal: %d rows are damaged on the disk: their samples are lost", lost)

    def forget_journal(self, windows: Collection[int], *, state: Mapping[str, bytes] = NO_STATE) -> None:
        """Delete the rows of ``windows`` from the journal, and write ``state``, in one transaction."""
        self._change(lambda transaction: transaction.forget_journal(windows), state)

    def replay(self, destination: str, seqs: Collection[int] | None = None) -> int:
        """Put messages that were set aside, or all, behind those that wait, with the same keys and bytes.

        Their sequence numbers are new. Damaged ones stay. A crash half-way leaves each in one of the two places.

        Returns:
            how many.
        """
        count = decide(self._commits, replay, destination, seqs)
        self._notify([destination] if count else [])
        return count

    def drop_set_aside(self, destination: str, seqs: Collection[int] | None = None) -> int:
        """Give up messages that were set aside, or all, for good: counted as dropped by hand; return how many."""
        return decide(self._commits, drop, destination, seqs)

    def ledger(self) -> list[LedgerRow]:
        """Return what became of each day's usage, by destination and day; of days long ago in one row ``BEFORE``.

        At most ``MAXIMUM_DAYS`` + 1 rows for each destination.
        """

        def look(file: File, tallies: Tallies) -> list[LedgerRow]:
            known = sorted(tallies.by_destination.values(), key=lambda tally: tally.destination)
            return [row for tally in known for row in file.ledger.rows(tally)]

        return self._commits.read(look)

    def losses(self) -> list[Loss]:
        """Return what was dropped, when and why, oldest first; the oldest of a very long list are left out."""
        return self._commits.read(lambda file, _: list(file.losses.rows()))

    def state(self, name: str) -> bytes | None:
        """Return the small durable value ``name``, None when it was never written."""
        return self._commits.read(lambda file, _: file.store.state(name))

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

    def destinations(self) -> list[str]:
        """Return every destination that a message was ever put for; asks no disk and waits for no lock."""
        return sorted(self._commits.tallies.by_destination)

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

    def _notify(self, destinations: Iterable[str]) -> None:
        for destination in destinations:
            for notify in self._listeners.get(destination, ()):
                notify()

    def _settle_all(self, through: Mapping[str, int], outcome: Outcome, state: Mapping[str, bytes]) -> None:
        def settle(transaction: Transaction) -> None:
            for destination, seq in through.items():
                transaction.settle_through(destination, seq, outcome)

        self._change(settle, state)

    def _change(self, change: Callable[[Transaction], T], state: Mapping[str, bytes], size: int = 0) -> T:
        def change_and_write(transaction: Transaction) -> T:
            result = change(transaction)
            transaction.write_state(state)
            return result

        return self._commits.run(change_and_write, size)
