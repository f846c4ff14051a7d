"""The time of this machine: the one place that asks for it, so that tests can give everything else another clock.

Wall time steps, in both directions and by any amount: a device without a battery-backed clock starts years in the past
and jumps once a server answers. So durations come from ``monotonic()``, what must outlive a suspend from
``boottime()``, and ``now()`` is for timestamps only.

Sources: clock_gettime(2), adjtimex(2), random(4) (/proc/sys/kernel/random/boot_id).
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

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
