"""Processes: how many, in which state, and which use the most processor time and memory.

The count and the threads cost one listing and two small files. States and the top take one read of each process (10 us
each on a PC, a fifth of what ``psutil.process_iter`` takes), so on a machine with many processes they are taken less
often. A process that ends between two looks leaves nothing behind, neither a state nor processor time.

Source: proc(5), /proc/PID/stat and /proc/loadavg.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from thingmeter.errors import Unsupported
from thingmeter.metrics import Metric, Sample

COUNT = Metric("count", unit="1", description="Processes, kernel threads included.")
THREADS = Metric("threads", unit="1", description="Threads of all processes, the kernel's included.")
RUNNING = Metric("threads_running", unit="1", description="Threads that run now or wait for a processor.")
CREATED = Metric(
    "created", unit="1", description="Processes and threads made since boot.", kind="counter", resets="boot"
)
BY_STATE = Metric("by_state", unit="1", description="Processes in one state.", dimensions=("state",))
TOP_CPU = Metric(
    "top_cpu_percent",
    unit="%",
    description="Processor time of the processes of one name, where it is among the most; 100 is one core.",
    dimensions=("name",),
)
TOP_MEMORY = Metric(
    "top_memory_bytes",
    unit="By",
    description="Resident memory of the processes of one name, where it is among the most; shared pages count twice.",
    dimensions=("name",),
)

STATES: Mapping[bytes, str] = {
    b"R": "running",
    b"S": "sleeping",
    b"D": "uninterruptible",
    b"I": "idle",
    b"T": "stopped",
    b"t": "traced",
    b"Z": "zombie",
}
OTHER = "other"  # dead, waking and parked: states that last an instant
STAT_BYTES = 1024  # three times the usual; what a longer file loses comes after the 24 fields that are read here
UNFIT = re.compile(r"[^A-Za-z0-9:_.-]+")


class Process(NamedTuple):
    """One process: ``ticks`` of processor time since its ``start`` (in ticks since boot), ``pages`` resident."""

    pid: str
    start: int
    name: str
    ticks: int
    pages: int


class ProcessesCollector:
    """Reads /proc; where it hides other users' processes (hidepid), those are not counted.

    Args:
        top: how many names to report by processor time and by memory, 0-20; processes of one name are one.
        maximum_reads: processes to read at each collect, on average: with ten times as many, states and the top are
            taken at every tenth collect.
        proc: where procfs is mounted.

    Raises:
        ValueError: an option is out of its range.
    """

    metrics = (COUNT, THREADS, RUNNING, CREATED, BY_STATE, TOP_CPU, TOP_MEMORY)

    def __init__(self, *, top: int = 3, maximum_reads: int = 2000, proc: Path = Path("/proc")) -> None:
        if not 0 <= top <= 20:  # noqa: PLR2004 - the range is what the docstring and the message say
            raise ValueError(f"top = {top}: must be 0 to 20")
        if maximum_reads < 1:
            raise ValueError(f"maximum_reads = {maximum_reads}: must be 1 or more")
        self._top = top
        self._maximum_reads = maximum_reads
        self._proc = proc
        self._collects_to_skip = 0
        self._ticks: dict[tuple[str, int], int] = {}  # by (pid, start): a pid alone may have come to another process
        self._looked_at_s: float | None = None
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    def collect(self) -> Iterator[Sample]:
        """Count the processes; where it is their turn, read each of them.

        Raises:
            Unsupported: no process is there to see.
        """
        names = os.listdir(self._proc) if self._proc.is_dir() else []  # noqa: PTH208 - a Path for each of 10,000 names costs as much again
        pids = [name for name in names if name.isdigit()]
        if not pids:
            raise Unsupported(f"no processes to be seen under {self._proc}")
        yield COUNT.sample(len(pids))
        yield from self._system()
        if self._collects_to_skip:
            self._collects_to_skip -= 1
            return
        self._collects_to_skip = (len(pids) - 1) // self._maximum_reads
        stats = list(self._stats(pids))
        yield from _by_state(stat for _, stat in stats)
        if self._top:
            yield from self._top_names([_parsed(pid, stat) for pid, stat in stats])

    def _system(self) -> Iterator[Sample]:
        """Yield what the kernel counts itself: ``0.52 0.58 0.59 2/934 12345`` and the line ``processes 12345``."""
        load = re.search(rb" (\d+)/(\d+) ", self._read("loadavg"))
        if load:
            yield THREADS.sample(int(load[2]))
            yield RUNNING.sample(int(load[1]))
        created = re.search(rb"^processes (\d+)$", self._read("stat"), re.MULTILINE)
        if created:
            yield CREATED.sample(int(created[1]))

    def _stats(self, pids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (pid, its stat file) of each process that is still there; opened by name within /proc, for speed."""
        folder = os.open(self._proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for pid in pids:
                try:
                    file = os.open(f"{pid}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
                except OSError:
                    continue
                try:
                    stat = os.read(file, STAT_BYTES)
                except OSError:  # ESRCH: it ended after it was opened
                    continue
                finally:
                    os.close(file)
                if stat:
                    yield pid, stat
        finally:
            os.close(folder)

    def _top_names(self, processes: list[Process]) -> Iterator[Sample]:
        memory: Counter[str] = Counter()
        for process in processes:
            memory[process.name] += process.pages * self._page_bytes
        for name, resident in _most(memory, self._top):
            yield TOP_MEMORY.sample(resident, {"name": name})
        uptime = self._read("uptime").split()
        if not uptime:
            return
        now_s = float(uptime[0])
        elapsed_s = now_s - self._looked_at_s if self._looked_at_s is not None else 0.0
        if elapsed_s > 0:  # the first look has nothing to compare with
            ticks: Counter[str] = Counter()
            for process in processes:
                before = self._ticks.get((process.pid, process.start), 0)  # 0: made since the last look
                ticks[process.name] += process.ticks - before
            for name, spent in _most(ticks, self._top):
                yield TOP_CPU.sample(100 * spent / self._ticks_per_s / elapsed_s, {"name": name})
        self._looked_at_s = now_s
        self._ticks = {(process.pid, process.start): process.ticks for process in processes}

    def _read(self, name: str) -> bytes:
        try:
            return (self._proc / name).read_bytes()
        except OSError:
            return b""


def _by_state(stats: Iterable[bytes]) -> Iterator[Sample]:
    """Yield the count of each state, 0 included; the state's letter follows the name's last parenthesis."""
    count = dict.fromkeys((*STATES.values(), OTHER), 0)
    for stat in stats:
        end = stat.rfind(b")")
        count[STATES.get(stat[end + 2 : end + 3], OTHER)] += 1
    for state, processes in count.items():
        yield BY_STATE.sample(processes, {"state": state})


def _parsed(pid: str, stat: bytes) -> Process:
    """Return the parts of ``PID (NAME) STATE PPID ...``; NAME is the process's own choice and may hold anything."""
    opened, closed = stat.index(b"("), stat.rindex(b")")
    fields = stat[closed + 2 :].split(maxsplit=22)  # fields[0] is number 3 in proc(5); the tail is not needed
    return Process(
        pid=pid,
        start=int(fields[19]),
        name=_cleaned(stat[opened + 1 : closed]),
        ticks=int(fields[11]) + int(fields[12]),
        pages=int(fields[21]),
    )


def _cleaned(name: bytes) -> str:
    """Return a name fit for a dimension; kernel threads of one kind (``kworker/0:1-events``) share one."""
    text = name.decode("ascii", "replace")
    return UNFIT.sub("_", text.partition("/")[0] or text) or "_"


def _most(amounts: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    """Return the ``number`` largest amounts above 0, largest first, by name where equal."""
    above = ((name, amount) for name, amount in amounts.items() if amount > 0)
    return sorted(above, key=lambda entry: (-entry[1], entry[0]))[:number]


collector = ProcessesCollector
