"""The time of this machine: the one place that asks for it, so that tests can give everything else another clock.

Wall time steps, in both directions and by any amount: a device without a battery-backed clock starts years in the past
and jumps once a server answers. So durations come from ``monotonic()``, what must outlive a suspend from
``boottime()``, and ``now()`` is for timestamps only.

A wall time can be plausible and wrong: without such a clock many devices begin with the time of their last shutdown.
``WallTime`` says from when on it is believed.

Sources: clock_gettime(2), adjtimex(2), random(4) (/proc/sys/kernel/random/boot_id).
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from thingmeter.protocols import Clock

logger = logging.getLogger(__name__)

RELEASED = datetime(2025, 7, 1, tzinfo=UTC)  # this version is younger: a wall time before is wrong
SET = "the clock is set"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_CLOCK_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux alone has it
_TIME_ERROR = 5  # what adjtimex returns while nothing disciplines the clock
_STA_UNSYNC = 0x0040
_TIMEX_BYTES = 512  # struct timex has 208 on 64-bit machines; the kernel writes no more than its own


class SystemClock:
    """The kernel's clocks; a ``protocols.Clock``. Its methods may be called from any thread.

    Args:
        boot_id_file: where the kernel names this boot. Where it can't be read (elsewhere than on Linux), each start of
            the process counts as a boot: nothing is then taken for a continuation of what it may not continue.
    """

    def __init__(self, *, boot_id_file: Path = BOOT_ID) -> None:
        try:
            self._boot_id = boot_id_file.read_text("ascii").strip()
        except OSError:
            self._boot_id = str(uuid.uuid4())

    def now(self) -> datetime:
        """Return the wall time, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never step and stand still while the machine sleeps."""
        return time.monotonic()

    def boottime(self) -> float:
        """Return seconds since boot, sleep included."""
        return time.clock_gettime(_CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """Return what names this boot, as it was read at the start."""
        return self._boot_id

    def synchronised(self) -> bool:
        """Return whether the kernel says that a time source disciplines the wall time.

        False as well where the kernel can't be asked: a seccomp filter without the ``@clock`` set (systemd's
        ``ProtectClock=yes``) forbids even this reading.
        """
        return _is_disciplined(*_adjtimex())


class WallTime:
    """Whether the wall time is believed. Its methods may be called from any thread.

    It is not while it is earlier than ``RELEASED``; and not during the first ``sync_wait_s`` seconds of a boot while
    the kernel says that nothing synchronises it. A machine that nothing ever synchronises is believed after that, and
    the log says so. Once believed, only a step to before ``RELEASED`` takes that back.

    Attributes:
        clock: whose wall time.

    Args:
        clock: as above.
        sync_wait_s: 0 believes any time from ``RELEASED`` on at once.
    """

    def __init__(self, clock: Clock, sync_wait_s: float) -> None:
        self.clock = clock
        self._sync_wait_s = sync_wait_s
        self._lock = threading.Lock()
        self._is_believed = False
        self._is_missed = False

    def is_set(self) -> bool:
        """Return whether the wall time is believed now; changes are logged."""
        with self._lock:
            is_late_enough = self.clock.now() >= RELEASED
            why = self._why_believed() if is_late_enough else ""
            if not why:
                self._miss(is_late_enough=is_late_enough)
            elif self._is_missed:
                self._is_missed = False
                logger.log(logging.INFO if why == SET else logging.WARNING, "%s", why)
            return bool(why)

    def _why_believed(self) -> str:
        if not self._is_believed:
            waited = self.clock.boottime() >= self._sync_wait_s
            if waited and self._is_missed and not self.clock.synchronised():
                self._is_believed = True
                return f"nothing has synchronised the clock within {self._sync_wait_s:g} s; it is trusted as it is"
            self._is_believed = waited or self.clock.synchronised()
        return SET if self._is_believed else ""

    def _miss(self, *, is_late_enough: bool) -> None:
        if not self._is_missed:
            self._is_missed = True
            why = "not synchronised yet" if is_late_enough else "earlier than this version of thingmeter"
            logger.warning("the clock is not set (%s): usage is kept with the time since boot", why)


def _adjtimex() -> tuple[int, int]:
    """Return the clock's state (-1: can't be asked) and its status bits; changes nothing, so needs no privilege."""
    import ctypes  # noqa: PLC0415  # 1 MB that only a daemon whose clock is in question needs

    class Timex(ctypes.Structure):
        """The head of struct timex (linux/timex.h), up to what is read here; ``modes`` 0 asks and sets nothing."""

        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_ubyte * _TIMEX_BYTES),
        )

    timex = Timex()
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.byref(timex)))
    except AttributeError:  # a C library without it
        return -1, _STA_UNSYNC
    return state, int(timex.status)


def _is_disciplined(state: int, status: int) -> bool:
    return state not in {-1, _TIME_ERROR} and not status & _STA_UNSYNC
