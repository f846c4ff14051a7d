from __future__ import annotations

from pathlib import Path

import pytest

from thingmeter.collectors.flash import FlashCollector
from thingmeter.errors import Unsupported
from thingmeter.metrics import Value

# reads, merged, sectors, ms; writes, merged, SECTORS, ms; in flight, ms, weighted ms; discards, flushes
STAT = "   69939    24201  2546426    16701     5106    22491   778224     4270        0    11304    21251        0"


@pytest.fixture
def collector(tmp_path: Path) -> FlashCollector:
    return FlashCollector(sys=tmp_path)


def device(root: Path, name: str, *, stat: str = STAT, **card: str) -> None:
    folder = root / "block" / name
    (folder / "device").mkdir(parents=True)
    (folder / "stat").write_text(f"{stat}\n")
    for file, text in card.items():
        (folder / "device" / file).write_text(f"{text}\n")


def values(collector: FlashCollector, metric: str) -> dict[str, Value]:
    """Return the values of one metric by device."""
    return {s.dimensions[0][1]: s.value for s in collector.collect() if s.metric.name == metric}


def test_written_bytes_are_sectors_of_512(tmp_path: Path, collector: FlashCollector) -> None:
    device(tmp_path, "vda")

    written_bytes = values(collector, "written_bytes")

    assert written_bytes == {"vda": 778224 * 512}


def test_written_bytes_are_a_counter_from_boot() -> None:
    written = next(metric for metric in FlashCollector.metrics if metric.name == "written_bytes")

    assert (written.kind, written.resets) == ("counter", "boot")


@pytest.mark.parametrize(
    "name",
    ["loop0", "ram15", "zram0", "dm-0", "md127", "nbd3", "sr0", "nvme0c1n1", "mmcblk0boot0", "mmcblk0rpmb"],
)
def test_what_is_no_device_of_its_own_is_left_out(tmp_path: Path, collector: FlashCollector, name: str) -> None:
    device(tmp_path, "sda")
    device(tmp_path, name)

    written_bytes = values(collector, "written_bytes")

    assert set(written_bytes) == {"sda"}


@pytest.mark.parametrize("name", ["sda", "vda", "nvme0n1", "mmcblk0", "mmcblk1gp0", "mtdblock2"])
def test_a_device_of_its_own_is_counted(tmp_path: Path, collector: FlashCollector, name: str) -> None:
    device(tmp_path, name)

    written_bytes = values(collector, "written_bytes")

    assert set(written_bytes) == {name}


@pytest.mark.parametrize(
    ("life_time", "a", "b"),
    [("0x01 0x02", 0, 10), ("0x0a 0x0b", 90, 100)],
)
def test_the_life_of_an_emmc_is_in_steps_of_ten(
    tmp_path: Path, collector: FlashCollector, life_time: str, a: int, b: int
) -> None:
    device(tmp_path, "mmcblk0", life_time=life_time)

    used = values(collector, "life_time_a_percent"), values(collector, "life_time_b_percent")

    assert used == ({"mmcblk0": a}, {"mmcblk0": b})


@pytest.mark.parametrize("life_time", ["0x00 0x00", "0x0c 0xff", "", "broken"])
def test_an_undefined_life_is_left_out(tmp_path: Path, collector: FlashCollector, life_time: str) -> None:
    device(tmp_path, "mmcblk0", life_time=life_time)

    life_time_a_percent = values(collector, "life_time_a_percent")

    assert life_time_a_percent == {}


def test_an_emmc_that_wears_out_says_so(tmp_path: Path, collector: FlashCollector) -> None:
    device(tmp_path, "mmcblk0", pre_eol_info="0x03")

    pre_eol = values(collector, "pre_eol")

    assert pre_eol == {"mmcblk0": 3}


@pytest.mark.parametrize("spare", ["0x00", "0x09", ""])
def test_an_undefined_state_of_the_spare_blocks_is_left_out(
    tmp_path: Path, collector: FlashCollector, spare: str
) -> None:
    device(tmp_path, "mmcblk0", pre_eol_info=spare)

    pre_eol = values(collector, "pre_eol")

    assert pre_eol == {}


def test_an_sd_card_has_written_bytes_only(tmp_path: Path, collector: FlashCollector) -> None:
    device(tmp_path, "mmcblk0")

    samples = list(collector.collect())

    assert [sample.metric.name for sample in samples] == ["written_bytes"]


def test_a_device_that_goes_while_it_is_read_is_left_out(tmp_path: Path, collector: FlashCollector) -> None:
    device(tmp_path, "sda")
    (tmp_path / "block/sdb").mkdir()  # its stat file is gone

    written_bytes = values(collector, "written_bytes")

    assert set(written_bytes) == {"sda"}


def test_devices_above_the_maximum_are_left_out(tmp_path: Path) -> None:
    for name in ("sda", "sdb", "sdc"):
        device(tmp_path, name)

    written_bytes = values(FlashCollector(maximum_devices=2, sys=tmp_path), "written_bytes")

    assert set(written_bytes) == {"sda", "sdb"}


def test_a_machine_without_block_devices_is_unsupported(tmp_path: Path, collector: FlashCollector) -> None:
    device(tmp_path, "loop0")

    with pytest.raises(Unsupported, match="no block device"):
        list(collector.collect())
