"""What DevRev has in the end, counted there: every record once, over lost answers, refusals and crashes."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from devrev.usage_records import Bench, Fate, ToDevRev, aside, devrev_on, freeze, waiting
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.destinations.devrev.sizing import Limits
from thingmeter.outbox import Outbox
from thingmeter.sandbox.devrev import DevRev
from thingmeter.testing import ManualClock

NAMES = ("litres", "hours")
ACTIONS = st.one_of(
    st.tuples(st.just("freeze"), st.integers(1, 5)),
    st.tuples(st.just("send"), st.sampled_from(get_args(Fate))),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.just(("crash before the answer is stored", 0)),
    st.just(("restart", 0)),
)


class Site:
    """An outbox in a folder, a DevRev, and the delivery between them."""

    def __init__(self, folder: Path, horizon_s: float) -> None:
        self.clock = ManualClock()
        self.devrev = devrev_on(self.clock, litres="sum", hours="sum")
        self.transport = ToDevRev(self.devrev)
        self.measured: list[str] = []
        self.limits = Limits(points=4, dedupe_horizon_s=horizon_s)
        self._path = folder / "outbox.db"
        self._open()

    def _open(self) -> None:
        self.outbox = Outbox.open(self._path, limits=OutboxSettings(minimum_free_bytes=0), clock=self.clock)
        self.bench = Bench(self.outbox, self.clock, self.transport, NAMES, limits=self.limits)

    def freeze(self, count: int) -> None:
        for name in NAMES:
            first = 1 + sum(each.startswith(name) for each in self.measured)
            freeze(self.outbox, range(first, first + count), name)
            self.measured += [f"{name}-{number}" for number in range(first, first + count)]

    def act(self, action: str, how: object) -> None:
        match action, how:
            case "freeze", int(count):
                self.freeze(count)
            case "send", fate:
                self.transport.fates = [fate]  # type: ignore[list-item]  # one of the fates
                self.bench.step()
            case "wait", int(hours):
                self.clock.advance(hours * 3600)
            case "crash before the answer is stored", _:
                message = self.bench.source.take()
                self.transport.fates = []
                if message is not None:
                    self.transport.send(message.payload, key=message.key, timeout_s=1)
                self.restart()
            case "restart", _:
                self.restart()

    def restart(self) -> None:
        self.outbox.close()
        self._open()

    def drain(self) -> None:
        self.transport.fates = []
        self.bench.drain()

    def arrived(self) -> Counter[str]:
        """Return how many times DevRev has counted each record."""
        return Counter(point.id for name in NAMES for point in self.devrev.points(name))

    def set_aside(self) -> set[str]:
        return {each for name in NAMES for each in aside(self.outbox, name)}

    def waiting(self) -> list[str]:
        return [each for name in NAMES for each in waiting(self.outbox, name)]


@contextmanager
def site(horizon_s: float) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder:
        made = Site(Path(folder), horizon_s)
        yield made
        made.outbox.close()


def total(devrev: DevRev, name: str) -> float:
    return sum(devrev.totals(name).values())


def value(ids: list[str], name: str) -> float:
    return sum(float(each.partition("-")[2]) for each in ids if each.startswith(name))


@given(actions=st.lists(ACTIONS, max_size=25))
def test_a_devrev_that_remembers_ids_bills_exactly_what_was_measured(actions: list[tuple[str, object]]) -> None:
    with site(horizon_s=10**9) as place:
        for action, how in actions:
            place.act(action, how)
        place.drain()

        assert place.arrived() == Counter(place.measured)
        assert [total(place.devrev, name) for name in NAMES] == [value(place.measured, name) for name in NAMES]


@given(actions=st.lists(ACTIONS, max_size=25))
def test_a_devrev_without_a_memory_bills_nothing_twice_and_lacks_nothing_but_what_is_listed_as_doubtful(
    actions: list[tuple[str, object]],
) -> None:
    with site(horizon_s=-1) as place:  # no trust in its memory at all
        place.devrev.switches.remembers_ids = place.devrev.switches.remembers_content = False
        for action, how in actions:
            place.act(action, how)
        place.drain()

        arrived = place.arrived()
        assert max(arrived.values(), default=1) == 1
        assert set(place.measured) - set(arrived) <= place.set_aside()
        assert place.waiting() == []


@given(actions=st.lists(ACTIONS, max_size=25))
def test_a_devrev_that_forgets_after_the_horizon_bills_nothing_twice(actions: list[tuple[str, object]]) -> None:
    with site(horizon_s=86_400) as place:
        place.devrev.switches.memory_s = 86_400 + 1000  # the bench makes its steps within seconds
        for action, how in actions:
            place.act(action, how)
        place.drain()

        arrived = place.arrived()
        assert max(arrived.values(), default=1) == 1
        assert set(place.measured) - set(arrived) <= place.set_aside()


@given(actions=st.lists(ACTIONS, max_size=25))
def test_the_ledger_holds_whatever_happens(actions: list[tuple[str, object]]) -> None:
    with site(horizon_s=86_400) as place:
        for action, how in actions:
            place.act(action, how)
            for row in place.outbox.ledger():
                parts = (row.delivered, row.waiting, row.set_aside, row.dropped, row.unconfirmed)
                assert row.measured.amount == sum(part.amount for part in parts)
                assert row.measured.amount == value(place.measured, row.destination.removeprefix("devrev."))
