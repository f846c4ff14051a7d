"""Bytes, packets, errors and drops of each network interface and of all together, from /proc/net/dev.

Counted are the interfaces that carry this machine's traffic to others, so that no byte counts twice; psutil would read
the same file, but can't tell a bridge from a network card. /sys/class/net says what an interface is:

    left out    built on another interface that is seen here: VLAN, bond, bridge, macvlan (has lower_*)
    counted     hardware (has device), and PPP links, such as a modem's
    counted     virtual, but named like hardware: a container's own eth0
    left out    every other virtual one: lo, veth*, docker*, br-*, virbr*, cni*, flannel*, cali*, tun*, wg*, dummy*

Sources: proc(5); Documentation/ABI/testing/sysfs-class-net of Linux; linux/if_arp.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from thingmeter.metrics import Metric, Resets, Sample

Counts: TypeAlias = tuple[int, ...]  # in the order of COLUMNS

# name, unit, what it counts, column in /proc/net/dev
COLUMNS = (
    ("received_bytes", "By", "Bytes received", 0),
    ("sent_bytes", "By", "Bytes sent", 8),
    ("received_packets", "1", "Packets received", 1),
    ("sent_packets", "1", "Packets sent", 9),
    ("receive_errors", "1", "Bad packets received", 2),
    ("send_errors", "1", "Packets that could not be sent", 10),
    ("receive_drops", "1", "Good packets received, but dropped", 3),
    ("send_drops", "1", "Packets dropped instead of sent", 11),
)


def _counter(name: str, unit: str, description: str, resets: Resets, dimensions: tuple[str, ...] = ()) -> Metric:
    return Metric(name, unit, description, kind="counter", dimensions=dimensions, resets=resets)


EACH = tuple(
    _counter(name, unit, f"{what} by one interface since it came up.", "boot", ("interface",))
    for name, unit, what, _ in COLUMNS
)
TOTAL = tuple(
    _counter(f"total_{name}", unit, f"{what} by all counted interfaces since the agent started.", "unknown")
    for name, unit, what, _ in COLUMNS
)

NAMED_LIKE_HARDWARE = ("eth*", "en*", "wl*", "ww*", "usb*", "lan*", "wan*", "can*")
ARPHRD_PPP = 512
MAXIMUM_REMEMBERED = 64  # vanished interfaces whose counts are kept in case they come back


class NetworkCollector:
    """Reads /proc/net/dev once a collect, and of each counted interface its ifindex.

    What happens at a reset: the counters of one interface are passed on as the kernel has them, and go down when it is
    made anew (a modem that dials again), its driver resets them, or a driver that keeps 32 bits wraps. The totals start
    at 0 with the agent and never go down: each collect adds what each interface counted since the last one. A count
    that went down adds its new value (what a wrap cut off is lost, never invented); an interface made anew or come up
    since adds all its counts; one that is renamed, or gone for a time and back, goes on where it was. What passed while
    the agent was not running is in no total.

    Args:
        exclude: interfaces to leave out, with ``*`` and ``?``.
        include: when given, exactly the interfaces that match are counted, of whatever kind.
        proc: where procfs is mounted.
        sys: where sysfs is mounted.
    """

    metrics = (*EACH, *TOTAL)

    def __init__(
        self,
        *,
        exclude: tuple[str, ...] = (),
        include: tuple[str, ...] = (),
        proc: Path = Path("/proc"),
        sys: Path = Path("/sys"),
    ) -> None:
        self._exclude = exclude
        self._include = include
        self._dev = proc / "net/dev"
        self._class = sys / "class/net"
        self._counted: dict[str, bool] = {}
        self._totals = Totals()

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each series; the totals are there even when no interface is.

        Raises:
            OSError: /proc/net/dev can't be read.
        """
        known, self._counted = self._counted, {}  # forgets interfaces that are gone
        present: dict[int | str, Counts] = {}
        for name, counts in _rows(self._dev.read_bytes()):
            counted = known[name] if name in known else self._is_counted(name)
            self._counted[name] = counted
            if counted:
                present[_number(self._class / name / "ifindex") or name] = counts
                for metric, count in zip(EACH, counts, strict=True):
                    yield metric.sample(count, {"interface": name})
        for metric, total in zip(TOTAL, self._totals.add(present), strict=True):
            yield metric.sample(total)

    def _is_counted(self, name: str) -> bool:
        if any(fnmatchcase(name, glob) for glob in self._exclude):
            return False
        if self._include:
            return any(fnmatchcase(name, glob) for glob in self._include)
        path = self._class / name
        if any(path.glob("lower_*")):
            return False
        if (path / "device").exists() or _number(path / "type") == ARPHRD_PPP:
            return True
        return any(fnmatchcase(name, glob) for glob in NAMED_LIKE_HARDWARE)


class Totals:
    """Sums that only grow, over interfaces that come and go.

    An interface is known by its ifindex, which the kernel gives anew to each one made and keeps at a rename; where /sys
    doesn't tell it, by its name, and then one first seen later adds nothing at first, since it may be a renamed one.
    """

    def __init__(self) -> None:
        self._sums: Counts = (0,) * len(COLUMNS)
        self._last: dict[int | str, Counts] | None = None

    def add(self, present: dict[int | str, Counts]) -> Counts:
        """Add what each interface counted since the last call (the first adds nothing); return the sums."""
        last = self._last
        if last is None:
            self._last = dict(present)
            return self._sums
        for interface, counts in present.items():
            new = counts if isinstance(interface, str) else (0,) * len(counts)
            before = last.get(interface, new)
            grown = (now if now < then else now - then for then, now in zip(before, counts, strict=True))
            self._sums = tuple(total + count for total, count in zip(self._sums, grown, strict=True))
        gone = {interface: counts for interface, counts in last.items() if interface not in present}
        kept = islice(gone.items(), max(0, len(gone) - MAXIMUM_REMEMBERED), None)  # the last to go
        self._last = {**dict(kept), **present}
        return self._sums


def _rows(dev: bytes) -> Iterator[tuple[str, Counts]]:
    """Yield the name and the counts of each interface in /proc/net/dev; two lines of headings come first."""
    for line in dev.splitlines()[2:]:
        name, _, numbers = line.partition(b":")
        columns = numbers.split()
        counts = tuple(int(columns[column]) for *_, column in COLUMNS)
        yield name.strip().decode(errors="backslashreplace"), counts


def _number(path: Path) -> int | None:
    try:
        return int(path.read_bytes())
    except OSError:  # no /sys here, or the interface is gone since
        return None


collector = NetworkCollector
