from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from outbox.opened import START, balance, crash_copy, ledger_balance, limits, open_outbox
from thingmeter.errors import OutboxFull
from thingmeter.outbox import Count, Entry, JournalRow, LedgerRow, Message, Outbox
from thingmeter.outbox.bounds import ROW_BYTES

DAY = date(2026, 5, 14)
NEXT_DAY = date(2026, 5, 15)
NOTHING_KEPT: list[JournalRow] = []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = open_outbox(path)
    yield opened
    opened.close()


def entry(number: int, amount: float = 1, day: date | None = DAY) -> Entry:
    return Entry(f"id-{number}", b"point %d" % number, day, amount)


def messages(outbox: Outbox, destination: str = "devrev.litres") -> list[Message]:
    return outbox.waiting(destination, 99)


def test_frozen_entries_wait_in_their_order(outbox: Outbox) -> None:
    outbox.freeze({"devrev.litres": [entry(1), entry(2)]})

    assert messages(outbox) == [
        Message("devrev.litres", "id-1", b"point 1", 1, START),
        Message("devrev.litres", "id-2", b"point 2", 2, START),
    ]


def test_freezing_deletes_the_samples_of_the_windows_that_ended(outbox: Outbox) -> None:
    outbox.append_journal([JournalRow(0, b"a"), JournalRow(900, b"b"), JournalRow(0, b"c")])

    outbox.freeze({"devrev.litres": [entry(1)]}, windows=[0])

    assert outbox.journal() == [JournalRow(900, b"b")]


def test_freezing_writes_the_state_of_the_counters(outbox: Outbox) -> None:
    outbox.freeze({}, state={"counters": b"baseline"})

    assert outbox.state("counters") == b"baseline"


def test_entries_may_be_set_aside_at_once(outbox: Outbox) -> None:
    outbox.freeze({}, aside={"devrev.litres": [(entry(1, 9000), "above maximum_increase")]})

    found = outbox.set_aside_list("devrev.litres")[0]
    assert (found.message.key, found.reason, found.at) == ("id-1", "above maximum_increase", START)


def test_what_is_set_aside_at_once_is_measured_usage(outbox: Outbox) -> None:
    outbox.freeze({}, aside={"devrev.litres": [(entry(1, 9000), "above maximum_increase")]})

    count = Count(1, Fraction(9000))
    assert outbox.ledger() == [LedgerRow("devrev.litres", DAY, measured=count, set_aside=count)]


def test_a_listener_hears_of_what_was_frozen_for_it(outbox: Outbox) -> None:
    heard: list[str] = []
    outbox.listen("devrev.litres", lambda: heard.append("litres"))
    outbox.listen("devrev.hours", lambda: heard.append("hours"))

    outbox.freeze({"devrev.litres": [entry(1), entry(2)], "devrev.hours": []})

    assert heard == ["litres"]


def test_a_large_payload_is_compressed_and_comes_back_whole(outbox: Outbox) -> None:
    large = Entry("id", b"0123456789" * 1000, DAY, 1)

    outbox.freeze({"devrev.litres": [large]})

    assert (messages(outbox)[0].payload, outbox.depth().bytes < 1000) == (large.payload, True)


def test_a_large_payload_comes_back_whole_from_set_aside_and_replay(outbox: Outbox) -> None:
    large = Entry("id", b"0123456789" * 1000, DAY, 1)
    outbox.freeze({"devrev.litres": [large]})
    outbox.set_aside(messages(outbox)[0], "refused")

    outbox.replay("devrev.litres")

    assert (messages(outbox)[0].payload, outbox.depth().bytes < 1000) == (large.payload, True)


def test_what_does_not_get_shorter_is_stored_as_it_is(outbox: Outbox) -> None:
    noise = bytes((37 * number * number + number // 7) % 251 for number in range(1100))
    outbox.append_journal([JournalRow(0, noise)])

    assert outbox.depth().journal_bytes <= len(noise)


@pytest.mark.parametrize("amount", [math.inf, -math.inf, math.nan])
def test_an_amount_that_is_no_finite_number_is_refused_and_nothing_kept(outbox: Outbox, amount: float) -> None:
    outbox.append_journal([JournalRow(0, b"a")])

    with pytest.raises(ValueError, match="id-2"):
        outbox.freeze({"devrev.litres": [entry(1), entry(2, amount)]}, windows=[0])

    assert (messages(outbox), len(outbox.journal()), outbox.ledger(), balance(outbox)) == ([], 1, [], 0)


def test_a_destination_of_telemetry_is_refused_and_nothing_kept(outbox: Outbox) -> None:
    outbox.put("topic", "k", b"p")

    with pytest.raises(ValueError, match="holds telemetry"):
        outbox.freeze({"devrev.litres": [entry(1)], "topic": [entry(2)]})

    assert (messages(outbox), outbox.ledger()) == ([], [])


def test_the_sums_of_the_ledger_are_exact(outbox: Outbox) -> None:
    outbox.freeze({"devrev.litres": [entry(number, 0.1) for number in range(10)]})
    outbox.freeze({"devrev.litres": [entry(11, 10**25), entry(12, 1e-300)]})

    amount = 10 * Fraction(0.1) + 10**25 + Fraction(1e-300)
    assert outbox.ledger()[0].measured == Count(12, amount)


def test_entries_without_a_day_are_not_in_the_ledger(outbox: Outbox) -> None:
    outbox.freeze({"devrev.litres": [entry(1, day=None)]})

    outbox.acknowledge(messages(outbox)[0])

    assert (outbox.ledger(), outbox.counts("devrev.litres")["delivered"]) == ([], 1)


def test_a_negative_zero_comes_back_as_sound_as_any_other_amount(path: Path) -> None:
    outbox = open_outbox(path)
    outbox.freeze({"devrev.litres": [entry(1, -0.0), entry(2, True)]})
    outbox.close()

    again = open_outbox(path)

    assert (len(messages(again)), again.set_aside_list("devrev.litres")) == (2, [])
    again.close()


def test_one_request_of_several_queues_is_acknowledged_in_one_transaction(outbox: Outbox) -> None:
    outbox.freeze({"devrev.litres": [entry(1), entry(2), entry(3)], "devrev.hours": [entry(4), entry(5)]})

    outbox.acknowledge_all({"devrev.litres": 2, "devrev.hours": 1, "devrev.never_seen": 7}, state={"a": b"1"})

    keys = [message.key for name in ("devrev.litres", "devrev.hours") for message in messages(outbox, name)]
    assert (keys, outbox.counts()["delivered"], outbox.state("a")) == (["id-3", "id-5"], 3, b"1")


def test_each_place_of_the_ledger_is_told_by_day(outbox: Outbox) -> None:
    points = [entry(number, number, DAY if number < 5 else NEXT_DAY) for number in range(1, 8)]
    outbox.freeze({"devrev.litres": points})
    first, second, third, *_ = messages(outbox)
    outbox.acknowledge(first)
    outbox.set_aside(second, "refused")
    outbox.retire(third, "no answer")
    outbox.set_aside(messages(outbox)[0], "refused")
    outbox.drop_set_aside("devrev.litres", [4])

    assert outbox.ledger() == [
        LedgerRow(
            "devrev.litres",
            DAY,
            measured=Count(4, Fraction(10)),
            delivered=Count(1, Fraction(1)),
            set_aside=Count(1, Fraction(2)),
            unconfirmed=Count(1, Fraction(3)),
            dropped=Count(1, Fraction(4)),
        ),
        LedgerRow("devrev.litres", NEXT_DAY, measured=Count(3, Fraction(18)), waiting=Count(3, Fraction(18))),
    ]


def test_all_of_it_is_there_after_a_crash(path: Path, outbox: Outbox, tmp_path: Path) -> None:
    outbox.append_journal([JournalRow(0, b"a" * 5000), JournalRow(-1, b"b")])
    outbox.freeze({"devrev.litres": [entry(1, 0.5), entry(2)]}, windows=[900])
    outbox.acknowledge_all({"devrev.litres": 1})
    before = outbox.journal(), outbox.ledger(), messages(outbox), outbox.depth()

    again = open_outbox(crash_copy(path, tmp_path / "after"))

    assert (again.journal(), again.ledger(), messages(again), again.depth()) == before
    again.close()


def test_no_freeze_is_half_done_at_any_length_of_the_log(path: Path, outbox: Outbox, tmp_path: Path) -> None:
    outbox.append_journal([JournalRow(0, b"sample")], state={"counters": b"open"})
    outbox.freeze({"devrev.litres": [entry(1)]}, windows=[0], state={"counters": b"frozen"})
    log_bytes = path.with_name("outbox.db-wal").stat().st_size
    seen = set()

    for number, length in enumerate(range(log_bytes, -1, -1024)):
        copy = crash_copy(path, tmp_path / str(number))
        with copy.with_name("outbox.db-wal").open("r+b") as log:
            log.truncate(length)
        again = open_outbox(copy)
        seen.add((len(again.journal()), len(messages(again)), len(again.ledger()), again.state("counters")))
        again.close()

    assert seen == {(0, 0, 0, None), (1, 0, 0, b"open"), (0, 1, 1, b"frozen")}


def test_telemetry_makes_room_for_what_is_frozen(path: Path) -> None:
    outbox = open_outbox(path, limits(maximum_bytes=10 * (100 + ROW_BYTES)))
    for number in range(10):
        outbox.put("topic", str(number), bytes(100))

    outbox.freeze({"devrev.litres": [Entry(str(number), bytes(100), DAY, 1) for number in range(9)]})

    assert (len(messages(outbox)), len(outbox.waiting("topic", 99)), balance(outbox)) == (9, 1, 0)
    outbox.close()


def test_telemetry_makes_room_for_the_journal(path: Path) -> None:
    outbox = open_outbox(path, limits(maximum_bytes=10 * (100 + ROW_BYTES)))
    for number in range(10):
        outbox.put("topic", str(number), bytes(100))

    outbox.append_journal([JournalRow(0, bytes(100))])

    assert (len(outbox.journal()), outbox.counts()["dropped_bytes"]) == (1, 1)
    outbox.close()


def test_a_freeze_without_room_keeps_the_journal_and_the_telemetry(path: Path) -> None:
    outbox = open_outbox(path, limits(maximum_bytes=2000))
    outbox.append_journal([JournalRow(0, b"sample")])
    outbox.put("topic", "t", bytes(100))
    outbox.freeze({"devrev.litres": [Entry("a", bytes(1000))]})

    with pytest.raises(OutboxFull, match="maximum_bytes"):
        outbox.freeze({"devrev.litres": [Entry("b", bytes(1000))]}, windows=[0], state={"a": b"1"})

    left = len(outbox.journal()), len(messages(outbox)), len(outbox.waiting("topic", 9)), outbox.state("a")
    assert (left, balance(outbox)) == ((1, 1, 1, None), 0)
    outbox.close()


def test_the_journal_counts_into_maximum_bytes(path: Path) -> None:
    outbox = open_outbox(path, limits(maximum_bytes=3 * (500 + ROW_BYTES)))
    outbox.append_journal([JournalRow(0, bytes(500)), JournalRow(0, bytes(500))])

    with pytest.raises(OutboxFull):
        outbox.freeze({"devrev.litres": [Entry(key, bytes(500)) for key in "ab"]})

    outbox.freeze({"devrev.litres": [Entry(key, bytes(500)) for key in "ab"]}, windows=[0])
    assert len(messages(outbox)) == 2
    outbox.close()


def test_a_freeze_larger_than_the_whole_outbox_is_refused_with_its_size(path: Path) -> None:
    outbox = open_outbox(path, limits(maximum_bytes=1000))

    with pytest.raises(OutboxFull, match="2 messages of 1200 bytes"):
        outbox.freeze({"devrev.litres": [Entry(key, bytes(600)) for key in "ab"]})
    outbox.close()


def test_samples_taken_before_the_clock_was_set_come_first(outbox: Outbox) -> None:
    outbox.append_journal([JournalRow(900, b"stamped")])
    outbox.append_journal([JournalRow(-1, b"not yet")])

    assert outbox.journal() == [JournalRow(-1, b"not yet"), JournalRow(900, b"stamped")]


def test_samples_of_one_window_keep_their_order(outbox: Outbox) -> None:
    rows = [JournalRow(900, b"%d" % number) for number in range(30)]

    for row in rows:
        outbox.append_journal([row])

    assert outbox.journal() == rows


@pytest.mark.parametrize("window", [-2, 1 << 60])
def test_a_window_that_begins_at_no_time_is_refused(outbox: Outbox, window: int) -> None:
    with pytest.raises(ValueError, match=str(window)):
        outbox.append_journal([JournalRow(0, b"a"), JournalRow(window, b"")])

    assert outbox.journal() == NOTHING_KEPT


def test_forgotten_windows_leave_the_others(outbox: Outbox) -> None:
    outbox.append_journal([JournalRow(0, b"a"), JournalRow(900, b"b"), JournalRow(1800, b"c")])

    outbox.forget_journal([0, 1800, 2700], state={"a": b"1"})

    assert (outbox.journal(), outbox.depth().journal_rows, outbox.state("a")) == ([JournalRow(900, b"b")], 1, b"1")


def test_every_row_of_the_ledger_adds_up(outbox: Outbox) -> None:
    outbox.freeze({"devrev.litres": [entry(number, number / 3, DAY) for number in range(9)]})
    outbox.acknowledge_all({"devrev.litres": 4})

    assert [ledger_balance(row) for row in outbox.ledger()] == [Count()]


def test_samples_take_the_place_of_those_of_a_page(outbox: Outbox) -> None:
    outbox.append_journal([JournalRow(-1, b"a"), JournalRow(-1, b"b"), JournalRow(900, b"c")])
    page = next(iter(outbox.journal_pages(-1)))

    outbox.append_journal([JournalRow(900, b"d")], instead_of=page)

    assert (outbox.journal(), outbox.depth().journal_rows) == ([JournalRow(900, b"c"), JournalRow(900, b"d")], 2)


def test_samples_find_room_where_those_were_that_they_replace(path: Path) -> None:
    outbox = open_outbox(path, limits(maximum_bytes=500 + ROW_BYTES))
    outbox.append_journal([JournalRow(-1, bytes(500))])
    page = next(iter(outbox.journal_pages(-1)))

    outbox.append_journal([JournalRow(900, bytes(500))], instead_of=page)

    assert outbox.journal() == [JournalRow(900, bytes(500))]
    outbox.close()
