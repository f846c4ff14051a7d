from __future__ import annotations

from pathlib import Path

import pytest

from thingmeter.collectors.temperature import TemperatureCollector
from thingmeter.errors import CollectError, Unsupported
from thingmeter.metrics import Value


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def zone(number: int, kind: str, millidegrees: str) -> dict[str, str]:
    folder = f"class/thermal/thermal_zone{number}"
    return {f"{folder}/type": kind, f"{folder}/temp": millidegrees}


def cooling(number: int, kind: str, state: int, highest: int) -> dict[str, str]:
    folder = f"class/thermal/cooling_device{number}"
    return {f"{folder}/type": kind, f"{folder}/cur_state": str(state), f"{folder}/max_state": str(highest)}


def chip(number: int, name: str, **files: str) -> dict[str, str]:
    return {f"class/hwmon/hwmon{number}/{file}": text for file, text in {"name": name, **files}.items()}


def firmware(flags: str) -> dict[str, str]:
    return {"devices/platform/soc/soc:firmware/get_throttled": flags}


@pytest.fixture
def collector(tmp_path: Path) -> TemperatureCollector:
    return TemperatureCollector(sys=tmp_path, proc=tmp_path / "proc")


def values(collector: TemperatureCollector, metric: str) -> dict[str, Value]:
    """Return the values of one metric by the value of its one dimension ('' without)."""
    return {
        sample.dimensions[0][1] if sample.dimensions else "": sample.value
        for sample in collector.collect()
        if sample.metric.name == metric
    }


def test_a_zone_is_read_in_degrees(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312"))

    celsius = values(collector, "celsius")

    assert celsius == {"cpu-thermal": 48.312}


def test_a_hwmon_input_is_named_by_chip_and_label(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, chip(0, "coretemp", temp1_input="51000", temp1_label="Package id 0"))

    celsius = values(collector, "celsius")

    assert celsius == {"coretemp.Package_id_0": 51.0}


def test_a_hwmon_input_without_label_is_named_by_its_number(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, chip(0, "lm75", temp1_input="21500"))

    celsius = values(collector, "celsius")

    assert celsius == {"lm75.temp1": 21.5}


def test_two_inputs_of_one_label_stay_two_sensors(tmp_path: Path, collector: TemperatureCollector) -> None:
    labels = {"temp1_label": "Core 0", "temp2_label": "Core 0"}
    write(tmp_path, chip(0, "coretemp", temp1_input="40000", temp2_input="42000", **labels))

    celsius = values(collector, "celsius")

    assert celsius == {"coretemp.Core_0": 40.0, "coretemp.Core_0.temp2": 42.0}


def test_the_hwmon_chip_of_a_zone_is_not_counted_again(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | chip(0, "cpu_thermal", temp1_input="48312"))

    celsius = values(collector, "celsius")

    assert set(celsius) == {"cpu-thermal"}


def test_zones_of_one_type_are_told_apart_by_number(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(2, "acpitz", "30000") | zone(10, "acpitz", "31000"))

    celsius = values(collector, "celsius")

    assert celsius == {"acpitz-2": 30.0, "acpitz-10": 31.0}


def test_chips_of_one_name_are_told_apart_by_device(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, chip(0, "nvme", temp1_input="35000") | chip(1, "nvme", temp1_input="36000"))
    for number in (0, 1):
        device = tmp_path / f"devices/nvme{number}"
        device.mkdir(parents=True)
        (tmp_path / f"class/hwmon/hwmon{number}/device").symlink_to(device)

    celsius = values(collector, "celsius")

    assert set(celsius) == {"nvme-nvme0.temp1", "nvme-nvme1.temp1"}


def test_the_hottest_is_the_highest_of_all_sensors(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | chip(0, "lm75", temp1_input="52000"))

    hottest_celsius = values(collector, "hottest_celsius")

    assert hottest_celsius == {"": 52.0}


@pytest.mark.parametrize("reading", ["", "not a number", "-273150", "2000000"])
def test_a_sensor_without_a_plausible_value_is_left_out(
    tmp_path: Path, collector: TemperatureCollector, reading: str
) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | zone(1, "gpu-thermal", reading))

    celsius = values(collector, "celsius")

    assert set(celsius) == {"cpu-thermal"}


def test_a_zone_whose_driver_answers_with_an_error_is_left_out(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | zone(1, "wifi", "0"))
    (tmp_path / "class/thermal/thermal_zone1/temp").unlink()
    (tmp_path / "class/thermal/thermal_zone1/temp").mkdir()  # reading it is an OSError, as with a driver's EINVAL

    celsius = values(collector, "celsius")

    assert set(celsius) == {"cpu-thermal"}


def test_excluded_sensors_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | chip(0, "coretemp", temp1_input="1000", temp2_input="2000"))
    collector = TemperatureCollector(exclude=("coretemp.*",), sys=tmp_path, proc=tmp_path / "proc")

    celsius = values(collector, "celsius")

    assert set(celsius) == {"cpu-thermal"}


def test_sensors_above_the_maximum_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "a", "1000") | zone(1, "b", "2000") | zone(2, "c", "3000"))
    collector = TemperatureCollector(maximum_series=2, sys=tmp_path, proc=tmp_path / "proc")

    celsius = values(collector, "celsius")

    assert set(celsius) == {"a", "b"}


def test_a_sensor_that_appears_later_is_read(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312"))
    list(collector.collect())
    write(tmp_path, chip(0, "lm75", temp1_input="21500"))

    celsius = values(collector, "celsius")

    assert set(celsius) == {"cpu-thermal", "lm75.temp1"}


def test_cooling_is_a_share_of_the_highest_state(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, cooling(0, "pwm-fan", 1, 4))

    cooling_percent = values(collector, "cooling_percent")

    assert cooling_percent == {"pwm-fan": 25.0}


def test_a_cooling_device_that_says_minus_one_does_nothing(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, cooling(0, "intel_powerclamp", -1, 50))

    cooling_percent = values(collector, "cooling_percent")

    assert cooling_percent == {"intel_powerclamp": 0.0}


def test_a_slowed_processor_is_throttled(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, cooling(0, "pwm-fan", 0, 4) | cooling(1, "cpufreq-cpu0", 2, 5))

    throttled = values(collector, "throttled")

    assert throttled == {"": True}


def test_a_processor_at_full_speed_is_not_throttled(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, cooling(0, "pwm-fan", 4, 4) | cooling(1, "cpufreq-cpu0", 0, 5))

    throttled = values(collector, "throttled")

    assert throttled == {"": False}


def test_nothing_is_said_of_throttling_where_nothing_tells(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | cooling(0, "pwm-fan", 4, 4))

    throttled = values(collector, "throttled")

    assert throttled == {}


@pytest.mark.parametrize(
    ("flags", "causes"),
    [
        ("0", set()),
        ("1", set()),  # undervoltage, which the power collector reports
        ("2", {"frequency_capped"}),
        ("50005", {"throttled"}),
        ("80000", {"soft_temperature_limit"}),  # over by now, but since the kernel's last look
        ("e000e", {"frequency_capped", "throttled", "soft_temperature_limit"}),
    ],
)
def test_the_firmware_flags_name_the_cause(
    tmp_path: Path, collector: TemperatureCollector, flags: str, causes: set[str]
) -> None:
    write(tmp_path, firmware(flags))

    firmware_throttling = values(collector, "firmware_throttling")

    assert {cause for cause, on in firmware_throttling.items() if on} == causes


def test_a_board_slowed_by_its_firmware_is_throttled(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, firmware("4") | cooling(0, "cpufreq-cpu0", 0, 5))

    throttled = values(collector, "throttled")

    assert throttled == {"": True}


def test_the_firmware_flags_are_not_read_where_a_warning_stops_the_kernel(tmp_path: Path) -> None:
    write(tmp_path, firmware("4") | zone(0, "cpu-thermal", "48312") | {"proc/sys/kernel/panic_on_warn": "1"})
    collector = TemperatureCollector(sys=tmp_path, proc=tmp_path / "proc")

    firmware_throttling = values(collector, "firmware_throttling")

    assert firmware_throttling == {}


def test_the_firmware_flags_are_not_read_when_switched_off(tmp_path: Path) -> None:
    write(tmp_path, firmware("4") | zone(0, "cpu-thermal", "48312"))
    collector = TemperatureCollector(firmware_flags=False, sys=tmp_path, proc=tmp_path / "proc")

    firmware_throttling = values(collector, "firmware_throttling")

    assert firmware_throttling == {}


POLICY = {
    "devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "600000",
    "devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1200000",
    "devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1500000",
}


def test_the_clock_is_a_share_of_the_fastest(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, POLICY)

    frequency_percent = values(collector, "frequency_percent")

    assert frequency_percent == {"policy0": 40.0}


def test_a_limit_on_the_clock_is_a_share_of_the_fastest(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, POLICY)

    frequency_limit_percent = values(collector, "frequency_limit_percent")

    assert frequency_limit_percent == {"policy0": 80.0}


def test_sensors_that_all_fail_are_no_reason_to_give_up(tmp_path: Path, collector: TemperatureCollector) -> None:
    write(tmp_path, zone(0, "cpu-thermal", ""))

    with pytest.raises(CollectError) as failure:
        list(collector.collect())

    assert failure.type is CollectError


def test_a_machine_without_sensors_is_unsupported(collector: TemperatureCollector) -> None:
    with pytest.raises(Unsupported, match="no temperature sensor"):
        list(collector.collect())
