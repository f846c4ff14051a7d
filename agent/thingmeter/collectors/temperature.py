"""Temperatures, and whether heat holds the processor back, from thermal zones, hwmon and cpufreq in /sys.

A sensor that has no value now (asleep, faulty, its driver busy) is left out; the others are still read. A hwmon chip
that only mirrors a thermal zone is left out, so that no sensor counts twice.

Sources: Documentation/driver-api/thermal/sysfs-api.rst, Documentation/hwmon/sysfs-interface.rst and
Documentation/admin-guide/pm/cpufreq.rst of Linux; the flags of a Raspberry Pi: drivers/firmware/raspberrypi.c.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from thingmeter.collectors.sysfs import listed, read_number, read_text
from thingmeter.errors import CollectError, Unsupported
from thingmeter.metrics import Metric, Sample

SENSOR = Metric("celsius", unit="Cel", description="Temperature at one sensor.", dimensions=("sensor",))
HOTTEST = Metric("hottest_celsius", unit="Cel", description="Temperature at the hottest sensor.")
COOLING = Metric(
    "cooling_percent",
    unit="%",
    description="How far a cooling device (a fan, a slowed processor) is turned up; 0 is no cooling.",
    dimensions=("device",),
)
FREQUENCY_PERCENT = Metric(
    "frequency_percent",
    unit="%",
    description="Clock of the processor cores in one policy, of the fastest that they can do; low also when idle.",
    dimensions=("policy",),
)
FREQUENCY_LIMIT = Metric(
    "frequency_limit_percent",
    unit="%",
    description="Fastest clock allowed now, by heat or by choice, of the fastest that the cores can do.",
    dimensions=("policy",),
)
FIRMWARE = Metric(
    "firmware_throttling",
    unit="1",
    description="Whether the firmware of a Raspberry Pi slowed it for this cause, now or in the last two seconds.",
    type="boolean",
    dimensions=("cause",),
)
THROTTLED = Metric(
    "throttled",
    unit="1",
    description="Whether the processor is held back now, by the kernel's cooling or by the firmware.",
    type="boolean",
)

PLAUSIBLE_CELSIUS = (-100.0, 300.0)  # an unconnected probe reads as absolute zero or as the end of its scale
PROCESSOR_COOLING = ("Processor", "cpufreq-", "cpuidle-", "intel_powerclamp", "thermal-cpufreq-", "thermal-idle-")

# Bit 0 is undervoltage, which the power collector reports. 16 bits higher stands "has happened", which the kernel's
# own poll clears every two seconds (drivers/hwmon/raspberrypi-hwmon.c).
FIRMWARE_FLAGS = "devices/platform/soc/soc:firmware/get_throttled"
FIRMWARE_CAUSES = ((1, "frequency_capped"), (2, "throttled"), (3, "soft_temperature_limit"))


class TemperatureCollector:
    """Reads every sensor, cooling device and cpufreq policy that /sys shows.

    Sensors are named by the kernel: a zone by its type (``cpu-thermal``), a hwmon input by chip and label
    (``coretemp.Core_0``); what is not a letter, a digit or one of ``:_./-`` becomes ``_``, and where one name stands
    twice the zone's number or the chip's device is added.

    Args:
        exclude: names of sensors to leave out, with ``*`` and ``?``.
        maximum_series: at most so many sensors, cooling devices and policies each; the rest is left out.
        firmware_flags: read the flags of a Raspberry Pi. Recent kernels write one warning into their log when these
            are first read after a boot; they are never read where a warning stops the kernel (panic_on_warn).
        sys: where sysfs is mounted.
        proc: where procfs is mounted.
    """

    metrics = (SENSOR, HOTTEST, COOLING, FREQUENCY_PERCENT, FREQUENCY_LIMIT, FIRMWARE, THROTTLED)

    def __init__(
        self,
        *,
        exclude: tuple[str, ...] = (),
        maximum_series: int = 64,
        firmware_flags: bool = True,
        sys: Path = Path("/sys"),
        proc: Path = Path("/proc"),
    ) -> None:
        self._exclude = tuple(exclude)
        self._maximum_series = maximum_series
        self._sys = sys
        warning_is_fatal = read_number(proc / "sys/kernel/panic_on_warn")
        self._firmware_flags = sys / FIRMWARE_FLAGS if firmware_flags and not warning_is_fatal else None

    def collect(self) -> Iterator[Sample]:
        """Take one sample of each sensor, cooling device and policy.

        Raises:
            CollectError: sensors are there, but none answered.
            Unsupported: /sys shows no sensor, no cooling device and no cpufreq.
        """
        inputs = self._inputs()
        samples = [*_temperatures(inputs), *self._frequencies(), *self._throttling()]
        if samples:
            return iter(samples)
        if inputs:
            raise CollectError(f"none of the {len(inputs)} temperature sensors under {self._sys} answered")
        raise Unsupported(f"no temperature sensor, cooling device or processor clock under {self._sys}")

    def _inputs(self) -> dict[str, Path]:
        """Return the file of each wanted sensor by its name; looked up anew each time, for sensors come and go."""
        zones = self._entries("thermal_zone")
        inputs = {sensor: path / "temp" for sensor, path in _distinct(zones, _number_in_name)}
        mirrored = {kind.replace("-", "_") for kind, _ in zones}  # so the kernel names the hwmon chip of a zone
        chips = [entry for entry in self._entries("hwmon") if entry[0] not in mirrored]
        for chip, path in _distinct(chips, _device):
            for file in listed(path, "temp", "_input"):
                stem = file.name.removesuffix("_input")
                sensor = f"{chip}.{_clean(read_text(path / f'{stem}_label') or stem)}"
                inputs[f"{sensor}.{stem}" if sensor in inputs else sensor] = file
        wanted = [sensor for sensor in inputs if not any(fnmatchcase(sensor, glob) for glob in self._exclude)]
        return {sensor: inputs[sensor] for sensor in wanted[: self._maximum_series]}

    def _entries(self, prefix: str) -> list[tuple[str, Path]]:
        """Return (kind, folder) of each entry of a class, by number: of a chip its name, of the others their type."""
        folder, kind = ("class/hwmon", "name") if prefix == "hwmon" else ("class/thermal", "type")
        found = ((read_text(path / kind), path) for path in listed(self._sys / folder, prefix))
        return [(_clean(text), path) for text, path in found if text]

    def _frequencies(self) -> Iterator[Sample]:
        for path in listed(self._sys / "devices/system/cpu/cpufreq", "policy")[: self._maximum_series]:
            fastest = read_number(path / "cpuinfo_max_freq")
            for metric, file in ((FREQUENCY_PERCENT, "scaling_cur_freq"), (FREQUENCY_LIMIT, "scaling_max_freq")):
                frequency = read_number(path / file)
                if fastest and frequency is not None:
                    yield metric.sample(100 * frequency / fastest, {"policy": path.name})

    def _throttling(self) -> Iterator[Sample]:
        slowed: list[bool] = []  # what each source says; without a source nothing is known, and nothing is said
        entries = self._entries("cooling_device")[: self._maximum_series]
        for device, path in _distinct(entries, _number_in_name):
            state, highest = read_number(path / "cur_state"), read_number(path / "max_state")
            if state is None or not highest:
                continue
            share = max(state, 0) / highest  # intel_powerclamp says -1 while it does nothing
            yield COOLING.sample(100 * share, {"device": device})
            if device.startswith(PROCESSOR_COOLING):
                slowed.append(share > 0)
        flags = read_number(self._firmware_flags, radix=16) if self._firmware_flags else None
        if flags is not None:
            for bit, cause in FIRMWARE_CAUSES:
                slowed.append(bool((flags | flags >> 16) >> bit & 1))
                yield FIRMWARE.sample(slowed[-1], {"cause": cause})
        if slowed:
            yield THROTTLED.sample(any(slowed))


def _temperatures(inputs: dict[str, Path]) -> Iterator[Sample]:
    hottest: float | None = None
    for sensor, path in inputs.items():
        millidegrees = read_number(path)
        if millidegrees is None:
            continue
        celsius = millidegrees / 1000
        if PLAUSIBLE_CELSIUS[0] <= celsius <= PLAUSIBLE_CELSIUS[1]:
            hottest = celsius if hottest is None else max(hottest, celsius)
            yield SENSOR.sample(celsius, {"sensor": sensor})
    if hottest is not None:
        yield HOTTEST.sample(hottest)


def _distinct(entries: Sequence[tuple[str, Path]], suffix: Callable[[Path], str]) -> Iterator[tuple[str, Path]]:
    """Yield each entry under a name of its own: ``NAME-SUFFIX`` where NAME stands more than once."""
    count = Counter(name for name, _ in entries)
    for name, path in entries:
        yield (name if count[name] == 1 else f"{name}-{suffix(path)}"), path


def _number_in_name(path: Path) -> str:
    return path.name.lstrip("abcdefghijklmnopqrstuvwxyz_")


def _device(chip: Path) -> str:
    """Return the name of the chip's device (``nvme0``, ``1-0048``): steadier over boots than the number of the chip."""
    device = chip / "device"
    return _clean(device.resolve().name if device.exists() else chip.name)


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9:_./-]+", "_", name)


collector = TemperatureCollector
