"""From samples to usage records: commits the journal, freezes the windows that have ended.

    collected() ──> intake ──┐                       ┌─> journal (outbox)
    emit() ───────> intake ──┴─> one commit, then ───┴─> windows ── ended ──> records (outbox), journal rows deleted

All that is folded is in the journal, so a crash loses no more than what waits for its first commit. A freeze that fails
leaves everything as it was, and is tried again at the next turn, with new ids: the old ones never left the process.

Counted in health: ``usage_points_frozen``, ``usage_points_set_aside``, ``usage_samples_lost`` (in no record: a sum
beyond any number, more changes than a window can hold), ``usage_samples_bounded`` (their time is known within bounds
only), ``usage_commits_failed``; and what intake.py and reopening.py count.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from thingmeter.clock import WallTime
from thingmeter.config.settings import DevRev
from thingmeter.destinations.devrev.folding import EPOCH
from thingmeter.errors import OutboxError, OutboxFull
from thingmeter.health import Health
from thingmeter.metering.feeding import Feeding
from thingmeter.metering.freezing import freeze
from thingmeter.metering.identity import Identity
from thingmeter.metering.increases import Increases
from thingmeter.metering.intake import AHEAD_LIMIT, LAST_TIME, Intake, Kept
from thingmeter.metering.journal import UNSTAMPED, UnstampedRow, read, stamped_rows, unstamped_row
from thingmeter.metering.measured import Moment
from thingmeter.metering.parts import Parts
from thingmeter.metering.reopening import SPENT, reopen
from thingmeter.metering.times import Times
from thingmeter.metering.unset import Anchor, Found, anchors, bounds_of, known_from, known_state, note, stamp
from thingmeter.metering.windows import OpenWindow, Windows
from thingmeter.metrics import Metric, Sample, Value
from thingmeter.outbox import JournalPage, Outbox

logger = logging.getLogger(__name__)

COUNTERS = "usage.counters"  # the outbox's names of what is kept here
TIMES = "usage.times"
PARTS = "usage.parts"
KNOWN = "usage.clock"
FOLDS_OF_FREEZE = 1000  # series frozen in one transaction; a single window may have more
STOP_S = 1.0


class Metering:
    """Makes usage records of samples. Its methods may be called from any thread.

    Args:
        settings: [devrev].
        identity: makes the records' ids.
        outbox: holds the journal, the records and what must outlive the process.
        wall: tells the time, and whether it is believed.
        health: where counts are kept.

    Raises:
        OutboxError: the journal cannot be read.
    """

    def __init__(self, settings: DevRev, identity: Identity, outbox: Outbox, wall: WallTime, health: Health) -> None:
        now = Moment.of(wall.clock)
        self._identity = identity
        self._outbox = outbox
        self._wall = wall
        self._health = health
        self._committing = threading.Lock()  # of all below; held while the disk is waited for
        self._window_s = settings.window_s
        times = Times(now, outbox.state(TIMES))
        reopened = reopen(outbox, Windows(settings.window_s), times, now, health)
        self._windows, self._waiting = reopened.windows, reopened.waiting
        self._feeding = Feeding(settings)
        increases = Increases(now, outbox.state(COUNTERS), self._feeding.adds_up, health)
        kept = Kept(increases, times, reopened.rooms())
        self._intake = Intake(self._feeding, settings.window_s, kept, health)
        self._parts = Parts.read(outbox.state(PARTS))
        self._known = known_from(outbox.state(KNOWN))
        self._committed = 0
        self._trouble = ""
        self._is_closing = threading.Event()  # a turn of another thread ends early: the last samples wait for it

    def collected(self, metrics: tuple[Metric, ...], samples: Sequence[Sample]) -> None:  # noqa: ARG002  # what was not measured is no usage
        """Take what one collect gave; it is durable after the next ``turn()``."""
        self._intake.take(samples, Moment.of(self._wall.clock), is_set=self._wall.is_set())

    def emit(
        self,
        metric_name: str,
        value: Value,
        dimensions: Mapping[str, str] | None = None,
        at: datetime | None = None,
    ) -> None:
        """Take one value for the UOM ``metric_name``; returns once it is durable.

        ``at`` (aware) is when it was measured; None: now. Several that wait at the same moment share one commit.

        Raises:
            LookupError: no UOM takes values under this name and with these dimensions.
            ValueError: the value or the time is none that it can have.
            OutboxFull: there is no room.
            OutboxError: it could not be stored; it is not counted.
        """
        own = tuple(sorted(dimensions.items())) if dimensions else ()
        claim = next(self._feeding.of(metric_name, own), None)
        if claim is None or "." in metric_name:  # what a collector feeds has a dot
            raise LookupError(f"no UOM takes values under the name {metric_name} with these dimensions")
        number = claim.projection.number(value)
        if at is not None and (at.tzinfo is None or not EPOCH <= at < LAST_TIME):
            raise ValueError(f"the time {at} is none that usage can have: it needs a zone, and a year from 1970 on")
        now, is_set = Moment.of(self._wall.clock), self._wall.is_set()
        if at is not None and is_set and at - now.wall > AHEAD_LIMIT:
            raise ValueError(f"the time {at} is in the future: it is {now.wall} now")
        offered = self._intake.offer(claim, number, at or (now.wall if is_set else None), now)
        if offered is None:
            raise OutboxFull(f"no room for another sample of {metric_name}")
        taken, through = offered
        with self._committing:
            if self._committed >= through:  # another thread's commit had room for it
                return
            try:
                self._commit_journal(Moment.of(self._wall.clock), is_set=is_set)
            except BaseException:
                self._intake.withdraw(taken)
                raise

    def turn(self) -> None:
        """Commit the journal, then freeze every window that has ended. What fails is tried again at the next turn."""
        with self._committing:
            is_set = self._wall.is_set()
            now = Moment.of(self._wall.clock)
            trouble = self._failure_of_journal(now, is_set=is_set)
            if is_set:
                trouble = self._failure_of_freezing(now) or trouble
            self._tell(trouble)

    def flush(self) -> None:
        """Commit the journal now; windows are frozen when they end, not earlier."""
        with self._committing:
            self._tell(self._failure_of_journal(Moment.of(self._wall.clock), is_set=self._wall.is_set()))

    def close(self) -> None:
        """Commit the journal for the last time; gives up after a second if another thread waits for the disk."""
        self._is_closing.set()
        if not self._committing.acquire(timeout=STOP_S):
            logger.error("usage: the last samples are not committed: the disk has not answered")
            return
        try:
            self._tell(self._failure_of_journal(Moment.of(self._wall.clock), is_set=self._wall.is_set()))
        finally:
            self._committing.release()

    def _failure_of_journal(self, now: Moment, *, is_set: bool) -> str:
        trouble = ""
        try:
            self._commit_journal(now, is_set=is_set)
        except OutboxError as error:
            trouble = f"samples are not committed: {error}"
        if is_set:
            try:  # in any case: in a journal without room this makes some
                trouble = self._stamp_waiting(now) or trouble
            except OutboxError as error:
                trouble = trouble or f"samples from before the clock was set are not stamped: {error}"
        return trouble

    def _failure_of_freezing(self, now: Moment, before: int | None = None) -> str:
        """Freeze the windows that have ended, or only those of them that begin before a second; return what failed."""
        due = [window for window in self._windows.due(now) if before is None or window.start < before]
        trouble = ""
        for windows in _in_transactions(due):
            if self._is_closing.is_set():
                break
            try:
                self._freeze(windows, now)
            except OutboxFull:
                trouble = self._freeze_one_by_one(windows, now)
            except OutboxError as error:
                return f"{len(due)} windows are not frozen: {error}"
        return trouble

    def _freeze_one_by_one(self, windows: Sequence[OpenWindow], now: Moment) -> str:
        """Freeze those windows that there is room for."""
        trouble = ""
        for window in windows:
            try:
                self._freeze([window], now)
            except OutboxError as error:
                trouble = f"windows are not frozen: {error}"
        return trouble

    def _commit_journal(self, now: Moment, *, is_set: bool) -> None:
        self._forget_spent()
        batch = self._intake.batch()
        try:
            stamped, unstamped = batch.stamped(), batch.unstamped()
            rows = stamped_rows(stamped, self._window_s, now)
            if unstamped:
                rows.append(unstamped_row(unstamped, self._waiting.number + 1, now))
            state = {} if batch.counters is None else {COUNTERS: batch.counters}
            is_known = is_set and not unstamped and not self._waiting.boots  # what waits needs the instant before it
            if rows or state:
                self._outbox.append_journal(rows, state=state | ({KNOWN: known_state(now)} if is_known else {}))
        except BaseException:
            self._intake.give_back(batch)
            raise
        if is_known:
            self._known = now
        self._committed = batch.through
        self._windows.add(stamped, now)
        self._waiting.number += bool(unstamped)
        note(self._waiting.boots, now.boot_id, unstamped)

    def _stamp_waiting(self, now: Moment) -> str:
        """Give a wall time to what was taken before the clock was set; return what kept some of it from that.

        Page by page, each in a transaction that puts the samples with their time in the place of those without, so that
        neither the memory nor the outbox has to hold all of them twice.
        """
        waiting = self._waiting
        if not waiting.boots:
            return ""
        if waiting.is_cramped and (trouble := self._failure_of_freezing(now)):
            return trouble
        places = anchors(waiting.boots, self._known, now)
        stamped, trouble = 0, ""
        bounds: list[tuple[int, datetime, datetime]] = []
        try:
            for page in self._outbox.journal_pages(UNSTAMPED):
                if self._is_closing.is_set():
                    return ""
                found = _found_in(page, places, now)
                samples = self._intake.place(found)
                rows = stamped_rows(samples, self._window_s, now)
                self._outbox.append_journal(rows, instead_of=page, state={KNOWN: known_state(now)})
                self._windows.add(samples, now)
                stamped += len(samples)
                bounds += filter(None, [bounds_of(found)])
                if trouble := self._failure_of_freezing(now, before=rows[-1].window if rows else 0):
                    break
        finally:
            self._tell_stamped(stamped, bounds)
        waiting.is_cramped = bool(trouble)
        if not trouble:
            waiting.boots, self._known = [], now
            self._intake.make_room([None])
        return trouble

    def _tell_stamped(self, stamped: int, bounds: Sequence[tuple[int, datetime, datetime]]) -> None:
        if stamped:
            logger.info("usage: %d samples from before the clock was set have their time now", stamped)
        if bounds:
            number = sum(each[0] for each in bounds)
            self._health.count("usage_samples_bounded", number)
            logger.warning(
                "usage: the device was restarted before its clock was set: %d samples have got times from %s to %s, "
                "in their order; more is not known",
                number,
                min(each[1] for each in bounds),
                max(each[2] for each in bounds),
            )

    def _forget_spent(self) -> None:
        """Delete rows that were left behind: their samples are in the journal with a wall time too."""
        if self._waiting.is_spent:
            self._outbox.forget_journal([UNSTAMPED], state={SPENT: b"0"})
            self._waiting.is_spent, self._waiting.number = False, 0

    def _freeze(self, windows: Sequence[OpenWindow], now: Moment) -> None:
        frozen = freeze(windows, self._parts, self._identity)
        parts = self._parts.plus(frozen.places)
        state = {**self._identity.state(), PARTS: parts.state()}
        if (times := self._intake.times_state(now)) is not None:
            state[TIMES] = times
        self._outbox.freeze(frozen.puts, aside=frozen.aside, windows=frozen.windows, state=state)
        self._identity.stored()
        self._parts = parts
        self._windows.forget(frozen.windows)
        self._intake.make_room(frozen.windows)
        for name, number in (
            ("usage_points_frozen", frozen.entries()),
            ("usage_points_set_aside", frozen.entries_aside()),
            ("usage_samples_lost", frozen.lost),
        ):
            if number:
                self._health.count(name, number)
        if frozen.lost:
            logger.error("usage: %d samples are in no record: their window came to what none can hold", frozen.lost)

    def _tell(self, trouble: str) -> None:
        if trouble:
            self._health.count("usage_commits_failed")
            logger.log(logging.DEBUG if trouble == self._trouble else logging.ERROR, "usage: %s", trouble)
        elif self._trouble:
            logger.info("usage is kept again")
        self._trouble = trouble


def _in_transactions(windows: Sequence[OpenWindow]) -> Iterator[list[OpenWindow]]:
    """Yield windows, in their order, as many at a time as one transaction should freeze."""
    together: list[OpenWindow] = []
    folds = 0
    for window in windows:
        if together and folds + len(window.folds) > FOLDS_OF_FREEZE:
            yield together
            together, folds = [], 0
        together.append(window)
        folds += len(window.folds)
    if together:
        yield together


def _found_in(page: JournalPage, places: Mapping[str, Anchor], now: Moment) -> list[Found]:
    """Return the samples of a page with their wall time; rows that cannot be read were counted at the start."""
    found: list[Found] = []
    for row in page.rows:
        with contextlib.suppress(ValueError):
            match read(row):
                case UnstampedRow() as unstamped:
                    found += stamp(unstamped.samples, unstamped.boot_id, places[unstamped.boot_id], now)
    return found
