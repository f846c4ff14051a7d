from __future__ import annotations

import time
from datetime import UTC
from pathlib import Path

import pytest

from thingmeter.clock import BOOT_ID, SystemClock, _is_disciplined
from thingmeter.protocols import Clock


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
