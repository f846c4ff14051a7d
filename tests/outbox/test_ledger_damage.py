"""What damage does to usage: the ledger, the journal and what was set aside."""

from __future__ import annotations

import random
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from outbox.opened import balance, ledger_balance, open_outbox
from thingmeter.outbox import Count, Entry, JournalRow, Outbox

PAGE = 4096
DAY = date(2026, 5, 14)


def make_usage(path: Path, points: int = 300) -> None:
    """Write points of three days, a tenth of them delivered and a tenth set aside, and a journal of some pages."""
    outbox = open_outbox(path)
    days = [date.fromordinal(DAY.toordinal() + number % 3) for number in range(points)]
    entries = [Entry(f"id-{number}", b"%06d" % number * 20, day, number) for number, day in enumerate(days)]
    outbox.freeze({"devrev.litres": entries})
    outbox.acknowledge_all({"devrev.litres": points // 10})
    for message in outbox.waiting("devrev.litres", points // 10):
        outbox.set_aside(message, "refused")
    for number in range(50):
        outbox.append_journal([JournalRow(900, random.Random(number).randbytes(400))])
    outbox.close()


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def page_with(path: Path, content: bytes) -> int:
    return path.read_bytes().index(content) // PAGE * PAGE


def total(outbox: Outbox) -> int:
    return sum(row.measured.points for row in outbox.ledger())


def use_all(outbox: Outbox) -> None:
    outbox.journal()
    outbox.ledger()
    outbox.losses()
    outbox.waiting("devrev.litres", 999)
    outbox.set_aside_list("devrev.litres", 999)
    outbox.freeze({"devrev.litres": [Entry("new", b"new", DAY, 1)]}, windows=[0])
    outbox.acknowledge_all({"devrev.litres": 10**6})
    outbox.replay("devrev.litres")
    outbox.acknowledge_all({"devrev.litres": 10**6})


def test_messages_of_a_lost_page_are_dropped_in_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    overwrite(path, page_with(path, b"000150" * 20), b"\xff" * PAGE)

    outbox = open_outbox(path)
    outbox.waiting("devrev.litres", 999)

    dropped = sum(row.dropped.points for row in outbox.ledger())
    assert (0 < dropped == outbox.counts()["dropped_damage"], total(outbox)) == (True, 300)
    outbox.close()


def test_what_a_lost_page_took_is_a_loss_with_its_amount(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    overwrite(path, page_with(path, b"000150" * 20), b"\xff" * PAGE)

    outbox = open_outbox(path)
    outbox.waiting("devrev.litres", 999)

    loss = outbox.losses()[0]
    amount = sum((row.dropped.amount for row in outbox.ledger()), Fraction(0))
    assert (loss.destination, loss.why, loss.lost) == (
        "devrev.litres",
        "damage",
        Count(outbox.counts()["dropped_damage"], amount),
    )
    outbox.close()


def test_a_damaged_message_is_set_aside_and_its_usage_counted_as_dropped(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    overwrite(path, path.read_bytes().index(b"000060" * 20), b"999999")

    outbox = open_outbox(path)
    outbox.waiting("devrev.litres", 999)

    dropped = [row.dropped for row in outbox.ledger() if row.dropped.points]
    assert (dropped, len(outbox.set_aside_list("devrev.litres", 999))) == ([Count(1, Fraction(60))], 31)
    outbox.close()


def test_a_damaged_message_is_not_replayed(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    overwrite(path, path.read_bytes().index(b"000060" * 20), b"999999")
    outbox = open_outbox(path)
    outbox.waiting("devrev.litres", 999)

    count = outbox.replay("devrev.litres")

    assert (count, [each.message.seq for each in outbox.set_aside_list("devrev.litres")]) == (30, [61])
    outbox.close()


def test_a_damaged_message_can_be_dropped(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    overwrite(path, path.read_bytes().index(b"000060" * 20), b"999999")
    outbox = open_outbox(path)
    outbox.waiting("devrev.litres", 999)

    outbox.drop_set_aside("devrev.litres")

    assert ([ledger_balance(row) for row in outbox.ledger()], balance(outbox)) == ([Count()] * 3, 0)
    outbox.close()


def test_a_damaged_row_of_the_journal_is_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    sample = random.Random(7).randbytes(400)
    path.write_bytes(path.read_bytes().replace(sample, b"damage" + sample[6:]))

    outbox = open_outbox(path)
    rows = outbox.journal()

    losses = [(loss.destination, loss.why, loss.lost) for loss in outbox.losses()]
    assert (len(rows), outbox.depth().journal_rows, losses) == (49, 49, [("journal", "damage", Count(1))])
    outbox.close()


def test_the_journal_outlives_damage_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    overwrite(path, page_with(path, b"000150" * 20), b"\xff" * PAGE)

    outbox = open_outbox(path)
    outbox.waiting("devrev.litres", 999)

    assert outbox.journal() == [JournalRow(900, random.Random(number).randbytes(400)) for number in range(50)]
    outbox.close()


def test_what_was_set_aside_before_and_behind_a_lost_page_is_rescued(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = open_outbox(path)
    refused = [(Entry(f"id-{number}", b"%06d" % number * 100, DAY, 1), "refused") for number in range(100)]
    outbox.freeze({}, aside={"devrev.litres": refused})
    outbox.close()
    overwrite(path, page_with(path, b"000050" * 100), b"\xff" * PAGE)

    again = open_outbox(path)
    keys = [entry.message.key for entry in again.set_aside_list("devrev.litres", 999)]

    assert (keys[0], keys[-1], 90 < len(keys) < 100, balance(again)) == ("id-0", "id-99", True, 0)
    again.close()


def test_a_row_of_the_ledger_that_was_damaged_is_made_anew_of_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    content = path.read_bytes()
    overwrite(path, content.index(b"14850"), b"99999")  # an amount of the first day: 0 + 3 + 6 + ... + 297

    outbox = open_outbox(path)

    rows = outbox.ledger()
    assert (outbox.damaged(), [ledger_balance(row) for row in rows]) == (1, [Count()] * 3)
    assert (rows[0].measured, rows[1].measured.points) == (Count(90, Fraction(14850 - 135)), 100)
    outbox.close()


@pytest.mark.parametrize("page", range(1, 45))
def test_the_loss_of_any_page_leaves_books_that_add_up(tmp_path: Path, page: int) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    overwrite(path, page * PAGE % path.stat().st_size, bytes(PAGE))

    outbox = open_outbox(path)
    use_all(outbox)

    balances = {ledger_balance(row) for row in outbox.ledger()}
    assert (balances, balance(outbox), outbox.depth().rows) == ({Count()}, 0, 0)
    outbox.close()


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_leaves_books_that_add_up(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "outbox.db"
    make_usage(path)
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 3, 30))):
        offset = chance.randrange(100, path.stat().st_size)
        overwrite(path, offset, chance.randbytes(chance.choice((1, 4, 500))))

    outbox = open_outbox(path)
    use_all(outbox)

    balances = {ledger_balance(row) for row in outbox.ledger()}
    assert (balances, balance(outbox), outbox.depth().rows) == ({Count()}, 0, 0)
    outbox.close()
