"""What the journal holds at the start: windows that go on, and samples that still have no wall time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from thingmeter.destinations.devrev.points import Group
from thingmeter.health import Health
from thingmeter.metering.journal import StampedRow, UnstampedRow, read
from thingmeter.metering.measured import OWN_TIMES, Measured, Moment, Series
from thingmeter.metering.times import Times
from thingmeter.metering.unset import Boot, note
from thingmeter.metering.windows import Rooms, Windows
from thingmeter.outbox import Outbox

logger = logging.getLogger(__name__)

SPENT = "usage.unset_spent"  # the outbox's name of the number up to which rows have got a wall time


@dataclass(slots=True)
class Waiting:
    """What is known of the samples without a wall time; they themselves are in the journal only, may they be many.

    Attributes:
        boots: in which they were taken, in order; empty without such samples.
        number: of the newest row.
        is_cramped: the windows that such samples came into found no room: no more are stamped until they do.
        is_spent: all rows that are in the journal have got a wall time and are of no use any more.
    """

    boots: list[Boot] = field(default_factory=list)
    number: int = 0
    is_cramped: bool = False
    is_spent: bool = False


@dataclass(frozen=True, slots=True)
class Reopened:
    """What the journal holds."""

    windows: Windows
    waiting: Waiting
    unstamped: set[Series]

    def rooms(self) -> Rooms:
        """Return the series of all windows, and under None of what has no window yet."""
        rooms = self.windows.rooms()
        for series in self.unstamped:
            rooms.setdefault(None, {}).setdefault(series.group.metric_name, set()).add(series)
        return rooms


def reopen(outbox: Outbox, windows: Windows, times: Times, now: Moment, health: Health) -> Reopened:
    """Read the journal into ``windows``, and tell ``times`` of what is in it.

    A row that cannot be read is left out, counted as ``usage_journal_rows_unreadable``.

    Raises:
        OutboxError: the journal cannot be read.
    """
    reopened = Reopened(windows, Waiting(), set())
    stored = outbox.state(SPENT) or b"0"
    spent = int(stored) if stored.isdigit() else 0
    for row in (row for page in outbox.journal_pages() for row in page.rows):
        try:
            found = read(row)
        except ValueError as error:
            health.count("usage_journal_rows_unreadable")
            logger.error("usage: %s; its samples are lost", error)  # noqa: TRY400  # the cause is in the message
            continue
        match found:
            case StampedRow():
                windows.add(found.samples, now, found.window_s)
                uptime_s = found.uptime_s if found.boot_id == now.boot_id else 0.0
                for group, at in _last_times(found.samples).items():
                    times.note(group, at, uptime_s)
            case UnstampedRow():
                _reopen_unstamped(reopened, found, spent)
    return reopened


def _reopen_unstamped(reopened: Reopened, found: UnstampedRow, spent: int) -> None:
    waiting = reopened.waiting
    waiting.number = max(waiting.number, found.number)
    if found.number <= spent:
        waiting.is_spent = True
        return
    note(waiting.boots, found.boot_id, found.samples)
    reopened.unstamped.update(sample.series for sample in found.samples)


def _last_times(samples: Iterable[Measured]) -> dict[Group, datetime]:
    """Return the last time of each group whose samples have an order."""
    last: dict[Group, datetime] = {}
    for sample in samples:
        if sample.series.aggregation_type in OWN_TIMES:
            group = sample.series.group
            last[group] = max(sample.at, last.get(group, sample.at))
    return last
