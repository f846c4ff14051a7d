"""DevRev's side of usage: what it has accepted and bills, counted with no help of the agent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus

from brokers import PATIENCE_S
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev import Call
from thingmeter.sandbox.devrev.points import Point

INGEST = "metrics.devrev.ingest"


class Billed:
    """DevRev's side: what was accepted, counted with no help of the agent."""

    def __init__(self, cloud: Sandbox) -> None:
        self.devrev = cloud.devrev
        self.taken = 0  # requests that were answered with success
        self._called = threading.Event()
        self.devrev.calls.follow(self._note)

    def until(self, condition: Callable[[], bool], what: str = "", timeout_s: float = PATIENCE_S) -> None:
        """Return when the condition holds; it is looked at after each call to DevRev. Fail when it never does."""
        end = time.monotonic() + timeout_s
        while True:
            self._called.clear()
            if condition():
                return
            assert self._called.wait(max(0.0, end - time.monotonic())), f"not within {timeout_s:g} s: {what}"

    def until_total(self, name: str, total: float, timeout_s: float = PATIENCE_S) -> None:
        """Return when the points of a UOM add up to ``total``; fail when they do not."""
        self.until(lambda: self.total(name) == total, f"{name} = {total}", timeout_s)

    def total(self, name: str) -> float:
        """Return what all accepted points of a UOM add up to."""
        return sum(point.value for point in self.devrev.points(name))

    def points(self, name: str, count: int = 0) -> tuple[Point, ...]:
        """Return the accepted points of a UOM, at least ``count``, in the order of their arrival."""
        self.until(lambda: len(self.devrev.points(name)) >= count, f"{count} points of {name}")
        return self.devrev.points(name)

    def totals(self, name: str) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return what DevRev bills for a UOM, by account and dimensions."""
        return {(group.account_ref, group.dimensions): total for group, total in self.devrev.totals(name).items()}

    def serials(self) -> Counter[int]:
        """Return how often each piece was accepted."""
        return Counter(int(dict(point.dimensions)["serial"]) for point in self.devrev.points("pieces"))

    def repeats(self) -> list[str]:
        """Return the ids that came more than once, and were told apart by that."""
        return [drop.point.id for drop in self.devrev.dropped if drop.reason == "duplicate id"]

    def dropped(self) -> list[str]:
        """Return why points were dropped behind a 200, other than as repeats."""
        return [drop.reason for drop in self.devrev.dropped if drop.reason != "duplicate id"]

    def ingests(self) -> list[Call]:
        """Return the newest requests that reached DevRev, with what they were answered."""
        return [call for call in self.devrev.calls.all() if call.operation == INGEST]

    def _note(self, call: Call) -> None:
        self.taken += call.operation == INGEST and call.status == HTTPStatus.OK
        self._called.set()
