"""Counters: no negative, no jump, nothing lost and nothing twice, over resets, restarts and reboots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.metrics import Metric, Resets
from thingmeter.window import Counters
from thingmeter.window.counters import SERIES_LIMIT

BYTES = Metric("network.received_bytes", "By", kind="counter", dimensions=("interface",))
ETH0 = {"interface": "eth0"}
SERIES = ("network.received_bytes", (("interface", "eth0"),))


def counters_of(*values: float, resets: Resets = "boot", counters: Counters | None = None) -> Counters:
    counters = counters or Counters("boot-1")
    metric = Metric(BYTES.name, "By", kind="counter", dimensions=BYTES.dimensions, resets=resets)
    for value in values:
        counters.add(metric.sample(value, ETH0))
    return counters


def test_the_first_sight_sets_the_baseline_and_counts_nothing() -> None:
    counters = counters_of(5_000_000_000)

    assert counters.unreported({}) == {}
    assert counters.seen(SERIES)


def test_a_rise_counts_its_rise() -> None:
    assert counters_of(100, 130, 130, 200).unreported({}) == {SERIES: 100}


def test_a_counter_that_fell_counts_from_its_new_value() -> None:
    assert counters_of(100, 150, 20, 30).unreported({}) == {SERIES: 80}


def test_a_counter_that_never_resets_and_fell_counts_only_from_there_on() -> None:
    assert counters_of(100, 150, 20, 30, resets="never").unreported({}) == {SERIES: 60}


def test_a_second_restart_before_a_series_was_seen_after_a_reboot_loses_nothing_of_it() -> None:
    before = counters_of(100)
    restarted = Counters("boot-2", before.state())

    again = counters_of(150, counters=Counters("boot-2", restarted.state()))

    assert again.unreported({}) == {SERIES: 150}


def test_a_restart_after_a_series_was_seen_since_the_reboot_counts_its_rise() -> None:
    seen = counters_of(20, counters=Counters("boot-2", counters_of(100).state()))
    seen.settle(seen.unreported({}))

    again = counters_of(150, counters=Counters("boot-2", seen.state()))

    assert again.unreported({}) == {SERIES: 130}


def test_what_was_settled_is_not_reported_again() -> None:
    counters = counters_of(100, 130)
    carried = counters.unreported({})
    counters_of(150, counters=counters)

    counters.settle(carried)

    assert counters.unreported({}) == {SERIES: 20}


def test_what_is_in_flight_is_in_no_other_report() -> None:
    counters = counters_of(100, 130)
    carried = counters.unreported({})
    counters_of(150, counters=counters)

    assert counters.unreported(carried) == {SERIES: 20}


def test_a_restart_within_a_boot_goes_on_where_it_was() -> None:
    again = Counters("boot-1", counters_of(100, 130).state())

    counters_of(180, counters=again)

    assert again.unreported({}) == {SERIES: 80}


def test_after_a_reboot_a_counter_that_resets_at_boot_counts_all_of_its_value() -> None:
    again = Counters("boot-2", counters_of(100, 130).state())

    counters_of(5_000, 5_010, counters=again)

    assert again.unreported({}) == {SERIES: 30 + 5_010}


@pytest.mark.parametrize("resets", ["never", "unknown"])
def test_after_a_reboot_other_counters_go_on(resets: Resets) -> None:
    again = Counters("boot-2", counters_of(100, 130, resets=resets).state())

    counters_of(5_000, resets=resets, counters=again)

    assert again.unreported({}) == {SERIES: 4_900}


@pytest.mark.parametrize(
    "stored",
    [
        b"\xff\x00",
        b"[]",
        b"{}",
        b'{"boot_id": "boot-1", "series": [["a", [], "1", 0]]}',
        b'{"boot_id": "boot-1", "series": [["a", [], 1, Infinity]]}',
    ],
)
def test_what_the_disk_has_damaged_begins_anew(stored: bytes) -> None:
    counters = Counters("boot-1", stored)

    counters_of(100, 130, counters=counters)

    assert counters.unreported({}) == {SERIES: 30}


def test_the_series_seen_longest_ago_goes_when_there_are_too_many() -> None:
    counters = Counters("boot-1")
    for number in range(SERIES_LIMIT + 1):
        counters.add(BYTES.sample(number, {"interface": f"if{number}"}))

    assert not counters.seen((BYTES.name, (("interface", "if0"),)))
    assert counters.seen((BYTES.name, (("interface", "if1"),)))


def test_a_series_forgotten_with_something_unreported_is_counted_once() -> None:
    counters = counters_of(100, 130)
    for number in range(SERIES_LIMIT):
        counters.add(BYTES.sample(number, {"interface": f"if{number}"}))

    assert (counters.take_lost(), counters.take_lost()) == (1, 0)


@given(st.lists(st.one_of(st.integers(0, 2**64), st.just("restart"), st.just("reboot"), st.just("settle"))))
def test_no_history_makes_a_negative_or_counts_more_than_the_counters_said(events: list[int | str]) -> None:
    counters, boot = Counters("0"), 0
    carried: float = 0
    said = 0
    for event in events:
        if isinstance(event, int):
            counters.add(BYTES.sample(event, ETH0))
            said += event
        elif event == "settle":
            amounts = counters.unreported({})
            carried += sum(amounts.values())
            counters.settle(amounts)
        else:
            boot += event == "reboot"
            counters = Counters(str(boot), counters.state())
    total = carried + sum(counters.unreported({}).values())

    assert 0 <= total <= said
