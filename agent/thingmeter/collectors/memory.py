"""Memory and swap, from /proc/meminfo, and what is moved for want of it, from /proc/vmstat.

*Used* is what a new process cannot get (total - available), as free(1) shows it since procps 4. How long tasks stood
still for want of memory is ``cpu.pressure_percent`` with the dimension ``resource = "memory"``.

Sources: proc(5); Documentation/filesystems/proc.rst of Linux.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from thingmeter.metrics import Metric, Sample

TOTAL = Metric("total_bytes", unit="By", description="Memory that the kernel manages.")
AVAILABLE = Metric("available_bytes", unit="By", description="Memory that a new process can get without swapping.")
USED = Metric("used_bytes", unit="By", description="Memory that a new process cannot get: total - available.")
USED_PERCENT = Metric("used_percent", unit="%", description="used_bytes of total_bytes.")
FREE = Metric("free_bytes", unit="By", description="Memory that nothing uses, not even the page cache.")
CACHED = Metric("cached_bytes", unit="By", description="Page cache, buffers and slabs that can be given back.")
SHARED = Metric("shared_bytes", unit="By", description="Shared memory and files in tmpfs (/run, /tmp, /dev/shm).")
DIRTY = Metric("dirty_bytes", unit="By", description="Data not yet written to its disk; lost in a power cut.")
SWAP_TOTAL = Metric("swap_total_bytes", unit="By", description="Size of the swap space; 0 without any.")
SWAP_USED = Metric("swap_used_bytes", unit="By", description="Swap space in use.")
SWAP_FREE = Metric("swap_free_bytes", unit="By", description="Swap space not in use.")
SWAP_USED_PERCENT = Metric(
    "swap_used_percent", unit="%", description="swap_used_bytes of swap_total_bytes; left out without swap."
)
SWAPPED_IN = Metric(
    "swapped_in_bytes", unit="By", description="Memory read back from the swap space since boot.", kind="counter"
)
SWAPPED_OUT = Metric(
    "swapped_out_bytes", unit="By", description="Memory written to the swap space since boot.", kind="counter"
)
MAJOR_FAULTS = Metric(
    "major_faults", unit="1", description="Page faults since boot that had to wait for a disk.", kind="counter"
)
OOM_KILLS = Metric("oom_kills", unit="1", description="Processes killed since boot for want of memory.", kind="counter")

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# name in /proc/vmstat: metric, and what one unit of it is worth
EVENTS = {
    b"pswpin": (SWAPPED_IN, PAGE_BYTES),
    b"pswpout": (SWAPPED_OUT, PAGE_BYTES),
    b"pgmajfault": (MAJOR_FAULTS, 1),
    b"oom_kill": (OOM_KILLS, 1),
}
EVENT = re.compile(rb"^(%b) (\d+)$" % b"|".join(EVENTS), re.MULTILINE)


class MemoryCollector:
    """Reads each file once a collect (psutil reads /proc/meminfo twice, once for memory and once for swap).

    Counters start again from zero at boot. A counter that the kernel doesn't keep (swap compiled out, before 4.13 for
    ``oom_kills``) is left out.

    Args:
        proc: where procfs is mounted.
    """

    metrics = (
        *(TOTAL, AVAILABLE, USED, USED_PERCENT, FREE, CACHED, SHARED, DIRTY),
        *(SWAP_TOTAL, SWAP_USED, SWAP_FREE, SWAP_USED_PERCENT),
        *(SWAPPED_IN, SWAPPED_OUT, MAJOR_FAULTS, OOM_KILLS),
    )

    def __init__(self, *, proc: Path = Path("/proc")) -> None:
        self._meminfo = proc / "meminfo"
        self._vmstat = proc / "vmstat"

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each metric.

        Raises:
            OSError: /proc/meminfo or /proc/vmstat can't be read.
        """
        meminfo = _bytes_by_name(self._meminfo.read_bytes())
        yield from _memory(meminfo)
        yield from _swap(meminfo)
        for name, count in EVENT.findall(self._vmstat.read_bytes()):
            metric, worth = EVENTS[name]
            yield metric.sample(int(count) * worth)


def _bytes_by_name(meminfo: bytes) -> dict[bytes, int]:
    """Return the lines of /proc/meminfo that are sizes, in bytes; the kernel writes kB and means KiB."""
    lines = (line.split() for line in meminfo.splitlines())
    return {words[0]: int(words[1]) * 1024 for words in lines if len(words) == 3}  # noqa: PLR2004  name, number, kB


def _memory(meminfo: dict[bytes, int]) -> Iterator[Sample]:
    total, free = meminfo[b"MemTotal:"], meminfo[b"MemFree:"]
    shared = meminfo.get(b"Shmem:", 0)
    reclaimable = sum(meminfo.get(name, 0) for name in (b"Cached:", b"Buffers:", b"SReclaimable:"))
    cached = max(0, reclaimable - shared)  # Shmem is counted in Cached, but can't be given back
    available = meminfo.get(b"MemAvailable:", free + cached)  # kernels before 3.14 leave the estimate to us
    available = min(available, total)  # some containers show their own total and the host's available
    yield TOTAL.sample(total)
    yield AVAILABLE.sample(available)
    yield USED.sample(total - available)
    yield USED_PERCENT.sample(100 * (total - available) / total)
    yield FREE.sample(free)
    yield CACHED.sample(cached)
    yield SHARED.sample(shared)
    yield DIRTY.sample(meminfo.get(b"Dirty:", 0))


def _swap(meminfo: dict[bytes, int]) -> Iterator[Sample]:
    total, free = meminfo.get(b"SwapTotal:", 0), meminfo.get(b"SwapFree:", 0)
    used = max(0, total - free)
    yield SWAP_TOTAL.sample(total)
    yield SWAP_USED.sample(used)
    yield SWAP_FREE.sample(free)
    if total:
        yield SWAP_USED_PERCENT.sample(100 * used / total)


collector = MemoryCollector
