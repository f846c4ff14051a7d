from __future__ import annotations

from pathlib import Path

import pytest

from thingmeter.collectors.cpu import STATES, CpuCollector
from thingmeter.metrics import Value

#                user nice system idle iowait irq softirq steal guest guest_nice
BEFORE = "cpu    1000    0    500 8000    300   0     100   100   400 0\n"
AFTER = "cpu     1030   10    520 8020    310   2       5   103   420 0\n"  # softirq went down
REST = "intr 12345 0 9 0\nctxt 999\nbtime 1700000000\nprocesses 77\n"


def proc_with(folder: Path, stat: str) -> Path:
    (folder / "stat").write_text(stat)
    (folder / "loadavg").write_text("0.52 1.25 2.00 1/95 5601\n")
    return folder


def readings(collector: CpuCollector) -> dict[tuple[str, ...], Value]:
    samples = collector.collect()
    return {(sample.metric.name, *(value for _, value in sample.dimensions)): sample.value for sample in samples}


def usage_between(folder: Path, before: str, after: str) -> dict[tuple[str, ...], Value]:
    collector = CpuCollector(proc=proc_with(folder, before))
    readings(collector)
    proc_with(folder, after)
    return readings(collector)


def test_the_first_collect_has_no_shares_of_time(tmp_path: Path) -> None:
    collector = CpuCollector(proc=proc_with(tmp_path, BEFORE + REST))

    first = readings(collector)

    assert not any(name.endswith("_percent") for name, *_ in first)


def test_usage_is_what_was_neither_idle_nor_waiting(tmp_path: Path) -> None:
    second = usage_between(tmp_path, BEFORE + REST, AFTER + REST)

    assert second["usage_percent",] == pytest.approx(100 * (30 + 10 + 20 + 2 + 3) / 95)


def test_a_state_that_stepped_back_counts_as_no_time(tmp_path: Path) -> None:
    second = usage_between(tmp_path, BEFORE + REST, AFTER + REST)

    assert second["state_percent", "softirq"] == 0


def test_the_states_add_up_to_100(tmp_path: Path) -> None:
    second = usage_between(tmp_path, BEFORE + REST, AFTER + REST)

    shares = [second["state_percent", state] for state in STATES]
    assert sum(share for share in shares if isinstance(share, float)) == pytest.approx(100)


def test_time_of_guests_is_not_counted_twice(tmp_path: Path) -> None:
    second = usage_between(tmp_path, BEFORE + REST, AFTER + REST)

    assert second["state_percent", "user"] == pytest.approx(100 * 30 / 95)


def test_without_a_tick_between_there_are_no_shares(tmp_path: Path) -> None:
    second = usage_between(tmp_path, BEFORE + REST, BEFORE + REST)

    assert ("usage_percent",) not in second


def test_ticks_that_begin_anew_give_no_shares(tmp_path: Path) -> None:
    second = usage_between(tmp_path, BEFORE + REST, "cpu 0 0 0 0 0 0 0 0 0 0\n" + REST)

    assert ("usage_percent",) not in second


def test_after_ticks_began_anew_shares_are_of_the_new_ones(tmp_path: Path) -> None:
    collector = CpuCollector(proc=proc_with(tmp_path, BEFORE + REST))
    readings(collector)
    proc_with(tmp_path, "cpu 0 0 0 0 0 0 0 0 0 0\n" + REST)
    readings(collector)
    proc_with(tmp_path, "cpu 25 0 0 75 0 0 0 0 0 0\n" + REST)

    third = readings(collector)

    assert third["usage_percent",] == 25


def test_cores_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    second = usage_between(tmp_path, BEFORE + "cpu0 1 0 0 9\n" + REST, AFTER + "cpu0 2 0 0 10\n" + REST)

    assert ("core_usage_percent", "0") not in second


def test_each_core_has_a_usage_when_asked_for(tmp_path: Path) -> None:
    collector = CpuCollector(per_core=True, proc=proc_with(tmp_path, BEFORE + "cpu0 0 0 0 0\ncpu1 0 0 0 0\n" + REST))
    readings(collector)
    proc_with(tmp_path, AFTER + "cpu0 1 0 0 3\ncpu1 3 0 0 1\n" + REST)

    second = readings(collector)

    assert (second["core_usage_percent", "0"], second["core_usage_percent", "1"]) == (25, 75)


def test_a_core_switched_on_has_no_usage_until_its_second_reading(tmp_path: Path) -> None:
    collector = CpuCollector(per_core=True, proc=proc_with(tmp_path, BEFORE + "cpu0 0 0 0 0\n" + REST))
    readings(collector)
    proc_with(tmp_path, AFTER + "cpu0 1 0 0 3\ncpu1 3 0 0 1\n" + REST)

    second = readings(collector)

    assert ("core_usage_percent", "1") not in second


def test_cores_online_are_counted(tmp_path: Path) -> None:
    collector = CpuCollector(proc=proc_with(tmp_path, BEFORE + "cpu0 1 0 0 9\ncpu3 1 0 0 9\n" + REST))

    first = readings(collector)

    assert first["core_count",] == 2


def test_the_three_load_averages_are_told(tmp_path: Path) -> None:
    collector = CpuCollector(proc=proc_with(tmp_path, BEFORE + REST))

    first = readings(collector)

    assert [first[f"load_{minutes}m",] for minutes in (1, 5, 15)] == [0.52, 1.25, 2.0]


def pressure_in(folder: Path) -> CpuCollector:
    pressure = proc_with(folder, BEFORE + REST) / "pressure"
    pressure.mkdir()
    some = "some avg10=1.50 avg60=0.55 avg300=0.36 total=5693328\n"
    full = "full avg10=0.75 avg60=0.25 avg300=0.10 total=42\n"
    for resource in ("cpu", "memory", "io"):
        (pressure / resource).write_text(some + full)
    return CpuCollector(proc=folder)


def test_pressure_is_the_share_of_the_last_ten_seconds(tmp_path: Path) -> None:
    first = readings(pressure_in(tmp_path))

    assert first["pressure_percent", "memory", "full"] == 0.75


def test_stalled_time_is_the_kernels_exact_total(tmp_path: Path) -> None:
    first = readings(pressure_in(tmp_path))

    assert first["stalled_us", "io", "some"] == 5693328


def test_full_pressure_of_the_processor_is_left_out_as_meaningless(tmp_path: Path) -> None:
    first = readings(pressure_in(tmp_path))

    assert ("pressure_percent", "cpu", "full") not in first


def test_a_kernel_without_pressure_stall_only_lacks_its_samples(tmp_path: Path) -> None:
    collector = CpuCollector(proc=proc_with(tmp_path, BEFORE + REST))

    first = readings(collector)

    assert set(first) == {("core_count",), ("load_1m",), ("load_5m",), ("load_15m",)}


def test_columns_that_an_old_kernel_lacks_are_left_out(tmp_path: Path) -> None:
    second = usage_between(tmp_path, "cpu 0 0 0 0\n" + REST, "cpu 1 0 0 3\n" + REST)

    assert ("state_percent", "steal") not in second


def test_real_usage_is_between_0_and_100() -> None:
    collector = CpuCollector()
    first = readings(collector)
    while ("usage_percent",) not in (now := readings(collector)):  # until the first tick, 10 ms at most
        assert first

    usage = now["usage_percent",]
    assert isinstance(usage, float)
    assert 0 <= usage <= 100
