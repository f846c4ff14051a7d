from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thingmeter.clock import BOOT_ID, RELEASED, SystemClock, WallTime, _is_disciplined
from thingmeter.protocols import Clock
from thingmeter.testing import ManualClock


def test_the_system_clock_is_a_clock() -> None:
    clock: Clock = SystemClock()

    assert clock.monotonic() > 0


def test_now_is_utc() -> None:
    now = SystemClock().now()

    assert now.tzinfo is UTC


def test_monotonic_time_is_the_kernels() -> None:
    before = time.monotonic()

    seconds = SystemClock().monotonic()

    assert before <= seconds <= time.monotonic()


def test_boot_time_is_what_the_kernel_calls_uptime() -> None:
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])

    seconds = SystemClock().boottime()

    assert seconds >= uptime_s - 0.01  # the file is rounded


def test_the_boot_id_is_the_kernels() -> None:
    boot_id = SystemClock().boot_id()

    assert boot_id == BOOT_ID.read_text().strip()


def test_without_a_boot_id_of_the_kernel_each_start_counts_as_a_boot(tmp_path: Path) -> None:
    starts = [SystemClock(boot_id_file=tmp_path / "missing") for _ in range(2)]

    assert starts[0].boot_id() != starts[1].boot_id()


def test_the_boot_id_of_a_start_stays(tmp_path: Path) -> None:
    clock = SystemClock(boot_id_file=tmp_path / "missing")

    assert clock.boot_id() == clock.boot_id()


def test_the_kernel_can_be_asked_whether_the_clock_is_synchronised() -> None:
    answer = SystemClock().synchronised()

    assert answer in {True, False}


@pytest.mark.parametrize(
    ("state", "status", "disciplined"),
    [
        pytest.param(0, 0x2001, True, id="TIME_OK"),
        pytest.param(1, 0x2001, True, id="a leap second is to come"),
        pytest.param(5, 0x40, False, id="TIME_ERROR"),
        pytest.param(0, 0x40, False, id="STA_UNSYNC"),
        pytest.param(-1, 0, False, id="not allowed to ask"),
    ],
)
def test_the_clock_is_synchronised_when_the_kernel_says_so(state: int, status: int, *, disciplined: bool) -> None:
    assert _is_disciplined(state, status) is disciplined


def test_a_time_before_this_version_of_thingmeter_is_not_believed() -> None:
    clock = ManualClock(RELEASED - timedelta(seconds=1))

    assert not WallTime(clock, 0).is_set()


def test_a_plausible_time_is_not_believed_early_in_a_boot_while_nothing_synchronises_it() -> None:
    clock = ManualClock(uptime_s=299)
    clock.is_synchronised = False

    assert not WallTime(clock, 300).is_set()


def test_a_synchronised_time_is_believed_early_in_a_boot() -> None:
    clock = ManualClock(uptime_s=1)

    assert WallTime(clock, 300).is_set()


def test_a_time_that_nothing_synchronises_is_believed_after_the_wait() -> None:
    clock = ManualClock(uptime_s=300)
    clock.is_synchronised = False

    assert WallTime(clock, 300).is_set()


def test_a_time_that_is_believed_stays_so_without_its_source() -> None:
    clock = ManualClock(uptime_s=1)
    wall = WallTime(clock, 300)
    wall.is_set()

    clock.is_synchronised = False

    assert wall.is_set()


def test_a_step_to_before_this_version_is_not_believed() -> None:
    clock = ManualClock()
    wall = WallTime(clock, 300)
    wall.is_set()

    clock.step(-366 * 86_400)

    assert not wall.is_set()


def test_the_kernel_is_not_asked_once_the_wait_is_over() -> None:
    class Unasked(ManualClock):
        def synchronised(self) -> bool:
            raise AssertionError("asked")

    assert WallTime(Unasked(uptime_s=300), 300).is_set()


def test_a_machine_that_was_believed_unsynchronised_is_told(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(uptime_s=0)
    clock.is_synchronised = False
    wall = WallTime(clock, 300)
    wall.is_set()
    clock.advance(300)

    wall.is_set()

    assert caplog.messages[-1] == "nothing has synchronised the clock within 300 s; it is trusted as it is"


def test_an_unset_clock_is_told_once_and_its_setting_too(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(datetime(1970, 1, 1, tzinfo=UTC))
    wall = WallTime(clock, 300)

    with caplog.at_level(logging.INFO):
        wall.is_set()
        wall.is_set()
        clock.step(57 * 365 * 86_400)
        wall.is_set()
        wall.is_set()

    assert [message.partition(" (")[0] for message in caplog.messages] == ["the clock is not set", "the clock is set"]
