"""Metering against DevRev: whatever happens, the records come to what the committed samples come to.

DevRev gets each committed sample as a point of its own, in the order in which they were measured, and in the end all
the records. Steps of the clock, restarts, reboots with the clock unset and a full outbox come at any moment.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from devrev.usage_judge import Judge
from metering.device import START, Device, devrev, limits, uom
from metering.full import fill, make_room
from thingmeter.destinations.devrev.usage import body
from thingmeter.metrics import Metric

LEVEL = Metric("pump.level", unit="l", dimensions=("site",))
LITRES = Metric("pump.litres", unit="l", kind="counter", resets="never")
KINDS = ("sum", "maximum", "minimum", "latest", "oldest", "running_total", "unique_count", "duration")
UOMS = (*(uom(kind, kind) for kind in KINDS), uom("counted", "sum", "pump.litres"), uom("emitted", "sum", ""))  # type: ignore[arg-type]  # literals
SITES = ("north", "south")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_S = 86_400
FAR_S = 100 * DAY_S
Taken = tuple[str, float]


class MeteringModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="metering-model-"))
        self.device = Device(self.root, devrev(*UOMS), sync_wait_s=FAR_S, bounds=limits(400_000))
        self.true_time = START
        self.levels: list[Taken] = []
        self.pending: list[Taken] = []
        self.emitted = 0
        self.counter = 100
        self.first_counted: int | None = None
        self.pending_first: int | None = None
        self.is_full = False

    @rule(value=st.sampled_from((0, 1, 2, 5, 7.5, -3)), site=st.sampled_from(SITES))
    def sample(self, value: float, site: str) -> None:
        self.device.sample(value, LEVEL, None, site=site)
        self.pending.append((site, value))

    @rule(increase=st.integers(0, 50))
    def count(self, increase: int) -> None:
        self.counter += increase
        self.device.sample(self.counter, LITRES)
        if self.first_counted is None and self.pending_first is None:
            self.pending_first = self.counter

    @rule(seconds=st.sampled_from((0.001, 1, 10, 60, 200)))
    def wait(self, seconds: float) -> None:
        self.device.clock.advance(seconds)
        self.true_time += timedelta(seconds=seconds)

    @rule()
    def turn(self) -> None:
        self.device.metering.turn()
        self.note_commit()

    @rule()
    def flush(self) -> None:
        self.device.metering.flush()
        self.note_commit()

    @rule(amount=st.integers(1, 9), age_s=st.sampled_from((None, 0, 100, 90_000)))
    def emit(self, amount: int, age_s: int | None) -> None:
        at = None if age_s is None else self.true_time - timedelta(seconds=age_s)
        if self.is_full:
            return
        try:
            self.device.metering.emit("emitted", amount, at=at)
        except ValueError:  # in the future, by a clock that is behind
            assert at is not None
            assert at > self.device.clock.now() + timedelta(seconds=60)
            return
        self.emitted += amount
        self.note_commit()

    @rule(seconds=st.sampled_from((-40_000, -61, -0.002, 0.002, 61, 40_000)))
    def step(self, seconds: float) -> None:
        wrong_s = (self.device.clock.now() - self.true_time).total_seconds() + seconds
        if not self.device.clock.is_synchronised or abs(wrong_s) < DAY_S / 2:  # beyond a day order is given up
            self.device.clock.step(seconds)

    @rule()
    def kill(self) -> None:
        self.device.restart()
        self.forget_uncommitted()

    @rule(unset=st.sampled_from(("set", "1970", "plausible")))
    def reboot(self, unset: str) -> None:
        self.device.clock.is_synchronised = unset == "set"
        self.device.reboot({"set": self.true_time, "1970": EPOCH}.get(unset))
        self.forget_uncommitted()

    @rule()
    def set_clock(self) -> None:
        self.device.clock.step((self.true_time - self.device.clock.now()).total_seconds())
        self.device.clock.is_synchronised = True

    @rule()
    def fill_up(self) -> None:
        fill(self.device.outbox)
        self.is_full = True

    @rule()
    def make_room(self) -> None:
        make_room(self.device.outbox)
        self.is_full = False

    @invariant()
    def the_ledger_holds(self) -> None:
        for row in self.device.outbox.ledger():
            assert row.measured == row.waiting

    def note_commit(self) -> None:
        if self.device.metering._intake._pending:
            return
        self.levels += self.pending
        self.pending = []
        self.first_counted = self.pending_first if self.first_counted is None else self.first_counted
        self.pending_first = None

    def forget_uncommitted(self) -> None:
        self.pending, self.pending_first = [], None

    def teardown(self) -> None:
        try:
            self.make_room()
            self.set_clock()
            self.turn()
            self.count(0)
            self.turn()
            self.wait(200)
            self.turn()
            assert self.device.outbox.journal() == []
            self.check()
        finally:
            self.device.outbox.close()
            shutil.rmtree(self.root)

    def check(self) -> None:
        assert sum(self.device.values("emitted")) == self.emitted
        assert self.first_counted is not None
        assert sum(self.device.values("counted")) == self.counter - self.first_counted
        for kind in KINDS[:-1]:
            assert self.billed(kind) == self.due(kind), kind
        for site in SITES:
            assert self.changes_billed(site) == [value for value, _ in groupby(v for s, v in self.levels if s == site)]

    def billed(self, kind: str) -> object:
        frames = [message.payload for message in self.device.outbox.waiting(f"devrev.{kind}", 100_000)]
        judge = self.judge(kind)
        if frames:
            judge.take(body(frames))
        return judge.devrev.totals(kind)

    def due(self, kind: str) -> object:
        judge = self.judge(kind)
        points = [
            {
                "id": f"raw-{second}",
                "timestamp": (START + timedelta(seconds=second)).isoformat(timespec="milliseconds"),
                "value": value,
                "dimensions": [{"key": "site", "value": site}],
            }
            for second, (site, value) in enumerate(self.levels)
        ]
        if points:
            metric = {"account_ref": "ACC-1", "name": kind, "data_points": points}
            judge.take(json.dumps({"metrics": [metric]}).encode())
        return judge.devrev.totals(kind)

    def judge(self, kind: str) -> Judge:
        return Judge(next(each for each in UOMS if each.metric_name == kind), FAR_S)

    def changes_billed(self, site: str) -> list[float]:
        """Return the states that DevRev sees, by time."""
        own = [r.point for r in self.device.records("duration") if r.point.group.dimensions == (("site", site),)]
        return [value for value, _ in groupby(point.value for point in sorted(own, key=lambda point: point.at))]


MeteringModel.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
TestMeteringAgainstDevRev = MeteringModel.TestCase
