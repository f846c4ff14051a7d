from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from metering.device import LITRES, START, MakeDevice, after, devrev, uom
from thingmeter.config.settings import Unit
from thingmeter.metrics import Metric
from thingmeter.outbox import Count, JournalRow

DOOR = Metric("door.open", unit="1", type="boolean")
NAME = Metric("pump.name", unit="1", type="text")


def test_a_window_that_has_ended_becomes_one_record(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    device.samples(1, 2, 3, 4, 5, 6)

    assert device.values("litres") == [21]


def test_an_open_window_is_not_frozen(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    device.samples(1, 2, 3, 4, 5)

    assert device.records("litres") == []


def test_an_aggregate_is_stamped_in_the_middle_of_its_window(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    device.samples(*range(12))

    assert device.times_s("litres") == [30, 90]


def test_an_extreme_has_its_own_time(make_device: MakeDevice) -> None:
    device = make_device(uom("peak", "maximum"))

    device.samples(1, 2, 9, 4, 5, 6)

    assert device.times_s("peak") == [20]


def test_a_frozen_window_is_gone_from_the_journal(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    device.samples(1, 2, 3, 4, 5, 6)

    assert device.outbox.journal() == []


def test_one_sample_feeds_every_uom_that_takes_it(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"), uom("peak", "maximum"))

    device.samples(1, 2, 3, 4, 5, 6)

    assert (device.values("litres"), device.values("peak")) == ([21], [6])


def test_dimensions_that_are_not_declared_are_added_up(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    for line in ("1", "2"):
        device.sample(5, site="north", line=line)

    device.pass_s(60)

    assert device.values("litres") == [10]


def test_each_value_of_a_declared_dimension_has_its_own_record(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.sample(5, site="north")
    device.sample(6, site="south")

    device.pass_s(60)

    groups = {record.point.group.dimensions: record.point.value for record in device.records("litres")}
    assert groups == {(("site", "north"),): 5, (("site", "south"),): 6}


def test_a_boolean_is_one_or_zero(make_device: MakeDevice) -> None:
    device = make_device(uom("opened", "latest", "door.open", unit=Unit(name="open", type="boolean")))

    device.sample(True, DOOR)
    device.pass_s(60)

    assert device.values("opened") == [1.0]


def test_a_value_that_is_no_number_is_refused_and_counted(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", "pump.name"))

    device.sample("north pump", NAME)
    device.pass_s(60)

    assert (device.records("litres"), device.counts()["usage_samples_refused"]) == ([], 1)


def test_what_feeds_no_uom_is_left_alone(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    device.sample(1, LITRES)
    device.pass_s(60)

    assert device.outbox.counts()["put"] == 0


def test_only_samples_of_where_count(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", where={"line": "1"}))
    device.sample(5, line="1")
    device.sample(6, line="2")

    device.pass_s(60)

    assert device.values("litres") == [5]


def test_the_ledger_counts_a_record_under_the_day_of_its_window(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.sample(5)
    device.pass_s(60)

    rows = device.ledger("litres")

    assert [(row.day, row.measured) for row in rows] == [(date(2026, 1, 1), Count(1, Fraction(5)))]


def test_the_ledger_adds_up_no_values_that_do_not_add_up(make_device: MakeDevice) -> None:
    device = make_device(uom("peak", "maximum"))
    device.sample(5)
    device.pass_s(60)

    rows = device.ledger("peak")

    assert [row.measured for row in rows] == [Count(1, Fraction(0))]


def test_a_sample_that_comes_late_makes_a_further_part_of_its_window(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2, 3, 4, 5, 6)

    device.sample(7, at=after(20))
    device.pass_s(10)

    assert list(zip(device.values("litres"), device.times_s("litres"), strict=True)) == [(21, 30), (7, 30.001)]


def test_parts_are_counted_over_a_restart(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2, 3, 4, 5, 6)
    device.restart()

    device.sample(7, at=after(20))
    device.pass_s(10)

    assert device.times_s("litres") == [30, 30.001]


def test_a_window_goes_on_over_a_restart(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2, 3)
    device.restart()

    device.samples(4, 5, 6)

    assert device.values("litres") == [21]


def test_a_window_that_ended_while_nothing_ran_is_frozen_at_the_first_turn(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2, 3)
    device.clock.advance(3600)

    device.restart()
    device.metering.turn()

    assert (device.values("litres"), device.times_s("litres")) == ([6], [30])


def test_a_restart_after_a_freeze_freezes_nothing_again(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2, 3, 4, 5, 6)

    device.restart()
    device.pass_s(60)

    assert device.values("litres") == [21]


def test_samples_are_folded_as_they_were_measured_whatever_the_settings_say_later(make_device: MakeDevice) -> None:
    device = make_device(uom("level", "sum"))
    device.samples(1, 2)
    device.restart(devrev(uom("level", "maximum", dimensions=()), account_ref="ACC-2"))

    device.samples(3, 4, 5, 6)

    found = {
        (record.aggregation_type, record.point.group.account_ref, record.point.value)
        for record in device.records("level")
    }
    assert found == {("sum", "ACC-1", 3), ("maximum", "ACC-2", 6)}


def test_a_uom_that_is_gone_still_gets_what_was_measured_for_it(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2)
    device.restart(devrev(uom("other", "sum")))

    device.pass_s(60)

    assert device.values("litres") == [3]


@pytest.mark.parametrize("window_s", [10, 900])
def test_windows_of_another_length_lose_nothing_of_those_before(make_device: MakeDevice, window_s: int) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2, 3)
    device.restart(devrev(uom("litres", "sum"), window_s=window_s))

    device.samples(4, 5, 6)
    device.restart()
    device.pass_s(900)

    assert sum(device.values("litres")) == 21


def test_a_sum_beyond_any_number_stops_nothing_and_is_counted(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.sample(1.7e308, site="north")
    device.sample(1.7e308, site="north")
    device.sample(5, site="south")

    device.pass_s(60)

    assert (device.values("litres"), device.counts()["usage_samples_lost"]) == ([5], 2)


def test_a_text_that_is_not_unicode_stops_nothing_and_is_counted(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.sample(1, site="\udcff")
    device.sample(5, site="south")

    device.pass_s(60)

    assert (device.values("litres"), device.counts()["usage_samples_lost"]) == ([5], 1)


def test_a_row_of_the_journal_that_cannot_be_read_stops_nothing_and_is_counted(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    device.samples(1, 2)
    device.outbox.append_journal([JournalRow(int(START.timestamp()), b'{"samples": 7}')])

    device.restart()
    device.pass_s(60)

    assert (device.values("litres"), device.counts()["usage_journal_rows_unreadable"]) == ([3], 1)


def test_state_that_cannot_be_read_stops_nothing(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"), uom("state", "latest"))
    device.samples(1, 2, 3, 4, 5, 6)
    names = ("counters", "times", "parts", "clock", "installation", "unset_spent")
    device.outbox.put_state({f"usage.{name}": b"\xff{" for name in names})
    device.restart()

    device.samples(1, 2, 3, 4, 5, 6)

    assert (device.values("litres"), device.values("state")) == ([21, 21], [6, 6])


def test_a_record_whose_account_is_missing_is_set_aside_with_the_reason(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", account_dimension="customer"))
    device.samples(1, 2, 3, 4, 5, 6, site="north")

    found = device.aside("litres")

    assert found == [(21, "the dimension customer, which names the account, is missing")]


def test_what_is_set_aside_is_in_the_ledger(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", account_dimension="customer"))
    device.samples(1, 2, 3, 4, 5, 6, site="north")

    rows = device.ledger("litres")

    assert [(row.set_aside.amount, row.waiting.amount) for row in rows] == [(Fraction(21), Fraction(0))]


def test_a_missing_account_does_not_hold_up_the_others(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum", account_dimension="customer"))
    device.sample(5)
    device.sample(6, customer="ACC-9")

    device.pass_s(60)

    assert [record.point.group.account_ref for record in device.records("litres")] == ["ACC-9"]
