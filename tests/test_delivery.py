"""Delivery: each outcome has its own action, and nothing blocks what stands behind it."""

import math
import threading
from collections.abc import Callable

import pytest

from thingmeter.clock import SystemClock
from thingmeter.delivery import CREDENTIALS_LOOK_S, RETRY_CAP_S, Delivery, Route
from thingmeter.errors import DeliveryError, Denied, OutboxError, Rejected, Throttled, Unconfirmed, Unreachable
from thingmeter.health import Health
from thingmeter.outbox import Message, Outbox
from thingmeter.testing import ManualClock, ScriptedTransport


class PlainSource:
    """Messages as they stand in the outbox; nothing is carried along."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.settled = 0

    def take(self) -> Message | None:
        return self.outbox.next("defender")

    def accepted(self, message: Message) -> None:
        self.outbox.acknowledge(message, state=self.settle())

    def rejected(self, message: Message, reason: str) -> None:
        self.outbox.set_aside(message, reason, state=self.settle())

    def unconfirmed(self, message: Message, reason: str) -> None:
        self.outbox.retire(message, reason, state=self.settle())

    def settle(self) -> dict[str, bytes]:
        self.settled += 1
        return {"settled": str(self.settled).encode()}

    def release(self) -> None:
        pass


class FailingSource(PlainSource):
    """A source whose first outcome raises before it is committed; ``released`` is called after each message."""

    def __init__(self, outbox: Outbox, error: Exception, released: Callable[[], None] = lambda: None) -> None:
        super().__init__(outbox)
        self.errors = [error]
        self.released = released

    def settle(self) -> dict[str, bytes]:
        if self.errors:
            raise self.errors.pop()
        return super().settle()

    def release(self) -> None:
        self.released()


def put(outbox: Outbox, count: int) -> None:
    for number in range(1, count + 1):
        outbox.put("defender", str(number), b"payload %d" % number)


def delivery_of(outbox: Outbox, transport: ScriptedTransport, clock: ManualClock, hold_s: float = 0) -> Delivery:
    route = Route("defender", PlainSource(outbox), transport, lambda: hold_s)
    return Delivery(route, outbox, clock, Health())


def waiting(outbox: Outbox) -> list[str]:
    return [message.key for message in outbox.waiting("defender", 10)]


def test_accepted_messages_are_deleted_in_order(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 2)
    transport = ScriptedTransport(None, None)
    delivery = delivery_of(outbox, transport, clock)

    steps = [delivery.step() for _ in range(3)]

    assert steps == [0, 0, math.inf]
    assert transport.keys == ["1", "2"]
    assert waiting(outbox) == []


def test_unreachable_keeps_the_message_and_all_behind_it(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 2)
    delivery = delivery_of(outbox, ScriptedTransport(Unreachable("timeout")), clock)

    delivery.step()

    assert waiting(outbox) == ["1", "2"]
    assert 0 <= delivery.step() <= 1


def test_the_back_off_grows_to_its_cap_and_no_further(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    delivery = delivery_of(outbox, ScriptedTransport(*[Unreachable("timeout")] * 40), clock)

    for _ in range(40):
        delivery.step()
        wait_s = delivery.step()
        clock.advance(wait_s)

    assert wait_s <= RETRY_CAP_S


def test_a_wake_up_ends_the_back_off(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    transport = ScriptedTransport(*[Unreachable("timeout")] * 20, None)
    delivery = delivery_of(outbox, transport, clock)
    for _ in range(20):
        delivery.step()
        delivery.wake()

    delivery.step()

    assert waiting(outbox) == []


def test_rejected_is_set_aside_with_its_reason_and_the_next_goes_on(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 2)
    delivery = delivery_of(outbox, ScriptedTransport(Rejected("InvalidPayload: malformed"), None), clock)

    delivery.step()
    delivery.step()

    assert waiting(outbox) == []
    assert [(one.message.key, one.reason) for one in outbox.set_aside_list("defender")] == [
        ("1", "InvalidPayload: malformed")
    ]


def test_throttled_is_kept_for_the_time_asked_for(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    delivery = delivery_of(outbox, ScriptedTransport(Throttled("slower", after_s=300)), clock)

    delivery.step()

    assert waiting(outbox) == ["1"]
    assert delivery.step() == pytest.approx(300)


def test_unconfirmed_is_counted_and_never_sent_again(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    transport = ScriptedTransport(Unconfirmed("no answer"))
    delivery = delivery_of(outbox, transport, clock)

    delivery.step()

    assert waiting(outbox) == []
    assert outbox.counts("defender")["unconfirmed"] == 1
    assert delivery.step() == math.inf


def test_nothing_is_sent_while_it_is_held(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    transport = ScriptedTransport(None)
    delivery = delivery_of(outbox, transport, clock, hold_s=12)

    assert delivery.step() == 12
    assert transport.keys == []


@pytest.mark.parametrize("outcome", [None, Rejected("no"), Unconfirmed("no answer")])
def test_what_a_final_outcome_settles_is_committed_with_it(
    outbox: Outbox, clock: ManualClock, outcome: Exception | None
) -> None:
    put(outbox, 1)

    delivery_of(outbox, ScriptedTransport(outcome), clock).step()

    assert outbox.state("settled") == b"1"


def test_a_wake_up_does_not_end_the_time_that_was_asked_for(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    delivery = delivery_of(outbox, ScriptedTransport(Throttled("slower", after_s=300)), clock)
    delivery.step()

    delivery.wake()

    assert delivery.step() == pytest.approx(300)


@pytest.mark.parametrize("outcome", [None, Rejected("no"), Unconfirmed("no answer")])
def test_an_outcome_that_could_not_be_committed_is_committed_later_and_nothing_is_sent_again(
    outbox: Outbox, clock: ManualClock, outcome: Exception | None
) -> None:
    put(outbox, 1)
    transport = ScriptedTransport(outcome)
    delivery = Delivery(
        Route("defender", FailingSource(outbox, OutboxError("disk I/O error")), transport, lambda: 0),
        outbox,
        clock,
        Health(),
    )
    with pytest.raises(OutboxError):
        delivery.step()

    delivery.step()

    assert (transport.keys, waiting(outbox)) == (["1"], [])


def test_an_error_that_nobody_foresaw_does_not_end_the_delivery(outbox: Outbox) -> None:
    put(outbox, 2)
    delivered = threading.Event()
    source = FailingSource(outbox, KeyError("report"), lambda: delivered.set() if not waiting(outbox) else None)
    delivery = Delivery(Route("defender", source, ScriptedTransport(), lambda: 0), outbox, SystemClock(), Health())

    delivery.start()

    assert delivered.wait(20)
    assert delivery.stop(2)


def test_a_delivery_that_never_started_is_stopped_at_once(outbox: Outbox, clock: ManualClock) -> None:
    transport = ScriptedTransport()

    assert delivery_of(outbox, transport, clock).stop(2)
    assert transport.is_closed


@pytest.mark.parametrize("outcome", [Unreachable("timeout"), Throttled("slower", after_s=1)])
def test_what_is_kept_settles_nothing(outbox: Outbox, clock: ManualClock, outcome: Exception) -> None:
    put(outbox, 1)

    delivery_of(outbox, ScriptedTransport(outcome), clock).step()

    assert outbox.state("settled") is None


def test_a_message_of_any_queue_wakes_the_delivery(outbox: Outbox) -> None:
    delivered = threading.Event()

    class Queues(PlainSource):
        def take(self) -> Message | None:
            return outbox.next("devrev.litres")

        def accepted(self, message: Message) -> None:
            super().accepted(message)
            delivered.set()

    route = Route("devrev", Queues(outbox), ScriptedTransport(), lambda: 0, queues=("devrev.hours", "devrev.litres"))
    delivery = Delivery(route, outbox, SystemClock(), Health())
    delivery.start()

    outbox.put("devrev.litres", "1", b"payload")

    assert delivered.wait(20)
    assert delivery.stop(2)


@pytest.mark.parametrize("error", [Unreachable("timeout"), Throttled("slower", after_s=1), Denied("401")])
def test_why_a_message_is_kept_is_told(outbox: Outbox, clock: ManualClock, error: DeliveryError) -> None:
    put(outbox, 1)
    told: list[DeliveryError] = []
    route = Route("defender", PlainSource(outbox), ScriptedTransport(error), lambda: 0, kept=told.append)

    Delivery(route, outbox, clock, Health()).step()

    assert told == [error]


def denied_again_and_again(outbox: Outbox, clock: ManualClock, version: Callable[[], str]) -> Delivery:
    """Return a delivery whose back-off after many refusals is long."""
    transport = ScriptedTransport(*[Denied("401")] * 20)
    route = Route("defender", PlainSource(outbox), transport, lambda: 0, version=version)
    delivery = Delivery(route, outbox, clock, Health())
    for _ in range(20):
        clock.advance(RETRY_CAP_S)
        delivery.step()
    return delivery


def test_new_credentials_end_the_back_off(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    versions = ["old"]
    delivery = denied_again_and_again(outbox, clock, lambda: versions[0])
    versions[0] = "new"

    delivery.step()

    assert waiting(outbox) == []


def test_credentials_are_looked_at_each_minute_while_they_are_refused(outbox: Outbox, clock: ManualClock) -> None:
    put(outbox, 1)
    delivery = denied_again_and_again(outbox, clock, lambda: "old")

    assert delivery.step() <= CREDENTIALS_LOOK_S


def test_credentials_that_were_replaced_during_the_attempt_are_tried_at_once(
    outbox: Outbox, clock: ManualClock
) -> None:
    put(outbox, 1)
    versions = iter(["old", "new", "new"])
    route = Route(
        "defender", PlainSource(outbox), ScriptedTransport(Denied("401")), lambda: 0, version=lambda: next(versions)
    )
    delivery = Delivery(route, outbox, clock, Health())
    delivery.step()

    delivery.step()

    assert waiting(outbox) == []
