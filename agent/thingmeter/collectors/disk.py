"""Space and inodes of each filesystem, and what each disk read and wrote.

A filesystem that hangs or has lost its other end is reported as not answering and never delays the others by more than
one deadline; which are asked, and how, stands in mounts.py.

Sources: proc(5); statvfs(3); Documentation/admin-guide/iostats.rst of Linux.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from thingmeter.collectors.mounts import DoubtfulMounts, Mount, ask, choose, is_dead, parse
from thingmeter.metrics import Metric, Sample

MOUNT = ("mount",)
TOTAL = Metric("total_bytes", unit="By", description="Size of the filesystem.", dimensions=MOUNT)
USED = Metric("used_bytes", unit="By", description="Space in use.", dimensions=MOUNT)
AVAILABLE = Metric(
    "available_bytes", unit="By", description="Space that ordinary users can still get.", dimensions=MOUNT
)
USED_PERCENT = Metric(
    "used_percent",
    unit="%",
    description="Space in use, of what is in use or can be got by ordinary users, as df shows it.",
    dimensions=MOUNT,
)
INODES = Metric("inode_count", unit="1", description="Inodes that the filesystem can have.", dimensions=MOUNT)
USED_INODES = Metric("used_inode_count", unit="1", description="Inodes in use.", dimensions=MOUNT)
USED_INODES_PERCENT = Metric(
    "used_inodes_percent", unit="%", description="used_inode_count of inode_count.", dimensions=MOUNT
)
READ_ONLY = Metric(
    "read_only",
    unit="1",
    description="Whether the filesystem takes no writes; some turn so after an error of their disk.",
    type="boolean",
    dimensions=MOUNT,
)
ANSWERING = Metric(
    "answering",
    unit="1",
    description="Whether the filesystem answers; no other value of the mount exists while it doesn't.",
    type="boolean",
    dimensions=MOUNT,
)

DEVICE = ("device",)
READ = Metric("read_bytes", unit="By", description="Read since boot.", kind="counter", dimensions=DEVICE)
WRITTEN = Metric("written_bytes", unit="By", description="Written since boot.", kind="counter", dimensions=DEVICE)
READS = Metric("reads", unit="1", description="Read requests done since boot.", kind="counter", dimensions=DEVICE)
WRITES = Metric("writes", unit="1", description="Write requests done since boot.", kind="counter", dimensions=DEVICE)
BUSY = Metric(
    "busy_ms",
    unit="ms",
    description="Time since boot with at least one request under way.",
    kind="counter",
    dimensions=DEVICE,
)

SECTOR_BYTES = 512  # of /proc/diskstats, whatever the disk's own sectors are (iostats.rst)
# Columns of /proc/diskstats after major, minor and name: metric, column, worth of one.
COLUMNS = (
    (READS, 0, 1),
    (READ, 2, SECTOR_BYTES),
    (WRITES, 4, 1),
    (WRITTEN, 6, SECTOR_BYTES),
    (BUSY, 9, 1),
)


class DiskCollector:
    """Asks each chosen mount and reads /proc/diskstats once a collect.

    By default mounts are the root and every filesystem on storage of this machine, once each; network, pseudo and
    image filesystems and tmpfs are left out. Devices are whole disks of real hardware; partitions, loop, ram and zram
    are left out, and so are dm and md, whose disks are counted.

    Counters start again from zero at boot and when a disk is plugged in anew; on 32-bit machines the kernel's
    ``busy_ms`` begins again after 49 busy days as well. They are passed on as they are.

    Args:
        exclude: mount points and devices to leave out, with ``*`` (also matches ``/``) and ``?``. What begins with
            ``/`` is about mount points, anything else about devices.
        include: when it says something about mount points, exactly those that match are measured, of whatever kind;
            likewise about devices. ``exclude`` goes before ``include``.
        mount_timeout_s: how long one collect waits for network and FUSE filesystems, all together; well below the
            ``timeout_s`` of the collector.
        proc: where procfs is mounted.
        sys: where sysfs is mounted.
    """

    metrics = (
        *(TOTAL, USED, AVAILABLE, USED_PERCENT, INODES, USED_INODES, USED_INODES_PERCENT, READ_ONLY, ANSWERING),
        *(READ, WRITTEN, READS, WRITES, BUSY),
    )

    def __init__(
        self,
        *,
        exclude: tuple[str, ...] = (),
        include: tuple[str, ...] = (),
        mount_timeout_s: float = 1.0,
        proc: Path = Path("/proc"),
        sys: Path = Path("/sys"),
    ) -> None:
        exclude_mounts, self._exclude = _mounts_and_devices(exclude)
        include_mounts, self._include = _mounts_and_devices(include)
        self._space = Space(exclude=exclude_mounts, include=include_mounts, timeout_s=mount_timeout_s)
        self._mountinfo = proc / "self/mountinfo"
        self._diskstats = proc / "diskstats"
        self._block = sys / "block"
        self._measured: dict[str, bool] = {}

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each series; blocks at most ``mount_timeout_s`` longer than the trusted mounts take.

        Raises:
            OSError: /proc/self/mountinfo or /proc/diskstats can't be read.
        """
        yield from self._space.samples(self._mountinfo.read_bytes())
        yield from self._traffic(self._diskstats.read_bytes())

    def _traffic(self, diskstats: bytes) -> Iterator[Sample]:
        known, self._measured = self._measured, {}  # forgets devices that are gone
        for line in diskstats.splitlines():
            _, _, label, *columns = line.split()
            device = label.decode(errors="backslashreplace")
            measured = known[device] if device in known else self._is_measured(device)
            self._measured[device] = measured
            if measured:
                for metric, column, worth in COLUMNS:
                    yield metric.sample(int(columns[column]) * worth, {"device": device})

    def _is_measured(self, device: str) -> bool:
        if any(fnmatchcase(device, glob) for glob in self._exclude):
            return False
        if self._include:
            return any(fnmatchcase(device, glob) for glob in self._include)
        # Only a whole disk stands in /sys/block, and only hardware has a device behind it.
        return (self._block / device.replace("/", "!") / "device").exists()


class Space:
    """Measures the chosen mounts; the choice is made anew only when the kernel's list of mounts has changed.

    Args:
        exclude: mount points to leave out.
        include: mount points to measure; empty for the default.
        timeout_s: how long doubtful mounts may take, all together.
        statvfs: os.statvfs.
    """

    def __init__(
        self,
        *,
        exclude: tuple[str, ...] = (),
        include: tuple[str, ...] = (),
        timeout_s: float = 1.0,
        statvfs: Callable[[str], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._exclude = exclude
        self._include = include
        self._statvfs = statvfs
        self._doubtful = DoubtfulMounts(deadline_s=timeout_s, statvfs=statvfs)
        self._mountinfo = b""
        self._mounts: tuple[Mount, ...] = ()

    def samples(self, mountinfo: bytes) -> Iterator[Sample]:
        """Take one sample of each series of each mount that ``mountinfo`` lists and the options choose."""
        if mountinfo != self._mountinfo:
            self._mounts = choose(parse(mountinfo), include=self._include, exclude=self._exclude)
            self._mountinfo = mountinfo
        answers = self._doubtful.ask(mount.point for mount in self._mounts if mount.doubtful)
        for mount in self._mounts:
            if not mount.doubtful:
                yield from _samples(mount, ask(mount.point, self._statvfs))
            elif mount.point in answers:
                yield from _samples(mount, answers[mount.point])


def _samples(mount: Mount, answer: os.statvfs_result | OSError | None) -> Iterator[Sample]:
    dimensions = {"mount": mount.label}
    if is_dead(answer):
        yield ANSWERING.sample(False, dimensions)
    if not isinstance(answer, os.statvfs_result) or not answer.f_blocks:  # pseudo filesystems have no blocks
        return
    used = answer.f_blocks - answer.f_bfree
    obtainable = used + answer.f_bavail
    yield ANSWERING.sample(True, dimensions)
    yield READ_ONLY.sample(mount.read_only, dimensions)
    yield TOTAL.sample(answer.f_blocks * answer.f_frsize, dimensions)
    yield USED.sample(used * answer.f_frsize, dimensions)
    yield AVAILABLE.sample(answer.f_bavail * answer.f_frsize, dimensions)
    if obtainable:
        yield USED_PERCENT.sample(100 * used / obtainable, dimensions)
    if answer.f_files:  # btrfs and vfat make inodes as they need them
        used_inodes = answer.f_files - answer.f_ffree
        yield INODES.sample(answer.f_files, dimensions)
        yield USED_INODES.sample(used_inodes, dimensions)
        yield USED_INODES_PERCENT.sample(100 * used_inodes / answer.f_files, dimensions)


def _mounts_and_devices(globs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    mounts = tuple(glob for glob in globs if glob.startswith("/"))
    return mounts, tuple(glob for glob in globs if glob not in mounts)


collector = DiskCollector
