from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from thingmeter.collectors.mounts import MAXIMUM_ASKED, DoubtfulMounts, Mount, choose, is_dead, parse

DEVICE_AND_MORE = b"""\
22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,mode=755
25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw
27 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw
28 27 179:1 / /boot rw,relatime shared:2 - vfat /dev/mmcblk0p1 rw,errors=remount-ro
29 27 179:2 /var/log /srv/log rw,relatime shared:1 master:2 - ext4 /dev/root rw
30 27 8:1 / /media/usb\\040stick rw,nosuid shared:3 - ext4 /dev/sda1 ro,errors=remount-ro
31 27 8:17 / /media/ntfs rw - fuseblk /dev/sdb1 rw,user_id=0
32 27 7:0 / /snap/core/1 ro,nodev - squashfs /dev/loop0 ro
33 27 0:50 / /mnt/share rw - nfs4 server:/share rw
34 33 8:33 / /mnt/share/local rw - xfs /dev/sdc1 rw
35 27 0:51 / /mnt/auto rw - autofs systemd-1 rw,fd=30
36 27 0:52 / /srv/cloud rw - fuse.sshfs pi@server: rw
37 27 0:53 / /data rw - btrfs /dev/sdd1 rw
38 27 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
"""


def one(mountinfo: bytes, point: str) -> Mount:
    (mount,) = (mount for mount in parse(mountinfo) if mount.point == point)
    return mount


def chosen(mountinfo: bytes, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    return [mount.point for mount in choose(parse(mountinfo), include=include, exclude=exclude)]


def test_escapes_of_a_mount_point_are_undone() -> None:
    points = [mount.point for mount in parse(DEVICE_AND_MORE)]

    assert "/media/usb stick" in points


def test_a_read_only_filesystem_is_told_from_a_read_only_mount_of_it() -> None:
    line = b"40 27 8:1 / /a ro,relatime - ext4 /dev/sda1 rw\n"

    assert not one(line, "/a").read_only


def test_a_filesystem_that_turned_read_only_is_read_only() -> None:
    assert one(DEVICE_AND_MORE, "/media/usb stick").read_only


def test_of_two_mounts_on_one_point_the_upper_one_is_seen() -> None:
    line = b"39 35 0:60 / /mnt/auto rw - nfs4 server:/auto rw\n"

    assert one(DEVICE_AND_MORE + line, "/mnt/auto").type == "nfs4"


def test_a_line_without_a_source_is_read() -> None:
    assert one(b"39 35 0:60 / /x rw - tmpfs  rw\n", "/x").type == "tmpfs"


@pytest.mark.parametrize("point", ["/", "/boot", "/data", "/dev/shm"])
def test_local_filesystems_are_trusted(point: str) -> None:
    assert not one(DEVICE_AND_MORE, point).doubtful


@pytest.mark.parametrize("point", ["/mnt/share", "/srv/cloud", "/media/ntfs"])
def test_network_and_fuse_filesystems_are_doubtful(point: str) -> None:
    assert one(DEVICE_AND_MORE, point).doubtful


def test_what_is_mounted_below_a_doubtful_mount_is_doubtful() -> None:
    assert one(DEVICE_AND_MORE, "/mnt/share/local").doubtful


def test_a_neighbour_with_a_longer_name_is_not_below() -> None:
    line = b"40 27 8:49 / /mnt/share2 rw - ext4 /dev/sdd1 rw\n"

    assert not one(DEVICE_AND_MORE + line, "/mnt/share2").doubtful


def test_by_default_the_filesystems_on_this_machines_storage_are_chosen_once_each() -> None:
    assert chosen(DEVICE_AND_MORE) == ["/", "/boot", "/data", "/media/ntfs", "/media/usb stick", "/mnt/share/local"]


def test_the_root_is_chosen_whatever_it_is() -> None:
    assert chosen(b"1 0 0:40 / / rw - overlay overlay rw\n") == ["/"]


def test_the_root_is_preferred_to_the_mount_of_the_whole_filesystem() -> None:
    mountinfo = b"1 0 8:1 /deploy/a / rw - ext4 /dev/sda1 rw\n2 1 8:1 / /sysroot ro - ext4 /dev/sda1 rw\n"

    assert chosen(mountinfo) == ["/"]


def test_a_folder_that_only_a_bind_mount_shows_is_chosen(tmp_path: Path) -> None:
    mountinfo = f"1 0 8:1 /volumes/a {tmp_path} rw - ext4 /dev/sda1 rw\n".encode()

    assert chosen(mountinfo) == [str(tmp_path)]


def test_a_single_file_that_is_mounted_is_not_chosen(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("")
    mountinfo = f"1 0 8:1 /hosts {tmp_path}/hosts rw - ext4 /dev/sda1 rw\n".encode()

    assert chosen(mountinfo) == []


def test_include_chooses_exactly_what_matches() -> None:
    assert chosen(DEVICE_AND_MORE, include=("/mnt/share", "/dev/*")) == ["/dev/shm", "/mnt/share"]


def test_exclude_takes_away_from_the_default() -> None:
    assert chosen(DEVICE_AND_MORE, exclude=("/media/*", "/mnt/*")) == ["/", "/boot", "/data"]


def test_exclude_goes_before_include() -> None:
    assert chosen(DEVICE_AND_MORE, include=("/boot", "/data"), exclude=("/b*",)) == ["/data"]


def test_an_automount_trigger_is_never_chosen() -> None:
    assert chosen(DEVICE_AND_MORE, include=("/mnt/auto",)) == []


def test_a_mount_point_that_cannot_be_printed_has_a_printable_label() -> None:
    assert one(b"1 0 8:1 / /a\\012\xffb rw - ext4 /dev/sda1 rw\n", "/a\n\udcffb").label == "/a\\n\\\\xffb"


def test_a_mount_point_in_any_script_is_its_own_label() -> None:
    assert one("1 0 8:1 / /médiá rw - ext4 /dev/sda1 rw\n".encode(), "/médiá").label == "/médiá"


class Filesystems:
    """Answers as the real root does, except the mount points in ``hung``, until ``released``."""

    def __init__(self, *hung: str) -> None:
        self.hung = set(hung)
        self.released = threading.Event()
        self.asked: list[str] = []

    def statvfs(self, point: str) -> os.statvfs_result:
        self.asked.append(point)
        if point in self.hung:
            self.released.wait()
        return os.statvfs("/")


def join_hung_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("statvfs "):
            thread.join()


@pytest.fixture
def filesystems() -> Iterator[Filesystems]:
    made = Filesystems("/hung")
    yield made
    made.released.set()
    join_hung_threads()


def test_a_doubtful_mount_that_answers_is_told_like_any_other(filesystems: Filesystems) -> None:
    doubtful = DoubtfulMounts(deadline_s=60, statvfs=filesystems.statvfs)

    answers = doubtful.ask(["/a", "/b"])

    assert all(isinstance(answers[point], os.statvfs_result) for point in ("/a", "/b"))


def test_a_hung_mount_has_no_answer(filesystems: Filesystems) -> None:
    doubtful = DoubtfulMounts(deadline_s=0.05, statvfs=filesystems.statvfs)

    assert doubtful.ask(["/hung"]) == {"/hung": None}


def test_a_hung_mount_does_not_take_the_answers_of_the_others(filesystems: Filesystems) -> None:
    doubtful = DoubtfulMounts(deadline_s=2, statvfs=filesystems.statvfs)

    answers = doubtful.ask(["/hung", "/a"])

    assert isinstance(answers["/a"], os.statvfs_result)


def test_a_hung_mount_is_not_asked_again(filesystems: Filesystems) -> None:
    doubtful = DoubtfulMounts(deadline_s=0.05, statvfs=filesystems.statvfs)
    doubtful.ask(["/hung"])

    doubtful.ask(["/hung"])

    assert filesystems.asked == ["/hung"]


def test_a_mount_known_to_hang_still_has_no_answer_the_next_time(filesystems: Filesystems) -> None:
    doubtful = DoubtfulMounts(deadline_s=0.05, statvfs=filesystems.statvfs)
    doubtful.ask(["/hung"])

    assert doubtful.ask(["/hung"]) == {"/hung": None}


def test_a_mount_that_came_back_is_asked_again(filesystems: Filesystems) -> None:
    doubtful = DoubtfulMounts(deadline_s=0.05, statvfs=filesystems.statvfs)
    doubtful.ask(["/hung"])
    filesystems.released.set()
    join_hung_threads()

    doubtful.ask(["/hung"])
    join_hung_threads()

    assert filesystems.asked == ["/hung", "/hung"]


def test_the_threads_that_hang_are_bounded(filesystems: Filesystems) -> None:
    points = [f"/{number}" for number in range(MAXIMUM_ASKED + 5)]
    filesystems.hung.update(points)
    doubtful = DoubtfulMounts(deadline_s=0.05, statvfs=filesystems.statvfs)

    doubtful.ask(points)

    assert sum(thread.name.startswith("statvfs ") for thread in threading.enumerate()) == MAXIMUM_ASKED


def test_what_cannot_be_asked_for_want_of_threads_is_not_called_dead(filesystems: Filesystems) -> None:
    points = [f"/{number}" for number in range(MAXIMUM_ASKED)]
    filesystems.hung.update(points)
    doubtful = DoubtfulMounts(deadline_s=0.05, statvfs=filesystems.statvfs)
    doubtful.ask(points)

    assert doubtful.ask(["/a"]) == {}


def test_hung_threads_do_not_keep_the_process_from_ending(filesystems: Filesystems) -> None:
    DoubtfulMounts(deadline_s=0.05, statvfs=filesystems.statvfs).ask(["/hung"])

    (thread,) = (thread for thread in threading.enumerate() if thread.name == "statvfs /hung")
    assert thread.daemon


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTCONN, errno.ESTALE])
def test_a_filesystem_that_lost_its_other_end_is_dead(number: int) -> None:
    assert is_dead(OSError(number, os.strerror(number)))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT])
def test_a_filesystem_that_we_may_not_see_is_not_dead(number: int) -> None:
    assert not is_dead(OSError(number, os.strerror(number)))
