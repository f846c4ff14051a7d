"""Processor use, load averages and pressure stall, from /proc/stat, /proc/loadavg and /proc/pressure.

Shares of processor time stand for the time between one ``collect()`` and the next, so the first one after the start
has none: they are left out then, never zero. Read directly: psutil keeps one state of cpu_times_percent() for the whole
process, knows nothing of pressure stall, and reads /proc/stat once more for the cores.

Sources: proc(5); Documentation/accounting/psi.rst of Linux.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from thingmeter.metrics import Metric, Sample

# The columns of /proc/stat. Guests' time is in user and nice already, so these eight are the whole.
STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
NOT_BUSY = ("idle", "iowait")

USAGE = Metric(
    "usage_percent",
    unit="%",
    description="Share of all processor time since the last look that was neither idle nor waiting for a disk.",
)
STATE = Metric(
    "state_percent",
    unit="%",
    description="Share of all processor time since the last look in one state; the states add up to 100.",
    dimensions=("state",),
)
CORE_USAGE = Metric(
    "core_usage_percent",
    unit="%",
    description="As usage_percent, of one core; with the option per_core.",
    dimensions=("core",),
)
CORES = Metric("core_count", unit="1", description="Processor cores that are online.")
LOADS = tuple(
    Metric(
        f"load_{minutes}m",
        unit="1",
        description=f"Tasks that ran, were ready to run or waited for a disk, averaged over {minutes} min.",
    )
    for minutes in (1, 5, 15)
)
PRESSURE = Metric(
    "pressure_percent",
    unit="%",
    description="Share of the last 10 s in which some tasks, or all (full), stood still for want of cpu, memory or io.",
    dimensions=("resource", "share"),
)
STALLED = Metric(
    "stalled_us",
    unit="us",
    description="Time in which some tasks, or all (full), stood still for want of cpu, memory or io.",
    kind="counter",
    dimensions=("resource", "share"),
)

# "full" has no meaning for the processor of a whole machine; kernels since 5.13 show it as zero (psi.rst).
STALLS = (
    ("cpu", ("some",)),
    ("memory", ("some", "full")),
    ("io", ("some", "full")),
)


class CpuCollector:
    """Reads each file once a collect; keeps the ticks of the last one.

    The kernel's idle and iowait ticks can step back by a few, and some containers set all of them to zero: a state that
    went down counts as no time. When no tick has passed at all, the shares are left out.

    Args:
        per_core: sample each core as well.
        proc: where procfs is mounted.
    """

    metrics = (USAGE, STATE, CORE_USAGE, CORES, *LOADS, PRESSURE, STALLED)

    def __init__(self, *, per_core: bool = False, proc: Path = Path("/proc")) -> None:
        self._per_core = per_core
        self._proc = proc
        self._ticks: dict[str, tuple[int, ...]] = {}

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each series.

        Raises:
            OSError: /proc/stat or /proc/loadavg can't be read. A kernel without pressure stall only lacks its samples.
        """
        ticks = _ticks((self._proc / "stat").read_bytes())
        before, self._ticks = self._ticks, ticks
        yield CORES.sample(len(ticks) - 1)
        if shares := _shares(before.get("cpu"), ticks["cpu"]):
            yield USAGE.sample(_busy(shares))
            for state, percent in shares.items():
                yield STATE.sample(percent, {"state": state})
        if self._per_core:
            for label, now in ticks.items():
                if label != "cpu" and (shares := _shares(before.get(label), now)):
                    yield CORE_USAGE.sample(_busy(shares), {"core": label.removeprefix("cpu")})
        loads = (self._proc / "loadavg").read_bytes().split()
        for metric, load in zip(LOADS, loads, strict=False):
            yield metric.sample(float(load))
        yield from self._stalls()

    def _stalls(self) -> Iterator[Sample]:
        for resource, shares in STALLS:
            try:
                text = (self._proc / "pressure" / resource).read_bytes()
            except OSError:  # no CONFIG_PSI; or built in but switched off, as on a Raspberry Pi: EOPNOTSUPP
                continue
            for line in text.decode().splitlines():
                share, *averages, total = line.split()
                if share in shares:
                    dimensions = {"resource": resource, "share": share}
                    yield PRESSURE.sample(float(averages[0].removeprefix("avg10=")), dimensions)
                    yield STALLED.sample(int(total.removeprefix("total=")), dimensions)


def _ticks(stat: bytes) -> dict[str, tuple[int, ...]]:
    """Return the ticks in each state by ``cpu`` (all) and ``cpu0`` ... (each core online), from /proc/stat."""
    ticks = {}
    for line in stat.splitlines():
        if not line.startswith(b"cpu"):
            break  # the lines of the processors come first; those of the interrupts may be thousands of columns long
        label, *columns = line.split()
        ticks[label.decode()] = tuple(map(int, columns[: len(STATES)]))
    return ticks


def _shares(before: tuple[int, ...] | None, now: tuple[int, ...]) -> dict[str, float]:
    """Return the percentage of each state between two readings; empty without the first or when no tick passed."""
    if before is None:
        return {}
    passed = [max(0, n - b) for b, n in zip(before, now, strict=True)]
    total = sum(passed)
    return {state: 100 * ticks / total for state, ticks in zip(STATES, passed, strict=False)} if total else {}


def _busy(shares: dict[str, float]) -> float:
    """Return the percentage that was neither idle nor waiting; never below 0 by rounding."""
    return max(0.0, 100 - sum(shares.get(state, 0) for state in NOT_BUSY))


collector = CpuCollector
