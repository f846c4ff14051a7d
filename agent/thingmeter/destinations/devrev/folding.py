"""Folds the samples of one group and window into what DevRev needs to come to the same totals. Pure.

What a window of a group is folded into, by the aggregation type of the UOM:

    sum               one point, the exact total
    maximum, minimum  one point, the extreme value at its own time; of equal ones the earliest
    latest, oldest    one point, the last or first value at its own time; of equal times the one added last, or first
    unique_count      one point of 1.0: the value of the unique dimension, which is part of the group, was there
    running_total     1.0 at the last time it was on, if it ever was; 0.0 at the time of the last sample, if it was off
    duration          every change of the value at its own time; the first sample always

A window may be cut into parts, each with the samples that came after the part before was frozen. However the samples
are spread over windows and parts, DevRev comes to what it would have come to from the samples themselves:

- A sum of integers is exact. With floats each part is rounded once, to the nearest float.
- ``duration`` needs that no sample of a part is older than one of an earlier part. One that is older counts up to the
  next change that was sent: the repeat of a value that may have stood in between was dropped.
- What is on goes on, in ``running_total`` and ``duration``, until a sample says otherwise: also while none are taken.

Samples may come in any order. Times are told apart to the microsecond, and points are stamped to the millisecond in
which the sample lies, so never outside the window. DevRev takes the aggregate of a window as one instant's: no billing
period may begin inside a window, so the length of a window divides 900 seconds, and windows are aligned to UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from thingmeter.config.settings import AggregationType
from thingmeter.destinations.devrev.changes import Changes, Taken
from thingmeter.window.exact import ExactSum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)

DAY_S = 86_400

ON, OFF = 1.0, 0.0

Stamped: TypeAlias = tuple[int | float, datetime]
"""A point without its group: the value, and its time."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The time from ``start`` to before ``end``, both aware UTC."""

    start: datetime
    end: datetime

    @property
    def second(self) -> int:
        """When it starts, in seconds since 1970."""
        return int(self.start.timestamp())

    def middle(self, part: int) -> datetime:
        """Return the stamp of a part's aggregate: the middle, and a millisecond for each part before.

        So many parts that the stamp would leave the window share its last millisecond: what tells points apart is
        their id.
        """
        return min(floored(self.start + (self.end - self.start) / 2) + part * MILLISECOND, self.end - MILLISECOND)


def window_of(at: datetime, window_s: int) -> Window:
    """Return the window of ``window_s`` seconds that an instant (aware) lies in."""
    since = at - EPOCH
    second = since.days * DAY_S + since.seconds
    start = EPOCH + timedelta(seconds=second - second % window_s)
    return Window(start, start + timedelta(seconds=window_s))


def floored(at: datetime) -> datetime:
    """Return an instant to the millisecond; never a later one."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


class Fold(Protocol):
    """What one group's samples of one part of a window come to. Not thread-safe: its owner holds a lock."""

    @property
    def lost(self) -> int:
        """How many of the samples no point stands for: over a bound, or a sum that no JSON number can hold."""

    def add(self, value: float, at: datetime) -> None:
        """Take a sample: a finite number or a boolean, at an instant (aware) that lies in the window."""

    def points(self, window: Window, part: int) -> list[Stamped]:
        """Return the points of the window's part number ``part``, from 0, in the order of their times.

        Times are to the millisecond, inside the window, and no two are equal. Changes nothing. There are none only
        without samples, and where a sum is beyond the range of a double.
        """


def fold_of(aggregation_type: AggregationType) -> Fold:
    """Return an empty fold."""
    return FOLDS[aggregation_type]()


class _Sum:
    """The exact total; integers add up to an integer, however large, everything else to the nearest float."""

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum = ExactSum()

    @property
    def lost(self) -> int:
        return self._sum.count if self._total() is None else 0

    def add(self, value: float, at: datetime) -> None:  # noqa: ARG002  # a sum stands for the whole window
        self._sum.add(_number(value))

    def points(self, window: Window, part: int) -> list[Stamped]:
        total = self._total()
        return [] if total is None or not self._sum.count else [(total, window.middle(part))]

    def _total(self) -> int | float | None:
        try:
            total = self._sum.total()
            float(total)  # an integer of more than 308 digits is no double either
        except OverflowError:
            return None
        return total


class _Pick:
    """One of the samples, at its own time."""

    __slots__ = ("_best", "_better")

    def __init__(self, better: Callable[[Taken, Taken], bool]) -> None:
        self._better = better
        self._best: Taken | None = None

    @property
    def lost(self) -> int:
        return 0

    def add(self, value: float, at: datetime) -> None:
        taken = _taken(value, at)
        if self._best is None or self._better(taken, self._best):
            self._best = taken

    def points(self, window: Window, part: int) -> list[Stamped]:  # noqa: ARG002  # it has a time of its own
        return [] if self._best is None else _stamped([self._best])


class _Presence:
    """That there were samples."""

    __slots__ = ("_is_seen",)

    def __init__(self) -> None:
        self._is_seen = False

    @property
    def lost(self) -> int:
        return 0

    def add(self, value: float, at: datetime) -> None:  # noqa: ARG002  # whatever the value is, and whenever
        self._is_seen = True

    def points(self, window: Window, part: int) -> list[Stamped]:
        return [(ON, window.middle(part))] if self._is_seen else []


class _Activity:
    """Whether it was ever on, and whether it was off at the end.

    The last time that it was on, not the first: beside samples of an earlier part the state at the end is then right
    wherever they stand. On and off in one millisecond become two points: on is put into the millisecond before, or in
    the first millisecond of the window off into the next one, and then counts as later than a sample of another part
    in that first millisecond.
    """

    __slots__ = ("_is_on", "_last", "_last_on")

    def __init__(self) -> None:
        self._last: int | None = None
        self._last_on: int | None = None
        self._is_on = False

    @property
    def lost(self) -> int:
        return 0

    def add(self, value: float, at: datetime) -> None:
        microsecond, is_on = _microsecond(at), bool(value)
        if is_on and (self._last_on is None or microsecond >= self._last_on):
            self._last_on = microsecond
        if self._last is None or microsecond >= self._last:
            self._last, self._is_on = microsecond, is_on

    def points(self, window: Window, part: int) -> list[Stamped]:  # noqa: ARG002  # they have times of their own
        last_on = [] if self._last_on is None else _stamped([(self._last_on, ON)])
        last_off = [] if self._last is None or self._is_on else _stamped([(self._last, OFF)])
        if last_on and last_off and last_on[0][1] == last_off[0][1]:  # one millisecond
            if last_on[0][1] > window.start:
                last_on = [(ON, last_on[0][1] - MILLISECOND)]
            else:
                last_off = [(OFF, last_off[0][1] + MILLISECOND)]
        return last_on + last_off


class _Duration:
    """Every change of the value, up to a bound."""

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes = Changes()

    @property
    def lost(self) -> int:
        return self._changes.lost

    def add(self, value: float, at: datetime) -> None:
        self._changes.add(_taken(value, at))

    def points(self, window: Window, part: int) -> list[Stamped]:  # noqa: ARG002  # they have times of their own
        return _stamped(self._changes.kept())


def _stamped(taken: Iterable[Taken]) -> list[Stamped]:
    return [(value, floored(EPOCH + microsecond * MICROSECOND)) for microsecond, value in taken]


def _taken(value: float, at: datetime) -> Taken:
    return _microsecond(at), _number(value)


def _microsecond(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def _number(value: float) -> int | float:
    return float(value) if isinstance(value, bool) else value


def _is_last(taken: Taken, best: Taken) -> bool:
    return taken[0] >= best[0]


def _is_first(taken: Taken, best: Taken) -> bool:
    return taken[0] < best[0]


def _is_largest(taken: Taken, best: Taken) -> bool:
    return taken[1] > best[1] or (taken[1] == best[1] and taken[0] < best[0])


def _is_smallest(taken: Taken, best: Taken) -> bool:
    return taken[1] < best[1] or (taken[1] == best[1] and taken[0] < best[0])


FOLDS: Mapping[AggregationType, Callable[[], Fold]] = {
    "duration": _Duration,
    "latest": lambda: _Pick(_is_last),
    "maximum": lambda: _Pick(_is_largest),
    "minimum": lambda: _Pick(_is_smallest),
    "oldest": lambda: _Pick(_is_first),
    "running_total": _Activity,
    "sum": _Sum,
    "unique_count": _Presence,
}
