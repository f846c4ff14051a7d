from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from metering.device import Device, devrev, limits, uom
from thingmeter.testing import ManualClock

TESTS = Path(__file__).parents[1]
KILLS = 6
pytestmark = pytest.mark.long


@dataclass
class Said:
    """What the killed processes said: how many lines of each kind, and the first and last value of the counter."""

    lines: Counter[str] = field(default_factory=Counter)
    first_counted: int | None = None
    last_counted: int = 0


def run_and_kill(folder: Path, after_lines: int, said: Said) -> None:
    """Run the program, kill it with SIGKILL after as many lines."""
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "metering" / "killed.py"), str(folder)],
        env={"PYTHONPATH": f"{TESTS.parent / 'agent'}:{TESTS}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        for number, line in enumerate(process.stdout):
            if number == after_lines:
                process.kill()
            if not line.endswith("\n"):
                continue
            what, value = line.split()
            said.lines[what] += 1
            if what == "counted":
                said.first_counted = said.first_counted or int(value)
                said.last_counted = int(value)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Said, Device]]:
    """Kill the program several times over one outbox; return what it said, and the device when all has ended."""
    folder = tmp_path_factory.mktemp("killed")
    chance = random.Random(20260514)
    said = Said()
    for _ in range(KILLS):
        run_and_kill(folder, chance.randrange(10, 900), said)
    settings = devrev(uom("emitted", "sum", ""), uom("litres", "sum", "pump.litres"), window_s=1)
    device = Device(folder, settings, ManualClock(), bounds=limits(1 << 28))
    device.clock.step(400 * 86_400)
    device.metering.turn()
    device.pass_s(10)
    yield said, device
    device.outbox.close()


def test_no_emit_that_returned_is_lost_or_counted_twice_over_kill_9(killed: tuple[Said, Device]) -> None:
    said, device = killed

    total = sum(device.values("emitted"))

    # One that was begun may have been committed, and the process killed before it could say so.
    assert said.lines["emitted"] <= total <= said.lines["emitting"]


def test_no_increase_that_was_committed_is_lost_or_counted_twice_over_kill_9(killed: tuple[Said, Device]) -> None:
    said, device = killed
    assert said.first_counted is not None

    total = sum(device.values("litres"))

    grown = said.last_counted - said.first_counted
    assert grown <= total <= grown + 2  # the newest turn and the first may have been committed, and not said


def test_no_id_comes_twice_over_kill_9(killed: tuple[Said, Device]) -> None:
    _, device = killed

    ids = [record.id for name in ("emitted", "litres") for record in device.records(name)]

    assert len(ids) == len(set(ids))


def test_every_record_is_in_the_ledger_over_kill_9(killed: tuple[Said, Device]) -> None:
    _, device = killed

    measured = sum(row.measured.amount for row in device.ledger("emitted"))

    assert measured == sum(device.values("emitted"))


def test_nothing_is_left_in_the_journal_over_kill_9(killed: tuple[Said, Device]) -> None:
    _, device = killed

    assert device.outbox.journal() == []
