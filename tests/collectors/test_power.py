from __future__ import annotations

from pathlib import Path

import pytest

from thingmeter.collectors.power import PowerCollector
from thingmeter.errors import CollectError, Unsupported
from thingmeter.metrics import Value


def write(root: Path, folder: str, **files: str) -> None:
    path = root / "class" / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(f"{text}\n")


@pytest.fixture
def collector(tmp_path: Path) -> PowerCollector:
    return PowerCollector(sys=tmp_path)


def values(collector: PowerCollector, metric: str) -> dict[str, Value]:
    """Return the values of one metric by the value of its one dimension ('' without)."""
    return {
        sample.dimensions[0][1] if sample.dimensions else "": sample.value
        for sample in collector.collect()
        if sample.metric.name == metric
    }


def test_the_charge_is_what_the_gauge_says(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", capacity="83", energy_now="1", energy_full="100")

    battery_percent = values(collector, "battery_percent")

    assert battery_percent == {"BAT0": 83.0}


def test_a_gauge_above_its_scale_is_full(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", capacity="104")

    battery_percent = values(collector, "battery_percent")

    assert battery_percent == {"BAT0": 100.0}


@pytest.mark.parametrize("quantity", ["energy", "charge"])
def test_without_a_gauge_the_charge_follows_from_what_is_left(
    tmp_path: Path, collector: PowerCollector, quantity: str
) -> None:
    left = {f"{quantity}_now": "2500000", f"{quantity}_full": "10000000"}
    write(tmp_path, "power_supply/BAT0", type="Battery", **left)

    battery_percent = values(collector, "battery_percent")

    assert battery_percent == {"BAT0": 25.0}


def test_a_battery_that_holds_nothing_when_full_has_no_charge(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", status="Unknown", energy_now="0", energy_full="0")

    battery_percent = values(collector, "battery_percent")

    assert battery_percent == {}


@pytest.mark.parametrize(
    ("status", "charging"),
    [("Charging", True), ("Discharging", False), ("Full", False), ("Not charging", False)],
)
def test_charging_follows_from_the_status(
    tmp_path: Path, collector: PowerCollector, status: str, *, charging: bool
) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", status=status)

    answer = values(collector, "charging")

    assert answer == {"BAT0": charging}


def test_an_unknown_status_says_nothing_of_charging(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", status="Unknown")

    charging = values(collector, "charging")

    assert charging == {}


def test_a_status_is_one_word(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", status="Not charging")

    battery_status = values(collector, "battery_status")

    assert battery_status == {"BAT0": "not_charging"}


def test_the_voltage_is_in_volts(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/axp20x-battery", type="Battery", voltage_now="3912000")

    battery_volts = values(collector, "battery_volts")

    assert battery_volts == {"axp20x-battery": 3.912}


def test_cycles_are_told_where_they_are_counted(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", status="Full", cycle_count="217")
    write(tmp_path, "power_supply/BAT1", type="Battery", status="Full", cycle_count="0")

    battery_cycles = values(collector, "battery_cycles")

    assert battery_cycles == {"BAT0": 217}


def test_an_empty_battery_slot_is_left_out(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/AC", type="Mains", online="1")
    write(tmp_path, "power_supply/BAT1", type="Battery", present="0", status="Unknown", capacity="0")

    battery_status = values(collector, "battery_status")

    assert battery_status == {}


def test_the_battery_of_a_peripheral_is_left_out(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", scope="System", capacity="83")
    write(tmp_path, "power_supply/hid-mouse", type="Battery", scope="Device", capacity="12")

    battery_percent = values(collector, "battery_percent")

    assert battery_percent == {"BAT0": 83.0}


def test_each_supply_is_online_or_not(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/AC", type="Mains", online="0")
    write(tmp_path, "power_supply/usb-c", type="USB", online="2")  # 2: with a programmable voltage

    supply_online = values(collector, "supply_online")

    assert supply_online == {"AC": False, "usb-c": True}


@pytest.mark.parametrize(("ac", "usb", "online"), [("0", "1", True), ("0", "0", False)])
def test_one_supply_is_enough_to_be_online(
    tmp_path: Path, collector: PowerCollector, ac: str, usb: str, *, online: bool
) -> None:
    write(tmp_path, "power_supply/AC", type="Mains", online=ac)
    write(tmp_path, "power_supply/usb-c", type="USB", online=usb)

    mains_online = values(collector, "mains_online")

    assert mains_online == {"": online}


def test_nothing_is_said_of_mains_where_there_is_only_a_battery(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery", capacity="83")

    mains_online = values(collector, "mains_online")

    assert mains_online == {}


@pytest.mark.parametrize(("alarm", "low"), [("1", True), ("0", False)])
def test_undervoltage_is_the_alarm_of_the_board(
    tmp_path: Path, collector: PowerCollector, alarm: str, *, low: bool
) -> None:
    write(tmp_path, "hwmon/hwmon0", name="cpu_thermal")
    write(tmp_path, "hwmon/hwmon1", name="rpi_volt", in0_lcrit_alarm=alarm)

    undervoltage = values(collector, "undervoltage")

    assert undervoltage == {"": low}


def test_the_alarm_of_another_chip_is_no_undervoltage(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/AC", type="Mains", online="1")
    write(tmp_path, "hwmon/hwmon0", name="ina219", in0_lcrit_alarm="1")

    undervoltage = values(collector, "undervoltage")

    assert undervoltage == {}


def test_supplies_above_the_maximum_are_left_out(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, f"power_supply/BAT{number}", type="Battery", capacity="50")

    battery_percent = values(PowerCollector(maximum_supplies=3, sys=tmp_path), "battery_percent")

    assert set(battery_percent) == {"BAT0", "BAT1", "BAT2"}


def test_a_supply_that_does_not_answer_is_no_reason_to_give_up(tmp_path: Path, collector: PowerCollector) -> None:
    write(tmp_path, "power_supply/BAT0", type="Battery")

    with pytest.raises(CollectError) as failure:
        list(collector.collect())

    assert failure.type is CollectError


def test_a_machine_without_supplies_is_unsupported(collector: PowerCollector) -> None:
    with pytest.raises(Unsupported, match="no battery"):
        list(collector.collect())
