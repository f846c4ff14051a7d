from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from thingmeter.collectors.processes import ProcessesCollector
from thingmeter.errors import Unsupported
from thingmeter.metrics import Value

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One process as /proc shows it; half of its ``ticks`` are user time, half system time."""

    pid: int
    name: str
    state: str = "S"
    start: int = 5
    ticks: int = 0
    pages: int = 0

    def __str__(self) -> str:
        user = self.ticks // 2
        times = f"{user} {self.ticks - user} 0 0 20 0 1 0 {self.start}"
        return f"{self.pid} ({self.name}) {self.state} 1 1 1 0 -1 0 0 0 0 0 {times} 9999999 {self.pages} 99 1 1\n"


def write(proc: Path, *processes: Process) -> None:
    """Write the stat file of each process, replacing what stood there."""
    for process in processes:
        folder = proc / str(process.pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(str(process))


def at_uptime(proc: Path, seconds: float) -> None:
    (proc / "uptime").write_text(f"{seconds:.2f} 1.00\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "loadavg").write_text("0.52 0.58 0.59 3/934 12345\n")
    (tmp_path / "stat").write_text("cpu  1 2 3\nbtime 1700000000\nprocesses 45678\nprocs_running 1\n")
    (tmp_path / "sys").mkdir()
    (tmp_path / "self").symlink_to("1")
    at_uptime(tmp_path, 1000)
    return tmp_path


def values(collector: ProcessesCollector, metric: str) -> dict[str, Value]:
    """Return the values of one metric by the value of its one dimension ('' without)."""
    return {
        sample.dimensions[0][1] if sample.dimensions else "": sample.value
        for sample in collector.collect()
        if sample.metric.name == metric
    }


def test_only_folders_of_processes_are_counted(proc: Path) -> None:
    write(proc, Process(1, "init"))
    write(proc, Process(22, "sshd"))

    count = values(ProcessesCollector(proc=proc), "count")

    assert count == {"": 2}


@pytest.mark.parametrize(("metric", "value"), [("threads", 934), ("threads_running", 3), ("created", 45678)])
def test_the_kernel_counts_threads_itself(proc: Path, metric: str, value: int) -> None:
    write(proc, Process(1, "init"))

    counted = values(ProcessesCollector(proc=proc), metric)

    assert counted == {"": value}


@pytest.mark.parametrize(
    ("letter", "state"),
    [
        ("R", "running"),
        ("S", "sleeping"),
        ("D", "uninterruptible"),
        ("I", "idle"),
        ("T", "stopped"),
        ("t", "traced"),
        ("Z", "zombie"),
        ("X", "other"),
    ],
)
def test_a_process_is_in_one_state(proc: Path, letter: str, state: str) -> None:
    write(proc, Process(1, "init", state=letter))

    by_state = values(ProcessesCollector(proc=proc), "by_state")

    assert {name for name, count in by_state.items() if count} == {state}


def test_a_state_that_no_process_is_in_is_zero(proc: Path) -> None:
    write(proc, Process(1, "init"))

    by_state = values(ProcessesCollector(proc=proc), "by_state")

    assert by_state["zombie"] == 0


def test_a_name_may_look_like_the_rest_of_the_file(proc: Path) -> None:
    write(proc, Process(1, "a) Z 1 (b", state="R"))

    by_state = values(ProcessesCollector(proc=proc), "by_state")

    assert by_state["running"] == 1


def test_a_process_that_ends_while_it_is_read_is_in_no_state(proc: Path) -> None:
    write(proc, Process(1, "init"))
    (proc / "22").mkdir()  # its stat file is gone

    by_state = values(ProcessesCollector(proc=proc), "by_state")

    assert sum(count for count in by_state.values() if isinstance(count, int)) == 1


def test_the_top_by_memory_are_the_largest(proc: Path) -> None:
    for pid, pages in enumerate((10, 40, 20, 30), start=1):
        write(proc, Process(pid, f"process{pages}", pages=pages))

    top = values(ProcessesCollector(top=2, proc=proc), "top_memory_bytes")

    assert top == {"process40": 40 * PAGE_BYTES, "process30": 30 * PAGE_BYTES}


def test_processes_of_one_name_add_up(proc: Path) -> None:
    write(proc, Process(1, "nginx", pages=10))
    write(proc, Process(2, "nginx", pages=15))

    top = values(ProcessesCollector(proc=proc), "top_memory_bytes")

    assert top == {"nginx": 25 * PAGE_BYTES}


def test_among_equals_the_first_by_name_is_the_top(proc: Path) -> None:
    write(proc, Process(1, "b", pages=10))
    write(proc, Process(2, "a", pages=10))

    top = values(ProcessesCollector(top=1, proc=proc), "top_memory_bytes")

    assert set(top) == {"a"}


def test_without_a_top_no_process_is_named(proc: Path) -> None:
    write(proc, Process(1, "nginx", pages=10))

    top = values(ProcessesCollector(top=0, proc=proc), "top_memory_bytes")

    assert top == {}


def test_the_first_look_has_no_processor_time(proc: Path) -> None:
    write(proc, Process(1, "nginx", ticks=500))

    top = values(ProcessesCollector(proc=proc), "top_cpu_percent")

    assert top == {}


def test_processor_time_is_a_share_of_one_core(proc: Path) -> None:
    collector = ProcessesCollector(proc=proc)
    write(proc, Process(1, "nginx", ticks=500))
    values(collector, "top_cpu_percent")
    write(proc, Process(1, "nginx", ticks=500 + 5 * TICKS_PER_S))
    at_uptime(proc, 1010)

    top = values(collector, "top_cpu_percent")

    assert top == {"nginx": pytest.approx(50)}


def test_a_process_made_since_the_last_look_counts_in_full(proc: Path) -> None:
    collector = ProcessesCollector(proc=proc)
    write(proc, Process(1, "init"))
    values(collector, "top_cpu_percent")
    write(proc, Process(2, "nginx", ticks=TICKS_PER_S))
    at_uptime(proc, 1010)

    top = values(collector, "top_cpu_percent")

    assert top == {"nginx": pytest.approx(10)}


def test_a_pid_used_again_is_another_process(proc: Path) -> None:
    collector = ProcessesCollector(proc=proc)
    write(proc, Process(7, "old", start=100, ticks=9000))
    values(collector, "top_cpu_percent")
    write(proc, Process(7, "new", start=200, ticks=TICKS_PER_S))
    at_uptime(proc, 1010)

    top = values(collector, "top_cpu_percent")

    assert top == {"new": pytest.approx(10)}


def test_two_looks_at_one_instant_have_no_processor_time(proc: Path) -> None:
    collector = ProcessesCollector(proc=proc)
    write(proc, Process(1, "nginx"))
    values(collector, "top_cpu_percent")
    write(proc, Process(1, "nginx", ticks=500))

    top = values(collector, "top_cpu_percent")

    assert top == {}


@pytest.mark.parametrize(
    ("comm", "name"),
    [
        ("kworker/0:1-events", "kworker"),
        ("(sd-pam)", "_sd-pam_"),
        ("Web Content", "Web_Content"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}\n", "caf_"),
        ("/", "_"),
        ("", "_"),
    ],
)
def test_a_name_is_made_fit_for_a_dimension(proc: Path, comm: str, name: str) -> None:
    write(proc, Process(1, comm, pages=10))

    top = values(ProcessesCollector(proc=proc), "top_memory_bytes")

    assert set(top) == {name}


def test_many_processes_are_read_less_often(proc: Path) -> None:
    for pid in range(1, 11):
        write(proc, Process(pid, "worker"))
    collector = ProcessesCollector(maximum_reads=4, proc=proc)

    looked = [bool(values(collector, "by_state")) for _ in range(7)]

    assert looked == [True, False, False, True, False, False, True]


def test_many_processes_are_counted_each_time(proc: Path) -> None:
    for pid in range(1, 11):
        write(proc, Process(pid, "worker"))
    collector = ProcessesCollector(maximum_reads=4, proc=proc)
    values(collector, "count")

    count = values(collector, "count")

    assert count == {"": 10}


def test_without_the_kernels_files_the_rest_is_there(proc: Path) -> None:
    write(proc, Process(1, "init", pages=10))
    for name in ("loadavg", "stat", "uptime"):
        (proc / name).unlink()

    names = {sample.metric.name for sample in ProcessesCollector(proc=proc).collect()}

    assert names == {"count", "by_state", "top_memory_bytes"}


def test_this_process_is_among_those_of_the_machine() -> None:
    by_state = values(ProcessesCollector(), "by_state")

    assert by_state["running"] != 0


@pytest.mark.parametrize(("option", "value"), [("top", -1), ("top", 21), ("maximum_reads", 0)])
def test_an_option_out_of_range_is_refused(option: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{option} = {value}"):
        ProcessesCollector(**{option: value})  # type: ignore[arg-type]


def test_a_machine_without_proc_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no processes"):
        list(ProcessesCollector(proc=tmp_path / "proc").collect())
