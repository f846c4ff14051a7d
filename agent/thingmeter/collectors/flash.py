"""Wear of flash memory: what an eMMC says of its life, and the bytes written to each block device.

An eMMC gives its life in steps of 10 %. The kernel reads it when it finds the card, so it changes at the next boot
only. What an NVMe drive knows of its wear is not in /sys (root may ask the drive); its bytes written are counted here.

Sources: Documentation/admin-guide/iostats.rst and Documentation/driver-api/mmc/mmc-dev-attrs.rst of Linux; the meaning
of the values: JEDEC JESD84-B51, PRE_EOL_INFO [267] and DEVICE_LIFE_TIME_EST_TYP_A and _B [268, 269].
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from thingmeter.collectors.sysfs import listed, read_text
from thingmeter.errors import Unsupported
from thingmeter.metrics import Metric, Sample

WRITTEN = Metric(
    "written_bytes",
    unit="By",
    description="Bytes written to a block device since boot, or since it was plugged in.",
    kind="counter",
    dimensions=("device",),
)
LIFE_TIME_A = Metric(
    "life_time_a_percent",
    unit="%",
    description="Life used of an eMMC's cells of type A (mostly SLC), at least; 100 is past the rated life.",
    dimensions=("device",),
)
LIFE_TIME_B = Metric(
    "life_time_b_percent",
    unit="%",
    description="Life used of an eMMC's cells of type B (mostly MLC or TLC), at least; 100 is past the rated life.",
    dimensions=("device",),
)
PRE_EOL = Metric(
    "pre_eol",
    unit="1",
    description="Spare blocks of an eMMC: 1 normal, 2 warning (80 % used), 3 urgent (90 % used).",
    dimensions=("device",),
)

SECTOR_BYTES = 512  # of the stat file, whatever the device's own sector size
WRITTEN_SECTORS = 6  # the seventh number in the stat file
# Memory, images, discs, the network, what is built of other devices (the same bytes would count twice), the paths of a
# multipath NVMe drive, and the boot and replay-protected areas of an eMMC.
LEFT_OUT = re.compile(r"(ram|loop|zram|dm-|md|drbd|nbd|sr|fd)\d+|nvme\d+c\d+n\d+|mmcblk\d+(boot\d+|rpmb)")
EMMC = re.compile(r"mmcblk\d+")
# 1 is 0 to 10 % used, 10 is 90 to 100 %, 11 is beyond; anything else is undefined or reserved.
LIFE_USED_PERCENT = {f"0x{step:02x}": 10 * (step - 1) for step in range(1, 12)}
SPARE_BLOCKS = {"0x01": 1, "0x02": 2, "0x03": 3}


class FlashCollector:
    """Reads each block device, named as in /dev.

    Args:
        maximum_devices: at most so many, in the order of their names; the rest is left out.
        sys: where sysfs is mounted.
    """

    metrics = (WRITTEN, LIFE_TIME_A, LIFE_TIME_B, PRE_EOL)

    def __init__(self, *, maximum_devices: int = 32, sys: Path = Path("/sys")) -> None:
        self._maximum_devices = maximum_devices
        self._sys = sys

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each block device.

        Raises:
            Unsupported: /sys shows no block device but memory, images and compounds.
        """
        devices = [path for path in listed(self._sys / "block", "") if not LEFT_OUT.fullmatch(path.name)]
        if not devices:
            raise Unsupported(f"no block device of its own under {self._sys}/block")
        for path in devices[: self._maximum_devices]:
            device = {"device": path.name}
            sectors = (read_text(path / "stat") or "").split()
            if len(sectors) > WRITTEN_SECTORS:
                yield WRITTEN.sample(int(sectors[WRITTEN_SECTORS]) * SECTOR_BYTES, device)
            if EMMC.fullmatch(path.name):
                yield from _wear(path / "device", device)


def _wear(card: Path, device: dict[str, str]) -> Iterator[Sample]:
    """Yield what the card says of its life; an SD card says nothing, an eMMC before 5.0 that it is undefined (0)."""
    life_time = (read_text(card / "life_time") or "").split()  # "0x01 0x02"
    for metric, tenth in zip((LIFE_TIME_A, LIFE_TIME_B), life_time, strict=False):
        if tenth in LIFE_USED_PERCENT:
            yield metric.sample(LIFE_USED_PERCENT[tenth], device)
    spare = read_text(card / "pre_eol_info") or ""  # "0x01"
    if spare in SPARE_BLOCKS:
        yield PRE_EOL.sample(SPARE_BLOCKS[spare], device)


collector = FlashCollector
