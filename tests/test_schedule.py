from __future__ import annotations

import logging
import os
import selectors
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from end_to_end.clock_shim import ClockShim, clock_shim
from thingmeter.clock import SystemClock
from thingmeter.schedule import Schedule, _MonotonicTrigger, _MonotonicZone

__all__ = ["clock_shim"]  # a fixture

PATIENCE_S = 30  # of a test for what takes a fraction of a second; only a failing test waits this long
HOUR_S = 3600
AGENT = Path(__file__).parents[1] / "agent"


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    schedule = Schedule(SystemClock())
    yield schedule
    schedule.stop(PATIENCE_S)


class Turns:
    """A job that counts its runs and lets a test wait for one of them."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, PATIENCE_S)


def turns_at(trigger: _MonotonicTrigger, *seconds: float) -> list[float]:
    """Ask the trigger at each of these times, as after a run then; return its answers in seconds."""
    zone = _MonotonicZone(lambda: 0)
    start = datetime.now(zone)
    trigger.get_next_fire_time(None, start)
    times = [start + timedelta(seconds=second) for second in seconds]
    return [(trigger.get_next_fire_time(time, time) - start).total_seconds() for time in times]


def test_a_job_runs_again_and_again(schedule: Schedule) -> None:
    turns = Turns()
    schedule.every(0.01, turns, "turns")

    schedule.start()

    assert turns.wait_for(3)


def test_a_job_with_first_0_runs_at_once(schedule: Schedule) -> None:
    turns = Turns()
    schedule.every(HOUR_S, turns, "turns", first=0)

    schedule.start()

    assert turns.wait_for(1)


def test_a_job_can_be_added_to_a_running_schedule(schedule: Schedule) -> None:
    turns = Turns()
    schedule.start()

    schedule.every(HOUR_S, turns, "turns", first=0)

    assert turns.wait_for(1)


def test_a_job_asked_for_now_runs_out_of_turn(schedule: Schedule) -> None:
    turns = Turns()
    schedule.every(HOUR_S, turns, "turns")
    schedule.start()

    schedule.now("turns")

    assert turns.wait_for(1)


def test_asking_for_an_unknown_job_is_an_error(schedule: Schedule) -> None:
    schedule.start()

    with pytest.raises(KeyError):
        schedule.now("nothing")


def test_a_job_can_be_put_off_or_moved_up(schedule: Schedule) -> None:
    turns = Turns()
    schedule.every(HOUR_S, turns, "turns")
    schedule.start()

    schedule.again("turns", 0.01)

    assert turns.wait_for(1)


def test_moving_an_unknown_job_is_an_error(schedule: Schedule) -> None:
    schedule.start()

    with pytest.raises(KeyError):
        schedule.again("nothing", 1)


@pytest.mark.parametrize(("interval_s", "first"), [(0, None), (-1, None), (1, -1)])
def test_an_impossible_plan_is_refused(schedule: Schedule, interval_s: float, first: float | None) -> None:
    with pytest.raises(ValueError, match="job turns"):
        schedule.every(interval_s, Turns(), "turns", first=first)


def test_a_second_job_of_the_same_name_is_refused(schedule: Schedule) -> None:
    schedule.every(1, Turns(), "turns")

    with pytest.raises(ValueError, match="job turns"):
        schedule.every(1, Turns(), "turns")


def test_a_job_that_raises_runs_again(schedule: Schedule) -> None:
    turns = Turns()

    def fail() -> None:
        turns()
        raise OSError("no")

    schedule.every(0.01, fail, "fails")

    schedule.start()

    assert turns.wait_for(3)


def test_a_job_that_raises_is_told_once(schedule: Schedule, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    turns = Turns()

    def fail() -> None:
        turns()
        raise OSError("no")

    schedule.every(0.01, fail, "fails")
    schedule.start()
    turns.wait_for(4)
    schedule.stop(PATIENCE_S)

    assert [message for message in caplog.messages if "failed" in message] == ["job fails failed (1 in a row)"]


def test_a_job_that_works_again_is_told(schedule: Schedule, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    turns = Turns()

    def fail_once() -> None:
        turns()
        if turns.count == 1:
            raise OSError("no")

    schedule.every(0.01, fail_once, "fails")
    schedule.start()
    turns.wait_for(3)

    assert "job fails works again after 1 failures" in caplog.messages


def test_a_job_never_runs_twice_at_a_time(schedule: Schedule) -> None:
    others, begun, end = Turns(), Turns(), threading.Event()

    def hang() -> None:
        begun()
        end.wait(PATIENCE_S)

    schedule.every(0.01, hang, "hangs")
    schedule.every(0.01, others, "others")
    schedule.start()
    begun.wait_for(1)

    others.wait_for(others.count + 5)

    assert begun.count == 1
    end.set()


def test_a_hung_job_does_not_hold_up_the_others(schedule: Schedule) -> None:
    others, end = Turns(), threading.Event()

    def hang() -> None:
        end.wait(PATIENCE_S)

    schedule.every(HOUR_S, hang, "hangs", first=0)
    schedule.every(0.01, others, "others")

    schedule.start()

    assert others.wait_for(3)
    end.set()


def test_jobs_beyond_the_number_of_threads_wait_for_one() -> None:
    schedule = Schedule(SystemClock(), threads=1)
    jobs = [Turns() for _ in range(5)]
    for number, turns in enumerate(jobs):
        schedule.every(HOUR_S, turns, f"turns {number}", first=0)

    schedule.start()

    assert all(turns.wait_for(1) for turns in jobs)
    schedule.stop(PATIENCE_S)


def test_jobs_one_after_another_share_a_thread(schedule: Schedule) -> None:
    seen, turns = set(), Turns()

    def look() -> None:
        seen.add(threading.current_thread().name)
        turns()

    schedule.every(0.02, look, "looks")

    schedule.start()
    turns.wait_for(5)

    assert seen == {"schedule-1"}


def test_stop_waits_for_the_job_that_runs() -> None:
    schedule, begun, end = Schedule(SystemClock()), threading.Event(), threading.Event()
    ended, seen = [], []

    def work() -> None:
        begun.set()
        ended.append(end.wait(PATIENCE_S))

    schedule.every(HOUR_S, work, "works", first=0)
    schedule.start()
    begun.wait(PATIENCE_S)
    stopping = threading.Thread(target=lambda: seen.append((schedule.stop(PATIENCE_S), *ended)))

    stopping.start()
    end.set()
    stopping.join(PATIENCE_S)

    assert seen == [(True, True)]


def test_stop_returns_though_a_job_hangs() -> None:
    schedule, begun, end = Schedule(SystemClock()), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        end.wait(PATIENCE_S)

    schedule.every(HOUR_S, hang, "hangs", first=0)
    schedule.start()
    begun.wait(PATIENCE_S)

    assert not schedule.stop(0.01)
    end.set()


def test_stop_ends_the_threads() -> None:
    schedule, turns = Schedule(SystemClock()), Turns()
    schedule.every(HOUR_S, turns, "turns", first=0)
    schedule.start()
    turns.wait_for(1)

    schedule.stop(PATIENCE_S)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("schedule-", "APScheduler"))]


def test_a_job_may_stop_the_schedule() -> None:
    schedule, outcomes, done = Schedule(SystemClock()), [], threading.Event()

    def stop() -> None:
        outcomes.append(schedule.stop(PATIENCE_S))
        done.set()

    schedule.every(HOUR_S, stop, "stops", first=0)

    schedule.start()

    assert done.wait(PATIENCE_S)
    assert outcomes == [True]


def test_stopping_what_never_started_is_fine(schedule: Schedule) -> None:
    assert schedule.stop(0)


def test_the_zone_shows_monotonic_time_to_whoever_asks_for_now() -> None:
    seconds = 5.0
    zone = _MonotonicZone(lambda: seconds)
    before = datetime.now(zone)
    seconds = 6.5

    after = datetime.now(zone)

    assert after - before == timedelta(seconds=1.5)


def test_the_times_of_the_zone_survive_a_way_through_utc() -> None:
    time = datetime.now(_MonotonicZone(lambda: 5.0))

    assert time.astimezone(UTC) == time


@pytest.mark.parametrize(
    ("asked_at", "answer"),
    [
        pytest.param(0, 10, id="at its turn: the next one"),
        pytest.param(0.3, 10, id="late: back in phase"),
        pytest.param(7, 10, id="run out of turn: the phase stays"),
        pytest.param(10, 20, id="exactly at a turn"),
        pytest.param(10_805, 10_810, id="after hours: what was missed is skipped"),
    ],
)
def test_a_job_keeps_its_phase(asked_at: float, answer: float) -> None:
    trigger = _MonotonicTrigger(interval_s=10, first_s=0)

    turns = turns_at(trigger, asked_at)

    assert turns == [answer]


def test_a_job_run_out_of_turn_before_its_first_one_still_has_its_first_one() -> None:
    trigger = _MonotonicTrigger(interval_s=10, first_s=4)

    turns = turns_at(trigger, 1)

    assert turns == [4]


def test_a_job_that_was_moved_has_its_phase_from_there() -> None:
    trigger = _MonotonicTrigger(interval_s=10, first_s=0)
    start = datetime.now(_MonotonicZone(lambda: 0))
    trigger.get_next_fire_time(None, start)
    turn = trigger.restart(start + timedelta(seconds=3), 4)

    following = trigger.get_next_fire_time(turn, turn)

    assert [(time - start).total_seconds() for time in (turn, following)] == [7, 17]


def test_turns_do_not_drift_in_a_year() -> None:
    trigger = _MonotonicTrigger(interval_s=0.1, first_s=0)
    year_s = 365 * 24 * HOUR_S

    turns = turns_at(trigger, year_s)

    assert turns == [year_s + 0.1]


JOBS = """
import sys, threading, time
from thingmeter.clock import SystemClock
from thingmeter.schedule import Schedule

def tell(name):
    sys.stdout.write(f"{name} {time.time()} {time.monotonic()}\\n")
    sys.stdout.flush()

schedule = Schedule(SystemClock())
for number, interval_s in enumerate((0.2, 0.2, 0.4)):
    schedule.every(interval_s, lambda name=f"{interval_s}/{number}": tell(name), f"job {number}", first=0)
schedule.start()
threading.Event().wait()
"""
INTERVALS = {"0.2/0": 0.2, "0.2/1": 0.2, "0.4/2": 0.4}


class Reports:
    """The lines of the process under test: (job, wall, monotonic)."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        self._file = process.stdout.fileno()
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._file, selectors.EVENT_READ)

    def until(self, enough: Callable[[list[tuple[str, float, float]]], bool]) -> list[tuple[str, float, float]]:
        lines: list[tuple[str, float, float]] = []
        while not enough(lines):
            assert self._selector.select(PATIENCE_S), f"silent after {lines[-3:]}"
            *whole, self._rest = (self._rest + os.read(self._file, 65536)).split(b"\n")
            for line in whole:
                name, wall, monotonic = line.decode().split()
                lines.append((name, float(wall), float(monotonic)))
        return lines


def each_ran(times: int) -> Callable[[list[tuple[str, float, float]]], bool]:
    def enough(lines: list[tuple[str, float, float]]) -> bool:
        counts = Counter(name for name, _, _ in lines)
        return all(counts[name] >= times for name in INTERVALS)

    return enough


@pytest.fixture
def process(clock_shim: ClockShim) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**clock_shim.environment(), "PYTHONPATH": str(AGENT)}
    command = [sys.executable, "-c", JOBS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        yield process
        process.kill()


@pytest.mark.needs_compiler
@pytest.mark.parametrize("step_s", [3 * HOUR_S, -3 * HOUR_S, 50 * 365 * 24 * HOUR_S])
def test_after_a_step_of_the_clock_every_job_goes_on_without_a_burst(
    clock_shim: ClockShim, process: subprocess.Popen[bytes], step_s: int
) -> None:
    reports = Reports(process)
    before = reports.until(each_ran(3))

    clock_shim.step_to(step_s)
    after = reports.until(each_ran(5))

    runs = before + after
    steps = [later[1] - earlier[1] - (later[2] - earlier[2]) for earlier, later in pairwise(runs)]
    assert max(steps, key=abs) == pytest.approx(step_s, abs=60)  # the process has seen the step
    for name, interval_s in INTERVALS.items():
        times = [monotonic for job, _, monotonic in runs if job == name]
        assert len(times) <= (times[-1] - times[0]) / interval_s + 2  # as many as there were turns: no burst
