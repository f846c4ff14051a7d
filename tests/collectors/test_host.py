from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from thingmeter.clock import SystemClock
from thingmeter.collectors.host import UTMP_WORKS, HostCollector
from thingmeter.metrics import Value

ALICE = "UID=1000\nUSER=alice\nSTATE=active\nCLASS=user\n"
BOB = "UID=1001\nUSER=bob\nSTATE=online\nCLASS=user\n"


@dataclass(frozen=True)
class StoppedClock:
    """A clock that stands still."""

    disciplined: bool = True

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 100.0

    def boottime(self) -> float:
        return 3600.5

    def boot_id(self) -> str:
        return "4e1e0b07-7e18-48fd-b4a4-c33d34ae7e34"

    def synchronised(self) -> bool:
        return self.disciplined


def run_with(folder: Path, *sessions: str) -> Path:
    """Return a /run in which systemd-logind keeps these sessions."""
    sessions_folder = folder / "systemd/sessions"
    sessions_folder.mkdir(parents=True)
    for number, session in enumerate(sessions, start=1):
        (sessions_folder / str(number)).write_text(f"# This is private data. Do not parse.\n{session}")
    return folder


def readings(collector: HostCollector) -> dict[str, Value]:
    return {sample.metric.name: sample.value for sample in collector.collect()}


def test_uptime_counts_from_boot(tmp_path: Path) -> None:
    host = readings(HostCollector(clock=StoppedClock(), run=tmp_path))

    assert host["uptime_s"] == 3600.5


def test_the_boot_is_named(tmp_path: Path) -> None:
    host = readings(HostCollector(clock=StoppedClock(), run=tmp_path))

    assert host["boot_id"] == "4e1e0b07-7e18-48fd-b4a4-c33d34ae7e34"


@pytest.mark.parametrize("disciplined", [True, False])
def test_the_clock_tells_whether_it_is_synchronised(tmp_path: Path, *, disciplined: bool) -> None:
    host = readings(HostCollector(clock=StoppedClock(disciplined), run=tmp_path))

    assert host["time_synchronised"] is disciplined


def test_without_a_clock_it_asks_the_kernels() -> None:
    host = readings(HostCollector())

    assert host["boot_id"] == SystemClock().boot_id()


def test_a_user_with_two_sessions_is_one_user(tmp_path: Path) -> None:
    host = readings(HostCollector(clock=StoppedClock(), run=run_with(tmp_path, ALICE, BOB, ALICE)))

    assert host["users_logged_in"] == 2


def test_each_session_counts(tmp_path: Path) -> None:
    host = readings(HostCollector(clock=StoppedClock(), run=run_with(tmp_path, ALICE, BOB, ALICE)))

    assert host["login_sessions"] == 3


@pytest.mark.parametrize(
    "session",
    [
        "UID=120\nUSER=gdm\nSTATE=active\nCLASS=greeter\n",
        "UID=0\nUSER=root\nSTATE=active\nCLASS=background\n",
        "UID=1000\nUSER=alice\nSTATE=closing\nCLASS=user\n",
        "",
    ],
)
def test_a_session_of_no_user_does_not_count(tmp_path: Path, session: str) -> None:
    host = readings(HostCollector(clock=StoppedClock(), run=run_with(tmp_path, session)))

    assert host["login_sessions"] == 0


def test_the_fifo_beside_a_session_is_not_opened(tmp_path: Path) -> None:
    run = run_with(tmp_path, ALICE)
    os.mkfifo(run / "systemd/sessions/1.ref")  # reading it would wait for a writer for ever

    host = readings(HostCollector(clock=StoppedClock(), run=run))

    assert host["login_sessions"] == 1


@pytest.mark.skipif(not UTMP_WORKS, reason="the C library has no utmp")
def test_without_logind_the_sessions_are_those_of_utmp(tmp_path: Path) -> None:
    (tmp_path / "utmp").touch()

    host = readings(HostCollector(clock=StoppedClock(), run=tmp_path))

    assert host["login_sessions"] == len(psutil.users())


def test_users_are_left_out_where_nothing_counts_them(tmp_path: Path) -> None:
    host = readings(HostCollector(clock=StoppedClock(), run=tmp_path))

    assert host.keys() == {"uptime_s", "boot_id", "time_synchronised"}
