"""The machine itself: how long it is up, which boot this is, who is logged in, whether its time is synchronised.

Sources: sd_login(3) and the session files of systemd-logind, else utmp(5); adjtimex(2) by way of the clock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from thingmeter.clock import SystemClock
from thingmeter.metrics import Metric, Sample
from thingmeter.protocols import Clock

UPTIME = Metric("uptime_s", unit="s", description="Time since boot, sleep included.")
BOOT_ID = Metric("boot_id", unit="1", description="What names this boot; another one after each boot.", type="text")
SYNCHRONISED = Metric(
    "time_synchronised",
    unit="1",
    description="Whether the kernel says that a time source keeps the clock right.",
    type="boolean",
)
USERS = Metric("users_logged_in", unit="1", description="Distinct users logged in at a terminal, a desktop or by SSH.")
SESSIONS = Metric("login_sessions", unit="1", description="Sessions of these users; one user may have several.")

# musl's utmp is empty functions: psutil would say that nobody is logged in, which nobody knows
UTMP_WORKS = "CS_GNU_LIBC_VERSION" in os.confstr_names


class HostCollector:
    """Asks the clock, and systemd-logind's session files or else utmp; without either, users are left out.

    Args:
        clock: gives the time since boot, the boot's name, and whether the time is synchronised.
        run: where the state of running services is.
    """

    metrics = (UPTIME, BOOT_ID, SYNCHRONISED, USERS, SESSIONS)

    def __init__(self, *, clock: Clock | None = None, run: Path = Path("/run")) -> None:
        self._clock = clock or SystemClock()
        self._run = run

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each metric."""
        yield UPTIME.sample(self._clock.boottime())
        yield BOOT_ID.sample(self._clock.boot_id())
        yield SYNCHRONISED.sample(self._clock.synchronised())
        users = self._users()
        if users is not None:
            yield USERS.sample(len(set(users)))
            yield SESSIONS.sample(len(users))

    def _users(self) -> list[str] | None:
        """Return the user of each session; None where nothing keeps count of them."""
        sessions = self._run / "systemd/sessions"
        if sessions.is_dir():
            # is_file(): beside each session stands a FIFO (.ref), and reading that would never end
            return [user for path in sessions.iterdir() if path.is_file() and (user := _user(path))]
        if UTMP_WORKS and (self._run / "utmp").exists():
            return [user.name for user in psutil.users()]
        return None


def _user(session: Path) -> str | None:
    """Return whose session it is; None for a greeter, a service or cron job, and for one that ended meanwhile."""
    try:
        lines = session.read_text(errors="replace").splitlines()
    except OSError:
        return None
    fields = dict(line.split("=", maxsplit=1) for line in lines if "=" in line)
    ours = fields.get("CLASS", "").startswith("user") and fields.get("STATE") != "closing"
    return fields.get("USER") or fields.get("UID") if ours else None


collector = HostCollector
