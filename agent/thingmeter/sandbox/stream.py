"""Records that one thread writes and others follow, such as verdicts and events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT = 1000


class Stream(Generic[T]):
    """The newest thousand records. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[T] = deque(maxlen=KEPT)
        self._followers: list[Callable[[T], None]] = []

    def add(self, record: T) -> None:
        """Append a record, and hand it to every follower on this thread."""
        with self._changed:
            self._records.append(record)
            followers = tuple(self._followers)
            self._changed.notify_all()
        for follower in followers:
            follower(record)

    def follow(self, follower: Callable[[T], None]) -> None:
        """Call ``follower`` with every record from now on; it must not block."""
        with self._changed:
            self._followers.append(follower)

    def all(self) -> list[T]:
        """Return the records, oldest first."""
        with self._changed:
            return list(self._records)

    def wait(self, count: int = 1, *, where: Callable[[T], bool] = lambda _: True, timeout_s: float = 10) -> list[T]:
        """Return the records for which ``where`` holds once there are at least ``count`` of them.

        Raises:
            TimeoutError: there were fewer after ``timeout_s``.
        """

        def chosen() -> list[T]:
            return [record for record in self._records if where(record)]

        with self._changed:
            if not self._changed.wait_for(lambda: len(chosen()) >= count, timeout_s):
                raise TimeoutError(
                    f"{len(chosen())} of {count} records after {timeout_s} s; all: {list(self._records)}"
                )
            return chosen()
