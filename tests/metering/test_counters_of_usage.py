from __future__ import annotations

import pytest

from metering.device import LITRES, Device, MakeDevice, devrev, uom
from thingmeter.metrics import Metric, Resets


def metric(resets: Resets) -> Metric:
    return Metric("pump.litres", unit="l", kind="counter", resets=resets)


def test_the_first_sight_of_a_counter_bills_nothing(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))

    device.samples(1000, metric=LITRES)
    device.pass_s(60)

    assert device.records("litres") == []


def test_what_a_counter_grew_by_is_billed(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))

    device.samples(1000, 1001, 1003, 1003, 1010, 1020, metric=LITRES)

    assert device.values("litres") == [20]


def test_an_increase_over_a_restart_is_billed_once_in_the_window_in_which_it_is_seen(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))
    device.samples(1000, 1001, metric=LITRES)
    device.clock.advance(120)
    device.restart()

    device.samples(1100, 1101, metric=LITRES)
    device.pass_s(60)

    assert list(zip(device.values("litres"), device.times_s("litres"), strict=True)) == [(1, 30), (100, 150)]


def test_an_increase_that_was_not_committed_comes_with_the_next_sample(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))
    device.samples(1000, metric=LITRES)
    device.sample(1007, LITRES)
    device.restart()

    device.sample(1010, LITRES)
    device.pass_s(60)

    assert device.values("litres") == [10]


def test_an_increase_that_was_committed_is_not_billed_again(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))
    device.samples(1000, 1007, metric=LITRES)
    device.restart()

    device.sample(1010, LITRES)
    device.pass_s(60)

    assert device.values("litres") == [10]


@pytest.mark.parametrize(("resets", "expected"), [("boot", [1, 50]), ("never", [1]), ("unknown", [1, 50])])
def test_after_a_reboot_a_counter_begins_as_it_says(
    make_device: MakeDevice, resets: Resets, expected: list[int]
) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))
    device.samples(1000, 1001, metric=metric(resets))
    device.clock.advance(60)
    device.reboot()

    device.samples(50, metric=metric(resets))
    device.pass_s(60)

    assert device.values("litres") == expected


@pytest.mark.parametrize(("resets", "expected"), [("boot", [2000]), ("never", [1000]), ("unknown", [1000])])
def test_a_counter_above_its_last_value_after_a_reboot_began_anew_only_if_it_does_at_boots(
    make_device: MakeDevice, resets: Resets, expected: list[int]
) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))
    device.samples(1000, metric=metric(resets))
    device.reboot()

    device.samples(2000, metric=metric(resets))
    device.pass_s(60)

    assert device.values("litres") == expected


def test_an_increase_above_the_maximum_is_set_aside_with_the_reason(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres", maximum_increase=100.0))
    device.samples(1000, 1050, 9000, metric=LITRES)

    device.pass_s(60)

    assert device.aside("litres") == [(7950, "pump.litres grew by 7950 to 9000, more than maximum_increase = 100")]


def test_an_increase_above_the_maximum_is_not_billed(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres", maximum_increase=100.0))
    device.samples(1000, 1050, 9000, 9001, metric=LITRES)

    device.pass_s(60)

    assert device.values("litres") == [51]


def test_each_increase_above_the_maximum_is_set_aside_by_itself(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres", maximum_increase=100.0))
    device.samples(1000, 2000, 3000, metric=LITRES)

    device.pass_s(60)

    assert [value for value, _ in device.aside("litres")] == [1000, 1000]


def test_an_increase_above_the_maximum_is_set_aside_once_over_a_restart(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres", maximum_increase=100.0))
    device.samples(1000, 2000, metric=LITRES)
    device.restart()

    device.samples(2001, metric=LITRES)
    device.pass_s(60)

    assert ([value for value, _ in device.aside("litres")], device.values("litres")) == ([1000], [1])


def test_a_counter_of_another_aggregation_is_taken_as_it_stands(make_device: MakeDevice) -> None:
    device = make_device(uom("reading", "latest", "pump.litres"))

    device.samples(1000, 1001, 1003, 1003, 1010, 1020, metric=LITRES)

    assert device.values("reading") == [1020]


def test_series_that_are_projected_onto_one_group_add_up(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))
    for value in (100, 110):
        for line in ("1", "2"):
            device.sample(value, LITRES, line=line)

    device.pass_s(60)

    assert device.values("litres") == [20]


def test_an_increase_that_no_number_can_hold_is_refused(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))
    device.samples(-1.7e308, 1.7e308, metric=LITRES)

    device.pass_s(60)

    assert (device.records("litres"), device.counts()["usage_samples_refused"]) == ([], 1)


def counted(device: Device, value: int, sites: int) -> None:
    for site in range(sites):
        device.sample(value, LITRES, site=str(site))
    device.pass_s(10)


def test_known_counters_count_on_where_there_is_no_room_for_new_ones(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmeter.metering.increases.SERIES_LIMIT", 2)
    device = make_device(uom("litres", "sum", "pump.litres"))

    for value in (10, 20, 30):
        counted(device, value, sites=3)
    device.pass_s(60)

    assert (device.values("litres"), device.counts()["usage_samples_dropped"]) == ([20, 20], 3)


def test_a_counter_not_seen_for_a_day_makes_room_for_a_new_one(
    make_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingmeter.metering.increases.SERIES_LIMIT", 1)
    device = make_device(uom("litres", "sum", "pump.litres"))
    device.samples(10, metric=LITRES, site="gone")
    device.pass_s(86_400)

    device.samples(10, 15, metric=LITRES, site="new")
    device.pass_s(60)

    assert (device.values("litres"), device.counts()["usage_counter_series_lost"]) == ([5], 1)


def test_what_a_counter_grew_by_while_no_uom_took_it_is_not_billed(make_device: MakeDevice) -> None:
    litres, level = uom("litres", "sum", "pump.litres"), uom("level", "maximum")
    device = make_device(litres, level)
    device.samples(100, 110, metric=LITRES)
    device.pass_s(60)
    device.restart(devrev(level))
    device.samples(1)

    device.restart(devrev(litres, level))
    device.samples(5000, metric=LITRES)
    device.pass_s(60)

    assert device.values("litres") == [10]


def test_a_counter_that_stands_still_makes_no_record(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.litres"))

    device.samples(7, 7, 7, 7, 7, 7, 7, metric=LITRES)

    assert device.records("litres") == []
