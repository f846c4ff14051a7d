"""Requests of usage records: which records go into one, and what its outcome means for each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain

import pytest

from devrev.usage_records import Bench, Picky, aside, freeze, ids_in, record, waiting
from thingmeter.destinations.devrev.batches import DOUBTS, queue_of
from thingmeter.destinations.devrev.sizing import Limits, fair_shares
from thingmeter.errors import DeliveryError, OutboxError, Throttled, Unanswered, Unconfirmed, Unreachable
from thingmeter.outbox import Message, Outbox
from thingmeter.outbox.queue import NO_STATE
from thingmeter.testing import ManualClock, ScriptedTransport


def litres(*numbers: int) -> list[str]:
    return [f"litres-{number}" for number in numbers]


def requests(transport: ScriptedTransport) -> list[list[str]]:
    return [ids_in(payload) for payload in transport.payloads]


def test_one_request_carries_what_waits_for_every_uom(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1, 2])
    freeze(outbox, [1], "hours")
    transport = ScriptedTransport()

    Bench(outbox, clock, transport, ("litres", "hours")).drain()

    assert requests(transport) == [["litres-1", "litres-2", "hours-1"]]
    assert waiting(outbox) + waiting(outbox, "hours") == []


def test_a_request_is_known_by_its_first_record_and_how_many_follow(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1, 2, 3])
    transport = ScriptedTransport()

    Bench(outbox, clock, transport).drain()

    assert transport.keys == ["litres-1 and 2 more"]


def test_records_of_a_uom_that_is_not_ready_wait_while_others_go_on(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    freeze(outbox, [1], "hours")

    Bench(outbox, clock, ScriptedTransport(), ("litres", "hours"), is_ready=lambda name: name == "hours").drain()

    assert (waiting(outbox), waiting(outbox, "hours")) == (["litres-1"], [])


def test_nothing_is_sent_where_nothing_is_ready(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench = Bench(outbox, clock, ScriptedTransport(), is_ready=lambda _: False)

    assert bench.delivery.step() == math.inf


def test_a_uom_that_is_no_longer_ready_leaves_the_next_attempt(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    freeze(outbox, [1], "hours")
    ready = {"litres", "hours"}
    transport = ScriptedTransport(Unanswered("timeout"))
    bench = Bench(outbox, clock, transport, ("litres", "hours"), is_ready=ready.__contains__)
    bench.step()
    ready.remove("litres")

    bench.drain()

    assert requests(transport)[1:] == [["hours-1"]]


def test_a_request_holds_no_more_records_than_allowed(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 8))
    transport = ScriptedTransport()

    Bench(outbox, clock, transport, limits=Limits(points=3)).drain()

    assert requests(transport) == [litres(1, 2, 3), litres(4, 5, 6), litres(7)]


def test_a_request_is_no_larger_than_allowed(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 41))
    transport = ScriptedTransport()

    Bench(outbox, clock, transport, limits=Limits(bytes=900)).drain()

    assert all(len(payload) <= 900 for payload in transport.payloads)
    assert list(chain.from_iterable(requests(transport))) == litres(*range(1, 41))


def test_a_record_that_no_request_can_carry_is_set_aside(outbox: Outbox, clock: ManualClock) -> None:
    outbox.put(queue_of("litres"), "litres-1", record(1, pad=900), priority="usage")
    freeze(outbox, [2])

    Bench(outbox, clock, ScriptedTransport(), limits=Limits(bytes=900)).drain()

    assert (aside(outbox), waiting(outbox)) == (litres(1), [])


def test_what_is_no_usage_record_is_set_aside(outbox: Outbox, clock: ManualClock) -> None:
    outbox.put(queue_of("litres"), "strange", b"9 of another version", priority="usage")
    freeze(outbox, [2])
    transport = ScriptedTransport()

    Bench(outbox, clock, transport).drain()

    assert (aside(outbox), requests(transport)) == (["strange"], [litres(2)])


def test_a_long_queue_leaves_room_for_a_short_one(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 101))
    freeze(outbox, [1, 2], "hours")
    transport = ScriptedTransport()

    Bench(outbox, clock, transport, ("litres", "hours"), limits=Limits(points=10)).drain()

    assert requests(transport)[0] == [*litres(*range(1, 9)), "hours-1", "hours-2"]


def test_every_queue_has_its_turn_where_a_request_has_room_for_one_record(outbox: Outbox, clock: ManualClock) -> None:
    names = ("a", "b", "c")
    for name in names:
        freeze(outbox, range(1, 21), name)
    transport = ScriptedTransport()
    bench = Bench(outbox, clock, transport, names, limits=Limits(points=1))

    bench.step(3)

    assert requests(transport) == [["a-1"], ["b-1"], ["c-1"]]


@pytest.mark.parametrize(
    ("queued", "limit", "shares"),
    [
        ({}, 5, {}),
        ({"a": 0}, 5, {}),
        ({"a": 9, "b": 1, "c": 9}, 9, {"a": 4, "b": 1, "c": 4}),
        ({"a": 9, "b": 9}, 1, {"a": 1}),
        ({"a": 1, "b": 1}, 9, {"a": 1, "b": 1}),
    ],
)
def test_shares_are_fair_and_leave_no_place_empty(queued: dict[str, int], limit: int, shares: dict[str, int]) -> None:
    assert fair_shares(queued, limit) == shares


def test_an_unanswered_request_is_sent_again_byte_for_byte(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1, 2])
    freeze(outbox, [1], "hours")
    transport = ScriptedTransport(Unanswered("timeout"))
    bench = Bench(outbox, clock, transport, ("litres", "hours"))
    bench.step()
    freeze(outbox, [3])

    bench.step()

    assert transport.sent[0] == transport.sent[1]


def test_an_unanswered_request_is_sent_again_byte_for_byte_by_the_next_process(
    outbox: Outbox, clock: ManualClock
) -> None:
    freeze(outbox, [1, 2])
    freeze(outbox, [1], "hours")
    transport = ScriptedTransport(Unanswered("timeout"))
    bench = Bench(outbox, clock, transport, ("litres", "hours"))
    bench.step()
    freeze(outbox, [3], "hours")

    bench.start()
    bench.step()

    assert transport.sent[0] == transport.sent[1]


def test_what_was_never_sent_follows_what_may_have_arrived(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1, 2])
    transport = ScriptedTransport(Unanswered("timeout"))
    bench = Bench(outbox, clock, transport)
    bench.step()
    freeze(outbox, [3])

    bench.drain()

    assert requests(transport)[1:] == [litres(1, 2), litres(3)]


def test_a_request_that_stays_unanswered_is_halved(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 9))
    transport = ScriptedTransport(*[Unanswered("timeout")] * 4)

    Bench(outbox, clock, transport).step(5)

    assert [len(ids) for ids in requests(transport)] == [8, 8, 4, 4, 2]


class Fragile(Picky):
    """A server that one record breaks."""

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # the protocol's signature
        ids = ids_in(payload)
        self.requests.append(ids)
        if self.poison & set(ids):
            raise Unanswered("500 Internal Server Error")
        self.accepted.extend(ids)


def test_a_record_that_breaks_the_server_does_not_keep_other_uoms(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 9), kind="latest")
    freeze(outbox, range(1, 9), "hours", kind="latest")
    fragile = Fragile(litres(3))

    Bench(outbox, clock, fragile, ("litres", "hours")).step(60)

    assert (waiting(outbox), waiting(outbox, "hours")) == (litres(*range(3, 9)), [])


def test_a_record_that_broke_the_server_goes_out_once_it_is_mended(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 9), kind="latest")
    fragile = Fragile(litres(3))
    bench = Bench(outbox, clock, fragile)
    bench.step(60)
    fragile.poison.clear()

    bench.drain()

    assert (waiting(outbox), aside(outbox)) == ([], [])


def test_an_outage_makes_no_more_than_one_request_and_one_record_of_each_uom_doubtful(
    outbox: Outbox, clock: ManualClock
) -> None:
    names = ("a", "b", "c")
    for name in names:
        freeze(outbox, range(1, 51), name)
    transport = ScriptedTransport(*[Unanswered("503")] * 200)

    Bench(outbox, clock, transport, names, limits=Limits(points=10)).step(200)

    assert len(set(chain.from_iterable(requests(transport)))) <= 10 + len(names)


@pytest.mark.parametrize("error", [Unreachable("no connection"), Throttled("slower", after_s=1)])
def test_what_was_not_taken_for_certain_goes_out_with_what_came_since(
    outbox: Outbox, clock: ManualClock, error: DeliveryError
) -> None:
    freeze(outbox, [1])
    transport = ScriptedTransport(error)
    bench = Bench(outbox, clock, transport)
    bench.step()
    freeze(outbox, [2])

    bench.drain()

    assert requests(transport)[1:] == [litres(1, 2)]


class FailsOnce(Outbox):
    """An open outbox that cannot commit the first acceptance."""

    def __init__(self, outbox: Outbox) -> None:
        self.__dict__.update(outbox.__dict__)
        self.errors = [OutboxError("disk I/O error")]

    def acknowledge_all(self, through: Mapping[str, int], *, state: Mapping[str, bytes] = NO_STATE) -> None:
        if self.errors:
            raise self.errors.pop()
        super().acknowledge_all(through, state=state)


def test_an_acceptance_that_could_not_be_committed_is_committed_later_and_nothing_is_sent_again(
    outbox: Outbox, clock: ManualClock
) -> None:
    freeze(outbox, [1, 2])
    transport = ScriptedTransport()
    bench = Bench(FailsOnce(outbox), clock, transport)
    with pytest.raises(OutboxError):
        bench.step()

    bench.drain()

    assert (waiting(outbox), requests(transport)) == ([], [litres(1, 2)])


def test_an_acceptance_is_committed_once(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    source = Bench(outbox, clock, ScriptedTransport()).source
    message = taken(source.take())
    source.accepted(message)
    freeze(outbox, [2])

    source.accepted(message)

    assert waiting(outbox) == litres(2)


def test_unconfirmed_records_are_counted_and_never_sent_again(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1, 2])
    transport = ScriptedTransport(Unconfirmed("nobody knows"))

    Bench(outbox, clock, transport).drain()

    assert outbox.counts(queue_of("litres"))["unconfirmed"] == 2
    assert len(transport.sent) == 1


def test_nothing_is_left_in_doubt_when_all_is_delivered(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(1, 20))

    Bench(outbox, clock, Picky(litres(7))).drain()

    assert outbox.state(DOUBTS) == b"[]"


def test_the_delivery_wakes_up_for_a_record_of_any_uom(outbox: Outbox, clock: ManualClock) -> None:
    bench = Bench(outbox, clock, ScriptedTransport(), ("litres", "hours"))

    assert set(bench.source.queues) == {"devrev.litres", "devrev.hours"}


def taken(message: Message | None) -> Message:
    assert message is not None
    return message
