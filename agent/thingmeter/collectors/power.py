"""Batteries, chargers and mains from the power supply class of /sys, and undervoltage where the kernel tells.

Batteries of peripherals (a mouse, a headset) are left out, and so are empty battery slots. Files are read one by one:
the single ``uevent`` file fails as a whole when one property of a fuel gauge does, and reads every register of it.

Sources: Documentation/ABI/testing/sysfs-class-power and Documentation/hwmon/raspberrypi-hwmon.rst of Linux.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from thingmeter.collectors.sysfs import listed, read_number, read_text
from thingmeter.errors import CollectError, Unsupported
from thingmeter.metrics import Metric, Sample

BATTERY_PERCENT = Metric(
    "battery_percent",
    unit="%",
    description="Charge left in a battery, of what it holds when full.",
    dimensions=("battery",),
)
CHARGING = Metric(
    "charging", unit="1", description="Whether a battery is being charged now.", type="boolean", dimensions=("battery",)
)
STATUS = Metric(
    "battery_status",
    unit="1",
    description="What a battery is doing: charging, discharging, full, not_charging or unknown.",
    type="text",
    dimensions=("battery",),
)
VOLTS = Metric("battery_volts", unit="V", description="Voltage of a battery now.", dimensions=("battery",))
CYCLES = Metric(
    "battery_cycles",
    unit="1",
    description="Times a battery was charged and discharged, as it counts.",
    dimensions=("battery",),
)
ONLINE = Metric(
    "supply_online",
    unit="1",
    description="Whether one supply from outside (mains, USB, wireless) gives power.",
    type="boolean",
    dimensions=("supply",),
)
MAINS_ONLINE = Metric(
    "mains_online", unit="1", description="Whether any supply from outside gives power.", type="boolean"
)
UNDERVOLTAGE = Metric(
    "undervoltage",
    unit="1",
    description="Whether the supply of a Raspberry Pi fell below what the board needs, in the last two seconds.",
    type="boolean",
)

BATTERIES = frozenset({"Battery", "UPS"})
MICRO = 1_000_000  # the class counts in microvolts
UNDERVOLTAGE_CHIP, UNDERVOLTAGE_ALARM = "rpi_volt", "in0_lcrit_alarm"


class PowerCollector:
    """Reads each supply, named as the kernel names it (``BAT0``, ``axp20x-usb``).

    Args:
        maximum_supplies: at most so many, in the order of their names; the rest is left out.
        sys: where sysfs is mounted.
    """

    metrics = (BATTERY_PERCENT, CHARGING, STATUS, VOLTS, CYCLES, ONLINE, MAINS_ONLINE, UNDERVOLTAGE)

    def __init__(self, *, maximum_supplies: int = 16, sys: Path = Path("/sys")) -> None:
        self._maximum_supplies = maximum_supplies
        self._sys = sys

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each battery and supply.

        Raises:
            CollectError: supplies are there, but none answered.
            Unsupported: /sys shows no supply of this machine and no alarm for undervoltage.
        """
        batteries, sources = self._supplies()
        alarms = self._undervoltage()
        samples = [*_batteries(batteries), *_sources(sources), *alarms]
        if samples:
            return iter(samples)
        if batteries or sources:
            raise CollectError(f"none of the {len(batteries) + len(sources)} power supplies under {self._sys} answered")
        raise Unsupported(f"no battery, no mains and no undervoltage alarm under {self._sys}")

    def _supplies(self) -> tuple[list[Path], list[Path]]:
        """Return the folders of the batteries that are there, and of the supplies from outside."""
        batteries: list[Path] = []
        sources: list[Path] = []
        for path in listed(self._sys / "class/power_supply", "")[: self._maximum_supplies]:
            kind = read_text(path / "type")
            if not kind or read_text(path / "scope") == "Device":
                continue
            if kind not in BATTERIES:
                sources.append(path)
            elif read_number(path / "present") != 0:  # an empty slot says 0; many gauges do not say
                batteries.append(path)
        return batteries, sources

    def _undervoltage(self) -> Iterator[Sample]:
        for chip in listed(self._sys / "class/hwmon", "hwmon"):
            if read_text(chip / "name") == UNDERVOLTAGE_CHIP:
                alarm = read_number(chip / UNDERVOLTAGE_ALARM)
                if alarm is not None:
                    yield UNDERVOLTAGE.sample(alarm != 0)
                return


def _batteries(paths: list[Path]) -> Iterator[Sample]:
    for path in paths:
        battery = {"battery": path.name}
        percent = _percent(path)
        if percent is not None:
            yield BATTERY_PERCENT.sample(percent, battery)
        status = read_text(path / "status")
        if status:
            yield STATUS.sample(status.lower().replace(" ", "_"), battery)
            if status != "Unknown":
                yield CHARGING.sample(status == "Charging", battery)
        microvolts = read_number(path / "voltage_now")
        if microvolts is not None:
            yield VOLTS.sample(microvolts / MICRO, battery)
        cycles = read_number(path / "cycle_count")
        if cycles:  # gauges that do not count say 0
            yield CYCLES.sample(cycles, battery)


def _percent(battery: Path) -> float | None:
    """Return what the gauge says, else what follows from energy or charge; None where none of them is told."""
    capacity = read_number(battery / "capacity")
    if capacity is not None:
        return float(min(max(capacity, 0), 100))
    for quantity in ("energy", "charge"):
        now, full = read_number(battery / f"{quantity}_now"), read_number(battery / f"{quantity}_full")
        if now is not None and full:
            return min(max(100 * now / full, 0.0), 100.0)
    return None


def _sources(paths: list[Path]) -> Iterator[Sample]:
    online = {path.name: value for path in paths if (value := read_number(path / "online")) is not None}
    for supply, value in online.items():
        yield ONLINE.sample(value != 0, {"supply": supply})
    if online:
        yield MAINS_ONLINE.sample(any(online.values()))


collector = PowerCollector
