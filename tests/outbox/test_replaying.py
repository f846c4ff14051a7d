from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from outbox.opened import START, OutboxClock, balance, limits, open_outbox, put_messages
from thingmeter.outbox import BEFORE, Count, Entry, Loss, Outbox
from thingmeter.outbox.bounds import ROW_BYTES
from thingmeter.outbox.ledger import MAXIMUM_DAYS
from thingmeter.outbox.losses import MAXIMUM_LOSSES, SAME_STRETCH

DAY = date(2026, 5, 14)


@pytest.fixture
def clock() -> OutboxClock:
    return OutboxClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: OutboxClock) -> Iterator[Outbox]:
    opened = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=10 * (100 + ROW_BYTES)), clock)
    yield opened
    opened.close()


def set_aside_points(outbox: Outbox, count: int) -> None:
    outbox.freeze({"devrev.litres": [Entry(f"id-{number}", b"%d" % number, DAY, number) for number in range(count)]})
    for message in outbox.waiting("devrev.litres", count):
        outbox.set_aside(message, "refused")


def keys_waiting(outbox: Outbox) -> list[str]:
    return [message.key for message in outbox.waiting("devrev.litres", 999)]


def test_replayed_messages_wait_behind_the_others(outbox: Outbox) -> None:
    set_aside_points(outbox, 2)
    outbox.freeze({"devrev.litres": [Entry("id-new", b"new")]})

    outbox.replay("devrev.litres")

    assert keys_waiting(outbox) == ["id-new", "id-0", "id-1"]


def test_replay_gives_back_those_that_were_asked_for(outbox: Outbox) -> None:
    set_aside_points(outbox, 3)

    count = outbox.replay("devrev.litres", [2, 2, 77])

    left = [entry.message.key for entry in outbox.set_aside_list("devrev.litres")]
    assert (count, keys_waiting(outbox), left) == (1, ["id-1"], ["id-0", "id-2"])


def test_replay_moves_usage_in_the_ledger(outbox: Outbox) -> None:
    set_aside_points(outbox, 3)

    outbox.replay("devrev.litres", [3])

    row = outbox.ledger()[0]
    assert (row.waiting, row.set_aside) == (Count(1, Fraction(2)), Count(2, Fraction(1)))


def test_a_replayed_message_keeps_its_bytes(outbox: Outbox) -> None:
    set_aside_points(outbox, 1)

    outbox.replay("devrev.litres")

    message = outbox.waiting("devrev.litres", 1)[0]
    assert (message.key, message.payload, message.seq) == ("id-0", b"0", 2)


def test_a_listener_hears_of_a_replay(outbox: Outbox) -> None:
    heard: list[str] = []
    set_aside_points(outbox, 1)
    outbox.listen("devrev.litres", lambda: heard.append("litres"))

    outbox.replay("devrev.litres")
    outbox.replay("devrev.litres")

    assert heard == ["litres"]


def test_telemetry_is_replayed_as_well(outbox: Outbox) -> None:
    outbox.set_aside(put_messages(outbox, 1, "topic")[0], "refused")

    outbox.replay("topic")

    assert (len(outbox.waiting("topic", 9)), balance(outbox)) == (1, 0)


def test_nothing_of_a_destination_never_seen_is_replayed_or_dropped(outbox: Outbox) -> None:
    assert (outbox.replay("nowhere"), outbox.drop_set_aside("nowhere", [1])) == (0, 0)


def test_more_than_one_transaction_holds_are_replayed(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "large.db")
    points = [(Entry(str(number), b"", DAY, 1), "refused") for number in range(700)]
    outbox.freeze({}, aside={"devrev.litres": points})

    count = outbox.replay("devrev.litres")

    assert (count, keys_waiting(outbox), balance(outbox)) == (700, [str(number) for number in range(700)], 0)
    outbox.close()


def test_what_a_person_drops_is_counted_as_dropped_by_hand(outbox: Outbox) -> None:
    set_aside_points(outbox, 3)

    count = outbox.drop_set_aside("devrev.litres", [2, 3])

    counts = outbox.counts("devrev.litres")
    assert (count, counts["dropped_hand"], counts["dropped"], balance(outbox)) == (2, 2, 2, 0)


def test_what_a_person_drops_is_a_loss_with_its_time_and_amount(outbox: Outbox, clock: OutboxClock) -> None:
    set_aside_points(outbox, 3)
    clock.move(60)

    outbox.drop_set_aside("devrev.litres")

    assert outbox.losses() == [Loss("devrev.litres", "hand", clock.now(), clock.now(), Count(3, Fraction(3)))]


def test_what_a_bound_drops_is_one_loss_from_the_first_to_the_last(outbox: Outbox, clock: OutboxClock) -> None:
    for number in range(13):
        outbox.put("topic", str(number), bytes(100))
        clock.move(60)

    loss = outbox.losses()[0]
    assert (loss.destination, loss.why, loss.lost) == ("topic", "bytes", Count(3))
    assert (loss.last - loss.first).total_seconds() == 120


def test_losses_far_apart_are_told_apart(outbox: Outbox, clock: OutboxClock) -> None:
    for number in range(12):
        outbox.put("topic", str(number), bytes(100))
        clock.move(number // 10 * (SAME_STRETCH.total_seconds() + 60))

    assert [(loss.why, loss.lost.points) for loss in outbox.losses()] == [("bytes", 1), ("bytes", 1)]


def test_the_list_of_losses_is_bounded(tmp_path: Path, clock: OutboxClock) -> None:
    outbox = open_outbox(tmp_path / "large.db", clock=clock)
    for _ in range(MAXIMUM_LOSSES + 5):
        outbox.freeze({}, aside={"devrev.litres": [(Entry("id", b""), "refused")]})
        outbox.drop_set_aside("devrev.litres")
        clock.move(SAME_STRETCH.total_seconds() * 2)

    assert (len(outbox.losses()), outbox.counts()["dropped_hand"]) == (MAXIMUM_LOSSES, MAXIMUM_LOSSES + 5)
    outbox.close()


def test_a_replaced_message_is_no_loss(outbox: Outbox) -> None:
    for number in range(3):
        outbox.put("defender", str(number), b"report", keep="newest")

    assert outbox.losses() == []


def test_losses_outlive_a_restart(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "again.db", limits(maximum_bytes=3 * ROW_BYTES))
    put_messages(outbox, 5, "topic")
    before = outbox.losses()
    outbox.close()

    again = open_outbox(tmp_path / "again.db")

    assert (again.losses(), before[0].first) == (before, START)
    again.close()


def days_of_usage(outbox: Outbox, first: int, count: int) -> None:
    days = [date.fromordinal(DAY.toordinal() + first + number) for number in range(count)]
    outbox.freeze({"devrev.litres": [Entry(str(day), b"", day, 2) for day in days]})


def test_the_ledger_keeps_a_bounded_number_of_days(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "large.db")

    days_of_usage(outbox, 0, MAXIMUM_DAYS + 10)

    rows = outbox.ledger()
    assert (len(rows), rows[0].day, rows[0].measured) == (MAXIMUM_DAYS + 1, BEFORE, Count(10, Fraction(20)))
    outbox.close()


def test_usage_of_days_long_ago_is_still_accounted_for(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "large.db")
    days_of_usage(outbox, 0, MAXIMUM_DAYS + 10)

    outbox.acknowledge_all({"devrev.litres": 5})

    before = outbox.ledger()[0]
    assert (before.delivered, before.waiting) == (Count(5, Fraction(10)), Count(5, Fraction(10)))
    outbox.close()


def test_usage_of_a_day_before_all_others_joins_those_long_ago(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "large.db")
    days_of_usage(outbox, 0, MAXIMUM_DAYS + 10)

    days_of_usage(outbox, -50, 1)

    assert (outbox.ledger()[0].measured, len(outbox.ledger())) == (Count(11, Fraction(22)), MAXIMUM_DAYS + 1)
    outbox.close()
