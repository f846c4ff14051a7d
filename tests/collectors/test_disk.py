from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thingmeter.collectors.disk import DiskCollector, Space
from thingmeter.metrics import Sample, Value

ROOT = b"27 1 179:2 / / rw,noatime - ext4 /dev/root rw\n"
# An 8 GB card: 5 % are kept for the superuser.
CARD = os.statvfs_result((4096, 4096, 2_000_000, 900_000, 800_000, 500_000, 400_000, 400_000, 0, 255))
DISKSTATS = """\
   7       0 loop0 5 0 28 0 0 0 0 0 0 1 1
   1       0 ram0 0 0 0 0 0 0 0 0 0 0 0
 179       0 mmcblk0 37543 16712 2521146 81000 5073 22476 777472 42600 0 11228 123600 0 0 0 0
 179       1 mmcblk0p1 200 300 8000 100 2 0 2 1 0 90 100
 253       0 dm-0 100 0 800 10 200 0 1600 20 0 30 30
 104       0 cciss/c0d0 1 0 8 1 2 0 16 1 0 3 3 0 0 0 0 7 8
"""


def readings(samples: list[Sample]) -> dict[tuple[str, ...], Value]:
    return {(sample.metric.name, *(value for _, value in sample.dimensions)): sample.value for sample in samples}


def root_with(answer: os.statvfs_result | OSError, mountinfo: bytes = ROOT) -> dict[tuple[str, ...], Value]:
    def statvfs(_: str) -> os.statvfs_result:
        if isinstance(answer, OSError):
            raise answer
        return answer

    return readings(list(Space(statvfs=statvfs).samples(mountinfo)))


def changed(**changes: int) -> os.statvfs_result:
    names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_flag")
    return os.statvfs_result([changes.get(name, getattr(CARD, name)) for name in names] + [255])


def test_sizes_are_in_fragments_not_blocks() -> None:
    told = root_with(changed(f_bsize=1_048_576))

    assert told["total_bytes", "/"] == 2_000_000 * 4096


def test_used_space_leaves_out_what_is_kept_for_the_superuser() -> None:
    told = root_with(CARD)

    assert told["used_bytes", "/"] == (2_000_000 - 900_000) * 4096


def test_available_space_is_that_of_ordinary_users() -> None:
    told = root_with(CARD)

    assert told["available_bytes", "/"] == 800_000 * 4096


def test_used_percent_is_that_of_df() -> None:
    told = root_with(CARD)

    assert told["used_percent", "/"] == pytest.approx(100 * 1_100_000 / 1_900_000)


def test_used_inodes_are_a_percentage_of_all() -> None:
    told = root_with(CARD)

    assert told["used_inodes_percent", "/"] == 20


def test_a_filesystem_without_fixed_inodes_has_no_inode_counts() -> None:
    told = root_with(changed(f_files=0, f_ffree=0))

    assert not any("inode" in name for name, _ in told)


def test_a_filesystem_without_blocks_is_left_out() -> None:
    assert root_with(changed(f_blocks=0, f_bfree=0, f_bavail=0)) == {}


def test_a_filesystem_that_answers_is_answering() -> None:
    told = root_with(CARD)

    assert told["answering", "/"] is True


def test_a_read_only_filesystem_is_told() -> None:
    told = root_with(CARD, ROOT.replace(b"/dev/root rw", b"/dev/root ro,errors=remount-ro"))

    assert told["read_only", "/"] is True


def test_a_filesystem_with_a_broken_disk_is_only_not_answering() -> None:
    told = root_with(OSError(errno.EIO, "Input/output error"))

    assert told == {("answering", "/"): False}


def test_a_filesystem_that_we_may_not_look_at_is_left_out() -> None:
    assert root_with(OSError(errno.EACCES, "Permission denied")) == {}


def test_a_new_mount_is_measured_from_the_next_collect() -> None:
    space = Space(statvfs=lambda _: CARD)
    list(space.samples(ROOT))

    told = readings(list(space.samples(ROOT + b"28 27 179:1 / /boot rw - vfat /dev/mmcblk0p1 rw\n")))

    assert told["answering", "/boot"] is True


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Return a folder with proc and sys of a machine with one card."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_bytes(ROOT)
    (tmp_path / "proc/diskstats").write_text(DISKSTATS)
    for path in ("mmcblk0/device", "cciss!c0d0/device", "loop0", "ram0", "dm-0"):
        (tmp_path / "sys/block" / path).mkdir(parents=True)
    return tmp_path


def traffic(
    card: Path, *, exclude: tuple[str, ...] = (), include: tuple[str, ...] = ()
) -> dict[tuple[str, ...], Value]:
    collector = DiskCollector(exclude=exclude, include=include, proc=card / "proc", sys=card / "sys")
    return readings([sample for sample in collector.collect() if sample.metric.dimensions == ("device",)])


def devices(told: dict[tuple[str, ...], Value]) -> set[str]:
    return {device for _, device in told}


def test_whole_disks_of_real_hardware_are_measured(card: Path) -> None:
    assert devices(traffic(card)) == {"mmcblk0", "cciss/c0d0"}


def test_sectors_are_told_in_bytes(card: Path) -> None:
    told = traffic(card)

    assert (told["read_bytes", "mmcblk0"], told["written_bytes", "mmcblk0"]) == (2521146 * 512, 777472 * 512)


def test_requests_are_counted(card: Path) -> None:
    told = traffic(card)

    assert (told["reads", "mmcblk0"], told["writes", "mmcblk0"]) == (37543, 5073)


def test_the_time_with_requests_under_way_is_told(card: Path) -> None:
    told = traffic(card)

    assert told["busy_ms", "mmcblk0"] == 11228


def test_an_excluded_device_is_left_out(card: Path) -> None:
    assert devices(traffic(card, exclude=("cciss*",))) == {"mmcblk0"}


def test_included_devices_are_exactly_the_measured_ones(card: Path) -> None:
    assert devices(traffic(card, include=("dm-*", "*p1"))) == {"dm-0", "mmcblk0p1"}


def test_including_mount_points_says_nothing_about_devices(card: Path) -> None:
    assert devices(traffic(card, include=("/",))) == {"mmcblk0", "cciss/c0d0"}


def test_including_devices_says_nothing_about_mount_points(card: Path) -> None:
    collector = DiskCollector(include=("dm-0",), proc=card / "proc", sys=card / "sys")

    assert ("answering", "/") in readings(list(collector.collect()))


def test_a_disk_that_is_gone_is_gone_from_the_next_collect(card: Path) -> None:
    collector = DiskCollector(proc=card / "proc", sys=card / "sys")
    list(collector.collect())
    (card / "proc/diskstats").write_text(DISKSTATS.replace("mmcblk0 ", "mmcblk1 "))

    told = readings(list(collector.collect()))

    assert ("reads", "mmcblk0") not in told


def test_the_real_root_has_the_size_that_statvfs_says() -> None:
    root = os.statvfs("/")

    told = readings(list(DiskCollector().collect()))

    assert told["total_bytes", "/"] == root.f_blocks * root.f_frsize


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Value]]:
    """Return three looks at a FUSE filesystem in the real kernel: it hangs, it still hangs, it answers."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    script = Path(__file__).parent.parent / "fixtures/hung_filesystem.py"
    folder = tmp_path_factory.mktemp("hung")
    run = subprocess.run(
        [*unshare, sys.executable, str(script), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "agent")},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    told: list[dict[str, Value]] = json.loads(run.stdout)
    return told


@pytest.mark.needs_fuse
@pytest.mark.needs_namespaces
def test_a_real_hung_filesystem_is_only_not_answering(looks: list[dict[str, Value]]) -> None:
    assert looks[0] == {"answering": False, "threads": 1}


@pytest.mark.needs_fuse
@pytest.mark.needs_namespaces
def test_a_real_hung_filesystem_is_not_asked_a_second_time(looks: list[dict[str, Value]]) -> None:
    assert looks[1] == {"answering": False, "threads": 1}


@pytest.mark.needs_fuse
@pytest.mark.needs_namespaces
def test_a_real_hung_filesystem_is_measured_again_once_it_answers(looks: list[dict[str, Value]]) -> None:
    assert looks[2]["total_bytes"] == 1000 * 4096
