"""One fold per aggregation: takes samples one by one, gives the value of the period.

Each fold holds a bounded amount however many samples come: the number folds a few numbers, the list folds at most
``LIST_LIMIT`` values. Sums are exact, see ``exact.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from thingmeter.metrics import PointValue, Value
from thingmeter.window.exact import ExactSum

Aggregation: TypeAlias = Literal["last", "mean", "minimum", "maximum", "sum", "increase", "values", "distinct"]

LIST_LIMIT = (
    1000  # values of one list in one period: 300 s at one a second and room to spare; no service limit is known
)


class Fold(Protocol):
    """What a Window needs of an aggregation."""

    def add(self, value: Value, at: datetime) -> None:
        """Take one sample's value."""

    def result(self) -> tuple[PointValue, datetime | None] | None:
        """Return the value and the time it stands for (None: the window's end), or None when there is no value."""


class _Total:
    """The sum of all values, and with ``mean`` that sum divided by their count."""

    def __init__(self, *, mean: bool) -> None:
        self._sum = ExactSum()
        self._mean = mean

    def add(self, value: Value, at: datetime) -> None:  # noqa: ARG002  # a sum stands for the whole window
        self._sum.add(_number(value))

    def result(self) -> tuple[PointValue, datetime | None] | None:
        if not self._sum.count:
            return None
        try:
            total = self._sum.total()
            value = total / self._sum.count if self._mean else total
        except (OverflowError, ValueError):  # beyond the range of a float: there is no such JSON number
            return None
        return (value, None) if math.isfinite(value) else None


class _Pick:
    """One of the values with its own time: the last, the smallest or the largest; the earliest of equals."""

    def __init__(self, better: Callable[[Value, datetime, Value, datetime], bool]) -> None:
        self._better = better
        self._best: tuple[Value, datetime] | None = None

    def add(self, value: Value, at: datetime) -> None:
        if self._best is None or self._better(value, at, *self._best):
            self._best = (value, at)

    def result(self) -> tuple[PointValue, datetime | None] | None:
        return self._best


class _Values:
    """Every number, in the order taken; what comes after ``LIST_LIMIT`` is left out."""

    def __init__(self) -> None:
        self._values: list[int | float] = []

    def add(self, value: Value, at: datetime) -> None:  # noqa: ARG002  # a list stands for the whole window
        if len(self._values) < LIST_LIMIT:
            self._values.append(_number(value))

    def result(self) -> tuple[PointValue, datetime | None] | None:
        return tuple(self._values), None


class _Distinct:
    """Each different text or address once, sorted; of more than ``LIST_LIMIT`` the first in that order."""

    def __init__(self) -> None:
        self._values: set[Value] = set()

    def add(self, value: Value, at: datetime) -> None:  # noqa: ARG002  # a list stands for the whole window
        self._values.add(value)
        if len(self._values) > 2 * LIST_LIMIT:
            self._values = set(self._sorted())

    def _sorted(self) -> list[Value]:
        return sorted(self._values, key=_order)[:LIST_LIMIT]

    def result(self) -> tuple[PointValue, datetime | None] | None:
        return tuple(self._sorted()), None  # type: ignore[return-value]  # one metric has one type of values


def _order(value: Value) -> tuple[int, int | str]:
    """Sort addresses by family and number, everything else as text."""
    return (getattr(value, "version", 0), int(value) if hasattr(value, "packed") else str(value))  # type: ignore[arg-type]


def _number(value: Value) -> int | float:
    assert isinstance(value, int | float)  # noqa: S101  # sampling let nothing else through for a number metric
    return value


def _later(_value: Value, at: datetime, _best: Value, best_at: datetime) -> bool:
    return at >= best_at


def _smaller(value: Value, _at: datetime, best: Value, _best_at: datetime) -> bool:
    return _number(value) < _number(best)


def _larger(value: Value, _at: datetime, best: Value, _best_at: datetime) -> bool:
    return _number(value) > _number(best)


FOLDS: dict[Aggregation, Callable[[], Fold]] = {
    "last": lambda: _Pick(_later),
    "mean": lambda: _Total(mean=True),
    "minimum": lambda: _Pick(_smaller),
    "maximum": lambda: _Pick(_larger),
    "sum": lambda: _Total(mean=False),
    "values": _Values,
    "distinct": _Distinct,
}  # "increase" is folded by counters.py: it reaches over windows
