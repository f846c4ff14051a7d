"""A fleet at boot: it stays below the limits of its account, and in the end all is registered.

Simulated are 1,500 devices with 15 % of the default spread, and outages of 15 % of the time: as many calls a second as
10,000 devices make, which tests/bench/fleet.py simulates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from registration.fleet import Figures
from registration.fleet_scenarios import (
    DEFINITIONS,
    LIMITS,
    Scale,
    Scenario,
    change,
    conflicting_type,
    day_offline,
    life,
    random_names,
    scarce_calls,
    throttling_storm,
)
from registration.fleet_time import VirtualTime

pytestmark = pytest.mark.long

SCALE = Scale(1500)
SMALL = Scale(500)  # where the number of devices decides little
ATTEMPT_S = 30.0  # more than an attempt takes
FIRST_BOOTS = [(life, "first boot"), (random_names, "first boot, random names")]
LOOKS = ["the next day", "boot after two days switched off"]
CHANGES = ["half changed within an hour, two days", "half changed at once, two days"]


@cache  # a scenario takes seconds
def figures_of(scenario: Scenario) -> Mapping[str, Figures]:
    return scenario(SMALL if scenario in {conflicting_type, change} else SCALE)


def above_limits(figures: Figures) -> dict[str, int]:
    """Return the peaks that reach the account's calls a second."""
    return {operation: peak for operation, peak in figures.peaks.items() if peak >= LIMITS[operation]}


@pytest.mark.parametrize(("scenario", "phase"), FIRST_BOOTS)
def test_the_first_boot_of_all_at_once_stays_below_the_limits(scenario: Scenario, phase: str) -> None:
    figures = figures_of(scenario)[phase]

    assert (above_limits(figures), figures.throttled) == ({}, 0)


@pytest.mark.parametrize(("scenario", "phase"), FIRST_BOOTS)
def test_a_first_boot_costs_a_call_for_each_metric_and_one(scenario: Scenario, phase: str) -> None:
    figures = figures_of(scenario)[phase]

    assert (figures.most_calls, figures.total) == (1 + len(DEFINITIONS), figures.devices * (1 + len(DEFINITIONS)))


@pytest.mark.parametrize(("scenario", "phase"), FIRST_BOOTS)
def test_after_the_first_boot_the_account_has_each_metric_once(scenario: Scenario, phase: str) -> None:
    figures = figures_of(scenario)[phase]

    assert figures.account == {definition.name for definition in DEFINITIONS}


@pytest.mark.parametrize(("scenario", "phase"), FIRST_BOOTS)
def test_all_are_registered_when_the_spread_is_over(scenario: Scenario, phase: str) -> None:
    figures = figures_of(scenario)[phase]

    assert figures.standings == {"registered": figures.devices * len(DEFINITIONS)}
    assert figures.settled_s < SCALE.spread_s + ATTEMPT_S


def test_the_next_boot_makes_no_call() -> None:
    figures = figures_of(life)["next boot, nothing changed"]

    assert (figures.total, figures.attempts) == (0, 0)


@pytest.mark.parametrize("phase", LOOKS)
def test_a_look_costs_a_call_for_the_list_and_one_for_a_metric(phase: str) -> None:
    figures = figures_of(life)[phase]

    assert (figures.calls["list"], figures.calls["describe"], figures.most_calls) == (SCALE.devices, SCALE.devices, 2)


@pytest.mark.parametrize(
    ("scenario", "phase"), [*((life, phase) for phase in LOOKS), *((change, phase) for phase in CHANGES)]
)
def test_looks_and_changes_stay_below_the_limits(scenario: Scenario, phase: str) -> None:
    figures = figures_of(scenario)[phase]

    assert (above_limits(figures), figures.throttled) == ({}, 0)


@pytest.mark.parametrize("phase", CHANGES)
def test_a_display_name_changes_once_though_half_of_the_fleet_has_the_old_one(phase: str) -> None:
    assert len(figures_of(change)[phase].shown) == 1


@pytest.mark.parametrize("phase", CHANGES)
def test_only_devices_that_look_at_the_same_moment_repeat_an_update(phase: str) -> None:
    assert 1 <= figures_of(change)[phase].calls["update"] < 10


def test_all_are_registered_after_a_change() -> None:
    assert [figures_of(change)[phase].standings.keys() for phase in CHANGES] == [{"registered"}] * 2


def test_a_metric_with_another_type_in_the_account_disables_that_one_on_every_device() -> None:
    figures = figures_of(conflicting_type)["first boot, one type conflicts"]

    assert figures.standings == {"conflict": figures.devices, "registered": figures.devices * (len(DEFINITIONS) - 1)}


def test_a_conflict_costs_no_more_calls_than_a_registration() -> None:
    figures = figures_of(conflicting_type)["first boot, one type conflicts"]

    assert (figures.most_calls, above_limits(figures)) == (1 + len(DEFINITIONS), {})


def test_a_storm_is_no_reason_to_ask_in_vain_more_than_a_few_times() -> None:
    assert figures_of(throttling_storm)["first boot, all throttled for 30 min"].most_attempts <= 16


def test_nothing_stampedes_at_the_end_of_a_storm() -> None:
    figures = figures_of(throttling_storm)["and after that"]

    assert (above_limits(figures), figures.throttled) == ({}, 0)


def test_all_are_registered_after_a_storm() -> None:
    figures = figures_of(throttling_storm)["and after that"]

    assert figures.standings == {"registered": figures.devices * len(DEFINITIONS)}
    assert figures.settled_s < SCALE.spread_s + ATTEMPT_S


def test_all_are_registered_though_the_account_allows_a_tenth_of_the_calls() -> None:
    figures = figures_of(scarce_calls)["first boot, a tenth of the limits"]

    assert figures.standings == {"registered": figures.devices * len(DEFINITIONS)}


def test_scarce_calls_are_used_in_less_than_thrice_the_least_time() -> None:
    figures = figures_of(scarce_calls)["first boot, a tenth of the limits"]

    least_s = figures.devices * len(DEFINITIONS) / (LIMITS["describe"] / 10)
    assert figures.settled_s < 3 * least_s


def test_a_day_without_network_costs_no_more_attempts_than_the_back_off_allows() -> None:
    figures = figures_of(day_offline)["first boot, a day without network"]

    assert figures.most_attempts < 60
    assert figures.attempts / figures.devices < 40


def test_nothing_stampedes_when_the_network_is_back_for_all_at_once() -> None:
    figures = figures_of(day_offline)["the network is back"]

    assert (above_limits(figures), figures.throttled) == ({}, 0)


def test_all_are_registered_when_the_network_is_back_for_twice_a_spread() -> None:
    figures = figures_of(day_offline)["the network is back"]

    assert figures.standings == {"registered": figures.devices * len(DEFINITIONS)}
    assert figures.settled_s < 2 * SCALE.spread_s + ATTEMPT_S


def test_the_same_fleet_does_the_same_again() -> None:
    scale = Scale(50)

    assert throttling_storm(scale) == throttling_storm(scale)


def test_those_who_wait_go_on_in_the_order_of_time() -> None:
    seen: list[tuple[str, float]] = []

    def note(name: str, *waits_s: float) -> None:
        for seconds in waits_s:
            time.wait(seconds)
            seen.append((name, time.clock.monotonic()))

    with VirtualTime() as time:
        time.call_in(0, lambda: note("a", 1, 4))
        time.call_in(0, lambda: note("b", 2, 2))
        time.wait(10)

    assert seen == [("a", 1), ("b", 2), ("b", 4), ("a", 5)]


def test_an_error_in_virtual_time_reaches_who_waits_for_it() -> None:
    with VirtualTime() as time:
        time.call_in(1, lambda: time.wait(-1 / 0))

        with pytest.raises(ZeroDivisionError):
            time.wait(10)


def test_what_is_under_way_ends_with_virtual_time() -> None:
    ended: list[bool] = []

    def wait_for_ever() -> None:
        try:
            time.wait(1e9)
        finally:
            ended.append(True)

    with VirtualTime() as time:
        time.call_in(0, wait_for_ever)
        time.wait(1)

    assert ended == [True]
