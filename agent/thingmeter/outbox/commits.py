"""Many threads, one transaction; and what to do when the disk is full or the file is damaged.

    thread A  put ──────────┐
    thread B  acknowledge ──┤ queue ── the first of them leads ── BEGIN  put  acknowledge  put  COMMIT (one fsync)
    thread C  put ──────────┘

While one thread waits for the disk the others queue up; then the first of those commits for all of them, each
operation in a savepoint: one that fails leaves the others alone. An operation is a function of the open Transaction
and may run twice: it must change nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from thingmeter.config import settings
from thingmeter.errors import OutboxError
from thingmeter.outbox import damage, database
from thingmeter.outbox.bounds import Bounds
from thingmeter.outbox.reserve import Reserve
from thingmeter.outbox.rows import Damaged
from thingmeter.outbox.tallies import Tallies
from thingmeter.outbox.transaction import File, Transaction
from thingmeter.protocols import Clock

# One transaction; by its bytes the log, and with it the reserve, stays small. One operation may always be larger.
MAXIMUM_BATCH = 64
MAXIMUM_BATCH_BYTES = 262144
# The file of a drained backlog is shortened once half of it, and a MiB, is unused: a quarter MiB with each commit.
SHRINK_ABOVE_PAGES = 256
SHRINK_PAGES = 64

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Ticket(Generic[T]):
    """An operation in the queue, and later what came of it: one ``result``, or the ``error`` that undid it.

    Its thread sleeps on ``turn`` until another one has committed for it, or it is the first in the queue.
    """

    operation: Callable[[Transaction], T]
    size: int
    turn: threading.Semaphore
    result: list[T] = field(default_factory=list)
    error: Exception | None = None
    done: bool = False


class Commits:
    """Runs operations in transactions, on one connection behind one lock.

    Raises:
        OutboxError: the file can't be used, and why.
    """

    def __init__(self, path: Path, limits: settings.Outbox, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._bounds = Bounds(limits, path.parent)
        self._reserve = Reserve(path.with_name(path.name + ".reserve"))
        self._lock = threading.Lock()
        self._queueing = threading.Lock()  # held for a moment only, never while the disk is waited for
        self._queue: deque[Ticket[Any]] = deque()
        self._led = False
        self._closed = False
        self._ready = False
        self._tallies = Tallies()
        try:
            self._adopt(self._open())
        except (*database.FILE_ERRORS, OSError) as error:
            raise database.outbox_error(path, error) from error
        self._reserve.make()

    @property
    def tallies(self) -> Tallies:
        """Return the tallies as of the last commit; ``by_destination`` is replaced by a commit, never changed."""
        return self._tallies

    def run(self, operation: Callable[[Transaction], T], size: int = 0) -> T:
        """Run ``operation`` in a transaction, perhaps with those of other threads; return after the commit.

        ``size`` is how many bytes it adds.

        Raises:
            OutboxFull: there is no room for what it puts.
            OutboxError: nothing of it was kept.
        """
        ticket = Ticket(operation, size, threading.Semaphore(0))
        with self._queueing:
            self._queue.append(ticket)
            alone, self._led = not self._led, True
        if not alone:
            ticket.turn.acquire()
        if not ticket.done:
            self._lead(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.result[0]

    def read(self, look: Callable[[File, Tallies], T]) -> T:
        """Return what ``look`` finds, outside any transaction; a damaged file is replaced, and looked at again.

        Raises:
            OutboxError: nothing can be read.
        """
        with self._lock:
            try:
                self._make_ready()
                try:
                    return look(self._file, self._tallies)
                except database.FILE_ERRORS as error:
                    if not database.is_damage(error):
                        raise
                    self._replace_file(error)
                    return look(self._file, self._tallies)
            except (*database.FILE_ERRORS, OSError) as error:
                raise database.outbox_error(self._path, error) from error

    def close(self) -> None:
        """Let go of the file; whatever comes later is refused."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()  # the last connection empties the log into the file

    def _make_ready(self) -> None:
        if self._closed:
            raise OutboxError(f"{self._path}: closed")
        if not self._ready:  # replacing a damaged file failed half-way
            self._adopt(self._open())

    def _open(self) -> sqlite3.Connection:
        damage.finish_replacing(self._path)
        try:
            database.refuse_newer(self._path)
            try:
                return database.connect(self._path)
            except sqlite3.OperationalError as error:
                if not database.is_full(error):
                    raise
                self._reserve.release()  # making a file of an older version ours takes a few pages
                return database.connect(self._path)
        except Damaged as error:
            renamed = damage.replace_file(self._path, self._clock.now(), error.connection, None)
            _log.error("%s: damaged (%s): kept as %s, and a new one begun", self._path, error, renamed.name)
        return database.connect(self._path)

    def _adopt(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._file = File.of(connection)
        by_destination = {tally.destination: tally for tally in self._file.store.tallies()}
        journal = self._file.store.journal_depth()
        self._tallies = replace(self._tallies, by_destination=by_destination, journal=journal)
        self._ready = True

    def _replace_file(self, error: Exception) -> None:
        known = self._tallies
        self._ready = False
        renamed = damage.replace_file(self._path, self._clock.now(), self._connection, known)
        _log.error("%s: damaged (%s): kept as %s, and a new one begun", self._path, error, renamed.name)
        self._adopt(database.connect(self._path))

    def _lead(self, first: Ticket[Any]) -> None:
        """Commit for ``first``, which is the head of the queue, and for those behind it; then wake them."""
        batch = [first]
        try:
            with self._lock:
                batch = self._next_batch()
                self._commit_or_fail(batch)
        finally:
            with self._queueing:
                if self._queue:
                    self._queue[0].turn.release()  # the next to lead
                else:
                    self._led = False
            for ticket in batch[1:]:
                ticket.turn.release()

    def _next_batch(self) -> list[Ticket[Any]]:
        with self._queueing:
            batch = [self._queue.popleft()]
            size = batch[0].size
            while self._queue and len(batch) < MAXIMUM_BATCH:
                size += self._queue[0].size
                if size > MAXIMUM_BATCH_BYTES:
                    break
                batch.append(self._queue.popleft())
            return batch

    def _commit_or_fail(self, batch: list[Ticket[Any]]) -> None:
        try:
            self._make_ready()
            self._commit(batch)
        except Exception as error:  # noqa: BLE001  # each thread raises it as its own; else it would wait for ever
            self._roll_back()
            self._fail(batch, error)
        finally:
            self._fail([ticket for ticket in batch if not ticket.done], OutboxError(f"{self._path}: interrupted"))

    def _commit(self, batch: list[Ticket[Any]]) -> None:
        bounds = self._bounds if self._reserve.make() else replace(self._bounds, cramped=True)
        try:
            self._attempt(batch, bounds)
        except database.FILE_ERRORS as error:
            self._roll_back()
            if database.is_full(error):
                self._commit_cramped(batch)
            elif database.is_damage(error):
                self._replace_file(error)
                self._attempt(batch, bounds)
            else:
                raise

    def _commit_cramped(self, batch: list[Ticket[Any]]) -> None:
        """Commit in the room that the reserve gives: one operation at a time, the log emptied after each."""
        bounds = replace(self._bounds, cramped=True)
        for ticket in batch:
            self._reserve.release()
            self._empty_log()
            try:
                self._attempt([ticket], bounds)
            except database.FILE_ERRORS as error:
                self._roll_back()
                self._fail([ticket], error)
            self._empty_log()
            self._reserve.make()

    def _attempt(self, batch: list[Ticket[Any]], bounds: Bounds) -> None:
        transaction = Transaction(self._file, self._tallies, bounds, self._clock.now())
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes = [self._run_one(ticket.operation, transaction) for ticket in batch]
        transaction.write_numbers()
        if not bounds.cramped:
            self._shrink()
        self._connection.execute("COMMIT")
        self._tallies = transaction.tallies
        for ticket, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, _Undone):
                self._fail([ticket], outcome.error)
            else:
                ticket.result, ticket.done = [outcome], True

    def _run_one(self, operation: Callable[[Transaction], Any], transaction: Transaction) -> Any:
        before = transaction.savepoint()
        self._connection.execute("SAVEPOINT operation")
        try:
            outcome = operation(transaction)
        except Exception as error:
            if isinstance(error, database.FILE_ERRORS) and not isinstance(error, _MISUSE):
                raise  # the whole transaction is in question, not this operation alone
            self._connection.execute("ROLLBACK TO operation")
            transaction.go_back(before)
            outcome = _Undone(error)
        self._connection.execute("RELEASE operation")
        return outcome

    def _shrink(self) -> None:
        unused = self._file.store.pragma("freelist_count")
        if unused > SHRINK_ABOVE_PAGES and unused * 2 > self._file.store.pragma("page_count"):
            self._file.store.shrink(SHRINK_PAGES)

    def _empty_log(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _fail(self, batch: list[Ticket[Any]], error: Exception) -> None:
        if isinstance(error, (*database.FILE_ERRORS, OSError)):
            cause, error = error, database.outbox_error(self._path, error)
            error.__cause__ = cause
        for ticket in batch:
            ticket.error, ticket.done = error, True


_MISUSE = (sqlite3.ProgrammingError, sqlite3.InterfaceError)  # a value of a type that SQLite doesn't know


@dataclass(frozen=True, slots=True)
class _Undone:
    """In the place of a result: nothing of the operation was kept."""

    error: Exception
