"""What is refused: the poisoned records are found and set aside, at a bounded cost, and the others delivered."""

from __future__ import annotations

import math
from itertools import chain

import pytest

from devrev.usage_records import Bench, Picky, aside, freeze, ids_in
from thingmeter.destinations.devrev.batches import DOUBTS, queue_of
from thingmeter.destinations.devrev.sizing import Limits
from thingmeter.errors import Rejected, Unanswered
from thingmeter.outbox import Outbox
from thingmeter.testing import ManualClock, ScriptedTransport


def litres(*numbers: int) -> list[str]:
    return [f"litres-{number}" for number in numbers]


def requests(transport: ScriptedTransport) -> list[list[str]]:
    return [ids_in(payload) for payload in transport.payloads]


@pytest.mark.parametrize("poison", [1, 2, 33, 64, 99, 100])
def test_a_poisoned_record_alone_is_set_aside(outbox: Outbox, clock: ManualClock, poison: int) -> None:
    freeze(outbox, range(1, 101))
    picky = Picky(litres(poison))

    Bench(outbox, clock, picky).drain()

    assert aside(outbox) == litres(poison)
    assert picky.accepted == litres(*(number for number in range(1, 101) if number != poison))


@pytest.mark.parametrize("poison", [1, 2, 33, 64, 99, 100])
def test_finding_a_poisoned_record_costs_no_more_than_twice_the_logarithm(
    outbox: Outbox, clock: ManualClock, poison: int
) -> None:
    freeze(outbox, range(1, 101))
    picky = Picky(litres(poison))

    Bench(outbox, clock, picky).drain()

    assert len(picky.requests) - 1 <= 1 + 2 * math.ceil(math.log2(100))


def test_a_poisoned_record_is_set_aside_with_what_was_said_of_it(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 9))

    Bench(outbox, clock, Picky(litres(5))).drain()

    assert outbox.set_aside_list(queue_of("litres"))[0].reason == "400 Bad Request: a value is not permitted"


def test_the_next_request_after_a_rejected_one_is_half_of_the_same_records(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 9))
    picky = Picky(litres(2))
    bench = Bench(outbox, clock, picky)
    bench.step()
    freeze(outbox, [9, 10])

    bench.step()

    assert picky.requests == [litres(*range(1, 9)), litres(1, 2, 3, 4)]


def test_nothing_but_poison_costs_one_request_each(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 101))
    picky = Picky(litres(*range(1, 101)))

    Bench(outbox, clock, picky).drain()

    assert len(picky.requests) <= 100 + math.ceil(math.log2(100))


def test_requests_grow_again_after_a_poisoned_record(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 201))
    picky = Picky(litres(1))

    Bench(outbox, clock, picky, limits=Limits(points=32)).drain()

    assert len(picky.requests[-2]) == 32


def test_poison_in_one_uom_does_not_keep_the_others(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 9))
    freeze(outbox, range(1, 9), "hours")
    picky = Picky(["litres-3", "hours-8"])

    Bench(outbox, clock, picky, ("litres", "hours")).drain()

    assert (aside(outbox), aside(outbox, "hours")) == (["litres-3"], ["hours-8"])
    assert len(picky.accepted) == 14


def test_each_record_is_accepted_once_and_in_order_however_the_poison_lies(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 60))
    poison = {3, 4, 17, 40, 41, 59}
    picky = Picky(litres(*poison))

    Bench(outbox, clock, picky, limits=Limits(points=20)).drain()

    assert picky.accepted == litres(*sorted(set(range(1, 60)) - poison))


def test_records_that_are_refused_together_only_are_sent_in_smaller_requests(
    outbox: Outbox, clock: ManualClock
) -> None:
    freeze(outbox, range(1, 1001))
    picky = Picky(maximum_bytes=20_000)

    Bench(outbox, clock, picky).drain()

    assert (aside(outbox), picky.accepted) == ([], litres(*range(1, 1001)))
    assert len(picky.requests) < 60


def test_a_size_that_is_refused_is_not_tried_again_at_once(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 401))
    picky = Picky(maximum_bytes=25_000)
    bench = Bench(outbox, clock, picky)
    bench.drain()
    freeze(outbox, range(401, 801))

    bench.step()

    assert picky.accepted[-1] != "litres-400"


def test_a_uom_that_is_not_ready_for_a_while_is_not_sent_twice_after_a_rejection(
    outbox: Outbox, clock: ManualClock
) -> None:
    freeze(outbox, range(1, 5))
    freeze(outbox, range(1, 5), "hours")
    ready = {"hours", "litres"}
    transport = ScriptedTransport(Rejected("400"))
    bench = Bench(outbox, clock, transport, ("litres", "hours"), is_ready=ready.__contains__)
    bench.step()
    ready.remove("litres")
    bench.drain()
    ready.add("litres")

    bench.drain()

    assert len(list(chain.from_iterable(requests(transport)[1:]))) == 8


def test_a_rejected_record_leaves_no_doubt_behind(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])

    Bench(outbox, clock, ScriptedTransport(Unanswered("timeout"), Rejected("400"))).step(2)

    assert (aside(outbox), outbox.state(DOUBTS)) == (litres(1), b"[]")
