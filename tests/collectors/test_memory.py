from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from thingmeter.collectors.memory import MemoryCollector
from thingmeter.metrics import Value

# A Raspberry Pi 3 with 1 GiB.
MEMINFO = {
    "MemTotal": 944264,
    "MemFree": 412340,
    "MemAvailable": 733876,
    "Buffers": 28516,
    "Cached": 320148,
    "Dirty": 96,
    "Shmem": 10240,
    "SReclaimable": 20000,
    "SwapTotal": 102396,
    "SwapFree": 76797,
}
VMSTAT = "nr_free_pages 103085\npswpin 7\npswpout 11\npgfault 5\npgmajfault 3412\noom_kill 2\noom_kill_x 9\n"


def proc_with(folder: Path, vmstat: str = VMSTAT, **changes: int | None) -> Path:
    kibibytes = {name: value for name, value in (MEMINFO | changes).items() if value is not None}
    lines = [f"{name + ':':<16}{value:>8} kB\n" for name, value in kibibytes.items()]
    (folder / "meminfo").write_text("".join([*lines, "HugePages_Total:       0\n"]))
    (folder / "vmstat").write_text(vmstat)
    return folder


def readings(proc: Path) -> dict[str, Value]:
    return {sample.metric.name: sample.value for sample in MemoryCollector(proc=proc).collect()}


def test_used_is_what_a_new_process_cannot_get(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path))

    assert told["used_bytes"] == (944264 - 733876) * 1024


def test_used_percent_is_of_the_total(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path))

    assert told["used_percent"] == pytest.approx(100 * (944264 - 733876) / 944264)


def test_shared_memory_is_not_cache_that_can_be_given_back(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path))

    assert told["cached_bytes"] == (28516 + 320148 + 20000 - 10240) * 1024


def test_an_old_kernel_without_an_estimate_has_free_and_cache_available(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path, MemAvailable=None))

    assert told["available_bytes"] == (412340 + 28516 + 320148 + 20000 - 10240) * 1024


def test_a_container_that_sees_the_hosts_available_memory_has_none_used(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path, MemTotal=262144))

    assert told["used_bytes"] == 0


def test_data_not_yet_on_disk_is_told(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path))

    assert told["dirty_bytes"] == 96 * 1024


def test_swap_used_percent_is_of_the_swap_space(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path))

    assert told["swap_used_percent"] == pytest.approx(100 * (102396 - 76797) / 102396)


def test_without_swap_the_sizes_are_zero(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path, SwapTotal=0, SwapFree=0))

    assert (told["swap_total_bytes"], told["swap_used_bytes"]) == (0, 0)


def test_without_swap_there_is_no_percentage_of_it(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path, SwapTotal=0, SwapFree=0))

    assert "swap_used_percent" not in told


def test_swapped_pages_are_told_in_bytes(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path))

    assert (told["swapped_in_bytes"], told["swapped_out_bytes"]) == (
        7 * resource.getpagesize(),
        11 * resource.getpagesize(),
    )


def test_kills_for_want_of_memory_are_counted(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path))

    assert told["oom_kills"] == 2


def test_a_counter_that_the_kernel_lacks_is_left_out(tmp_path: Path) -> None:
    told = readings(proc_with(tmp_path, vmstat="nr_free_pages 103085\npgmajfault 3412\n"))

    assert ("major_faults" in told, "oom_kills" in told) == (True, False)


def test_the_real_total_is_what_the_kernel_says_by_another_way() -> None:
    pages = os.sysconf("SC_PHYS_PAGES")  # from sysinfo(2)

    told = readings(Path("/proc"))

    assert told["total_bytes"] == pages * resource.getpagesize()
