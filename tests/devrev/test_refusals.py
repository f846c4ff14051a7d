"""A service that refuses everything is no reason to set a whole backlog aside."""

from __future__ import annotations

import pytest

from devrev.usage_records import Bench, Picky, aside, freeze, waiting
from thingmeter.destinations.devrev.refusals import IN_A_ROW, WAIT_CAP_S, Refusals
from thingmeter.outbox import Outbox
from thingmeter.testing import ManualClock

DAY_S = 86_400


def all_refused(outbox: Outbox, clock: ManualClock) -> Bench:
    """Return a bench on 1,000 records whose service has refused everything for a day."""
    freeze(outbox, range(1000))
    bench = Bench(outbox, clock, Picky(maximum_bytes=0))
    end = clock.monotonic() + DAY_S
    while clock.monotonic() < end:
        bench.step()
    return bench


def test_a_day_of_refusals_costs_a_person_few_records(outbox: Outbox, clock: ManualClock) -> None:
    all_refused(outbox, clock)

    assert IN_A_ROW < len(aside(outbox)) < 250


def test_once_the_service_is_well_again_the_rest_goes_out(outbox: Outbox, clock: ManualClock) -> None:
    bench = all_refused(outbox, clock)
    count = len(aside(outbox))
    bench.transport.maximum_bytes = 1 << 30  # type: ignore[attr-defined]  # it is a Picky

    bench.drain()

    assert (waiting(outbox), len(aside(outbox))) == ([], count)


def test_what_is_behind_a_long_row_of_poison_is_reached(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(60))
    picky = Picky(poison=[f"litres-{number}" for number in range(50)])

    Bench(outbox, clock, picky).drain()

    assert picky.accepted == [f"litres-{number}" for number in range(50, 60)]


def test_poison_among_good_records_waits_for_nothing(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(100))
    began = clock.monotonic()

    Bench(outbox, clock, Picky(poison=[f"litres-{number}" for number in range(0, 100, 2)])).drain()

    assert clock.monotonic() == began


def test_it_is_told_once(outbox: Outbox, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    all_refused(outbox, clock)

    told = [record for record in caplog.records if record.levelname == "ERROR"]

    assert [record.message.partition(":")[2].partition(",")[0] for record in told] == [
        " 20 records in a row were refused and none was accepted"
    ]


def test_no_wait_is_longer_than_a_quarter_of_an_hour(clock: ManualClock) -> None:
    refusals = Refusals(clock)

    for _ in range(10_000):
        refusals.refused("no")

    assert 0 < refusals.hold_s() <= WAIT_CAP_S
