"""Which mounted filesystems are worth measuring, and asking those that may never answer.

statvfs(2) on a network or FUSE filesystem whose other end is gone blocks, for minutes or for ever, and can't be
interrupted. So filesystems are *trusted* by type, and every other one is *doubtful*, with all that is mounted below it,
since the path to those leads through it. A doubtful mount is asked on a daemon thread of its own, within a deadline.

Sources: proc(5), /proc/PID/mountinfo; statvfs(3).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from errno import EACCES, ENOENT, ENOTDIR, EPERM
from fnmatch import fnmatchcase

ROOT = "/"
# Have no block device of their own (their device number's major part is 0), but are storage of this machine.
LOCAL_WITHOUT_DEVICE = frozenset({"bcachefs", "btrfs", "ubifs", "zfs"})
# Answer from memory, or (overlay, the root of containers and routers) through what carries the agent itself.
TRUSTED_WITHOUT_DEVICE = LOCAL_WITHOUT_DEVICE | {"devtmpfs", "overlay", "ramfs", "rootfs", "tmpfs"}
IMAGES = frozenset({"cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"})  # full by nature: 100 % says nothing

MAXIMUM_ASKED = 16  # threads waiting for doubtful mounts, the hung ones included

ESCAPED = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo.

    Attributes:
        point: the path where it is mounted, as the kernel takes it (undecodable bytes as surrogates).
        device: ``major:minor`` of the filesystem, the same for all its mounts.
        root: the folder of the filesystem that is mounted; ``/`` unless it is a bind mount or a subvolume.
        type: of the filesystem: ``ext4``, ``nfs4``, ``fuse.sshfs``.
        read_only: the filesystem itself (after an error, say), not merely this mount of it.
        doubtful: whether asking it may block.
    """

    point: str
    device: str
    root: str
    type: str
    read_only: bool
    doubtful: bool = False

    @property
    def label(self) -> str:
        """Return the mount point for people: what can't be printed is escaped."""
        text = os.fsencode(self.point).decode(errors="backslashreplace")
        return text if text.isprintable() else text.encode("unicode_escape").decode()


def parse(mountinfo: bytes) -> tuple[Mount, ...]:
    """Return the mounts that /proc/PID/mountinfo shows, sorted by mount point; of those on one point, the top one."""
    mounts = {mount.point: mount for mount in map(_mount, mountinfo.splitlines())}
    doubtful = tuple(_below(mount.point) for mount in mounts.values() if mount.doubtful)
    return tuple(
        replace(mount, doubtful=mount.doubtful or mount.point.startswith(doubtful))
        for _, mount in sorted(mounts.items())
    )


def choose(mounts: Iterable[Mount], *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[Mount, ...]:
    """Return the mounts to measure.

    With ``include`` those whose mount point it matches. Without it the root, whatever it is, and every writable kind of
    filesystem on storage of this machine, once each: the mount of the whole of it, else the shortest mount point.
    ``exclude`` takes away from either. An autofs trigger never counts: asking it would mount.
    """
    candidates = [mount for mount in mounts if mount.type != "autofs" and not _matches(mount.point, exclude)]
    if include:
        return tuple(mount for mount in candidates if _matches(mount.point, include))
    chosen: dict[str, Mount] = {}
    for mount in sorted(candidates, key=_preference):
        if mount.point == ROOT or (_is_local(mount) and _is_folder(mount)):
            chosen.setdefault(mount.device, mount)
    return tuple(sorted(chosen.values(), key=lambda mount: mount.point))


class DoubtfulMounts:
    """Asks filesystems that may block for ever. ``ask`` is for one thread; hung threads are daemons and never joined.

    A mount that has not answered in time is remembered and not asked again until its thread has come back, so each hung
    mount costs one thread, and one deadline, once. More than ``MAXIMUM_ASKED`` are never asked at a time.

    Args:
        deadline_s: for one call of ``ask``, however many mounts it is about.
        statvfs: os.statvfs.
    """

    def __init__(self, *, deadline_s: float, statvfs: Callable[[str], os.statvfs_result] = os.statvfs) -> None:
        self._deadline_s = deadline_s
        self._statvfs = statvfs
        self._answered = threading.Condition()  # guards the one below
        self._waiting_for: set[str] = set()

    def ask(self, points: Iterable[str]) -> dict[str, os.statvfs_result | OSError | None]:
        """Return the answer of each mount point: a result or an error, or None when there is none in time.

        What could not be asked, because ``MAXIMUM_ASKED`` others hang, is not in it.
        """
        points = tuple(points)
        answers: dict[str, os.statvfs_result | OSError | None] = {}
        asked = set()
        with self._answered:
            for point in points:
                if point in self._waiting_for:
                    answers[point] = None
                elif len(self._waiting_for) < MAXIMUM_ASKED:
                    name = f"statvfs {point}"
                    threading.Thread(target=self._ask, args=(point, answers), name=name, daemon=True).start()
                    self._waiting_for.add(point)
                    asked.add(point)
            self._answered.wait_for(lambda: self._waiting_for.isdisjoint(asked), self._deadline_s)
            return {**dict.fromkeys(asked), **answers}

    def _ask(self, point: str, answers: dict[str, os.statvfs_result | OSError | None]) -> None:
        answer = ask(point, self._statvfs)
        with self._answered:
            answers[point] = answer
            self._waiting_for.discard(point)
            self._answered.notify_all()


def ask(point: str, statvfs: Callable[[str], os.statvfs_result] = os.statvfs) -> os.statvfs_result | OSError:
    """Return what statvfs says about the filesystem mounted on ``point``, or its error; blocks as long as that does."""
    try:
        return statvfs(point)
    except OSError as error:
        return error


def is_dead(answer: os.statvfs_result | OSError | None) -> bool:
    """Return whether this is how a filesystem answers that hangs or has lost its other end.

    Not one that we may not look at, or that was unmounted a moment ago.
    """
    if isinstance(answer, OSError):
        return answer.errno not in (EACCES, ENOENT, ENOTDIR, EPERM)
    return answer is None


def _mount(line: bytes) -> Mount:
    words = line.split(b" ")
    device, root, point = words[2:5]
    kind, _, options = words[words.index(b"-", 6) + 1 :][:3]  # after any number of optional fields
    type_ = kind.decode(errors="backslashreplace")
    return Mount(
        point=os.fsdecode(_unescaped(point)),
        device=device.decode(),
        root=os.fsdecode(_unescaped(root)),
        type=type_,
        read_only=b"ro" in options.split(b","),
        doubtful=type_ not in TRUSTED_WITHOUT_DEVICE and not _has_device(type_, device.decode()),
    )


def _unescaped(path: bytes) -> bytes:
    return ESCAPED.sub(lambda match: bytes([int(match[1], base=8)]), path)


def _has_device(type_: str, device: str) -> bool:
    return not device.startswith("0:") and not type_.startswith("fuse")


def _preference(mount: Mount) -> tuple[bool, bool, int, str]:
    return mount.point != ROOT, mount.root != ROOT, len(mount.point), mount.point


def _is_local(mount: Mount) -> bool:
    if mount.type in IMAGES:
        return False
    return mount.type in LOCAL_WITHOUT_DEVICE or not mount.device.startswith("0:")


def _is_folder(mount: Mount) -> bool:
    """Return whether it is not a single file, as containers have /etc/hosts mounted; asks trusted bind mounts only."""
    return mount.root == ROOT or mount.doubtful or os.path.isdir(mount.point)  # noqa: PTH112  surrogates and speed


def _below(point: str) -> str:
    return point.rstrip("/") + "/"


def _matches(text: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
