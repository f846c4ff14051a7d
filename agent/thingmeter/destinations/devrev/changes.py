"""When a value changed, in a bounded list. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

MILLISECOND = 1000  # microseconds

CHANGES_LIMIT = 10_000  # in 900 s, the longest window, more than ten a second
FIRST_LOOK = 2_048  # samples that are kept before repeats are looked for: in 900 s more than two a second

Taken: TypeAlias = tuple[int, int | float]
"""Microseconds since 1970, and a value."""


class Changes:
    """The first sample and each that differs from the one before it, whatever order they come in.

    Of changes within a millisecond the last one stands: the others lasted for less than can be sent. Of more than
    ``CHANGES_LIMIT`` the first ones and the last one are kept: what follows goes on from the right state.

    Beyond ``FIRST_LOOK`` samples the repeats are forgotten now and then, but for the newest sample: one that comes
    late then lasts until the next change or the newest sample, where a repeat in between would have ended it.
    """

    __slots__ = ("_cut", "_room", "_samples")

    def __init__(self) -> None:
        self._samples: list[Taken] = []
        self._room = FIRST_LOOK
        self._cut = 0

    def add(self, sample: Taken) -> None:
        """Take a sample; of several at one instant the last one stands."""
        self._samples.append(sample)
        if len(self._samples) >= self._room:
            self._forget_repeats()

    def kept(self) -> list[Taken]:
        """Return the changes by time, no two in one millisecond."""
        return _changes(_bounded(_changes(self._samples)))  # the cut may have made a repeat of the last one

    @property
    def lost(self) -> int:
        """How many changes were left out for the sake of the bound."""
        return self._cut + max(0, len(_changes(self._samples)) - CHANGES_LIMIT)

    def _forget_repeats(self) -> None:
        newest = max(reversed(self._samples), key=_time)
        changes = _changes(self._samples)
        self._cut += max(0, len(changes) - CHANGES_LIMIT)
        self._samples = _bounded(changes)
        if self._samples[-1] != newest:
            self._samples.append(newest)
        self._room = 2 * max(FIRST_LOOK, len(self._samples))


def _changes(samples: Iterable[Taken]) -> list[Taken]:
    changes: list[Taken] = []
    for each in sorted(samples, key=_time):  # stable: at one instant in the order they came
        if changes and changes[-1][0] // MILLISECOND == each[0] // MILLISECOND:
            changes.pop()
        if not changes or changes[-1][1] != each[1]:
            changes.append(each)
    return changes


def _bounded(changes: list[Taken]) -> list[Taken]:
    return changes if len(changes) <= CHANGES_LIMIT else [*changes[: CHANGES_LIMIT - 1], changes[-1]]


def _time(sample: Taken) -> int:
    return sample[0]
