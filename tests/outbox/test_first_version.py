"""A file that the first version of the schema wrote, and what becomes of it."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from outbox.first_version import make_first_version, row
from outbox.opened import START, balance, crash_copy, open_outbox
from thingmeter.outbox import Entry, Message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "outbox.db"
    make_first_version(path)
    return path


def test_every_message_is_kept_as_it_was(path: Path) -> None:
    outbox = open_outbox(path)

    found = outbox.waiting("usage-sink", 999)

    expected = [Message("usage-sink", row(seq)[3], row(seq)[4], seq, START) for seq in range(1, 101)]
    assert (found, outbox.damaged(), balance(outbox)) == (expected, 0, 0)
    outbox.close()


def test_what_was_set_aside_and_the_state_are_kept(path: Path) -> None:
    outbox = open_outbox(path)

    entry = outbox.set_aside_list("usage-sink")[0]

    assert (entry.message.key, entry.reason, outbox.state("report_id")) == ("key-101", "refused", b"7")
    outbox.close()


def test_its_messages_go_every_way_that_new_ones_go(path: Path) -> None:
    outbox = open_outbox(path)

    outbox.replay("usage-sink")
    outbox.set_aside(outbox.waiting("usage-sink", 1)[0], "refused")
    outbox.freeze({"usage-sink": [Entry("new", b"new", date(2026, 5, 14), 1)]})
    outbox.acknowledge_all({"usage-sink": 103})

    assert (outbox.depth().rows, outbox.counts()["delivered"], balance(outbox)) == (0, 101, 0)
    outbox.close()


def test_a_file_brought_up_is_found_sound_at_the_next_start(path: Path) -> None:
    open_outbox(path).close()

    again = open_outbox(path)

    assert (again.damaged(), len(again.waiting("usage-sink", 999))) == (0, 100)
    again.close()


def test_a_crash_at_any_moment_of_bringing_it_up_loses_nothing(path: Path, tmp_path: Path) -> None:
    running = open_outbox(path)
    log_bytes = path.with_name("outbox.db-wal").stat().st_size
    found = []

    for number, length in enumerate(range(log_bytes, -1, -2048)):
        copy = crash_copy(path, tmp_path / str(number))
        with copy.with_name("outbox.db-wal").open("r+b") as log:
            log.truncate(length)
        again = open_outbox(copy)
        found.append((again.damaged(), len(again.waiting("usage-sink", 999)), balance(again)))
        again.close()
    running.close()

    assert set(found) == {(0, 100, 0)}


def test_what_is_left_of_a_file_cut_short_is_rescued_from_the_first_version(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 3 * 4096)

    outbox = open_outbox(path)

    assert (outbox.damaged(), len(outbox.waiting("usage-sink", 999)) > 50, balance(outbox)) == (1, True, 0)
    outbox.close()
