from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from outbox.opened import OutboxClock, balance, crash_copy, limits, open_outbox, put_messages
from thingmeter.errors import OutboxError, OutboxLocked, OutboxNewer
from thingmeter.outbox.database import SCHEMA_VERSION

PAGE = 4096
HOLD_LOCK = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(str(os.getpid()))
file.flush()
print("held", flush=True)
sys.stdin.read()
"""


def make_backlog(path: Path, rows: int = 400) -> None:
    outbox = open_outbox(path)
    for number in range(rows):
        outbox.put(
            "usage-sink", f"key-{number}", b"%06d" % number * 100, priority="usage", state={"id": b"%d" % number}
        )
    outbox.close()


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def kept(path: Path) -> list[Path]:
    return sorted(file for file in path.parent.glob("outbox.db.damaged-*") if not file.name.endswith("-wal"))


def test_a_file_of_garbage_is_kept_under_a_dated_name(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"\x00" * 10_000)

    open_outbox(path).close()

    assert [(file.name, file.read_bytes()) for file in kept(path)] == [
        ("outbox.db.damaged-20260514T101500Z", b"\x00" * 10_000)
    ]


def test_an_outbox_begun_anew_works(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database at all" * 1000)

    outbox = open_outbox(path)
    messages = put_messages(outbox, 3)

    assert (outbox.waiting("usage-sink", 9), outbox.damaged()) == (messages, 1)
    outbox.close()


def test_every_damage_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    for _ in range(2):
        make_backlog(path, 300)
        path.write_bytes(path.read_bytes()[: 20 * PAGE])

        open_outbox(path).close()

    outbox = open_outbox(path)
    assert outbox.damaged() == 2
    outbox.close()


def test_only_three_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    clock = OutboxClock()
    for number in range(5):
        path.write_bytes(b"%d" % number * 1000)
        clock.move(60)
        open_outbox(path, clock=clock).close()

    assert [file.read_bytes()[:1] for file in kept(path)] == [b"2", b"3", b"4"]


def test_an_empty_file_is_an_empty_outbox(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.touch()

    outbox = open_outbox(path)

    assert (outbox.counts()["put"], kept(path)) == (0, [])
    outbox.close()


def test_a_file_cut_short_is_noticed_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    os.truncate(path, path.stat().st_size - 5 * PAGE)

    open_outbox(path).close()

    assert len(kept(path)) == 1


def test_what_is_left_of_a_file_cut_short_is_rescued(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    os.truncate(path, path.stat().st_size - 5 * PAGE)

    outbox = open_outbox(path)
    rows = len(outbox.waiting("usage-sink", 1000))

    assert (rows > 300, balance(outbox)) == (True, 0)
    outbox.close()


def test_the_damaged_file_is_kept_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    os.truncate(path, path.stat().st_size - 5 * PAGE)
    before = path.read_bytes()

    open_outbox(path).close()

    assert kept(path)[0].read_bytes() == before


def test_messages_before_and_behind_a_damaged_page_are_rescued(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, b"\xff" * PAGE)

    outbox = open_outbox(path)
    numbers = [int(message.key.split("-")[1]) for message in outbox.waiting("usage-sink", 1000)]

    assert (numbers[0], numbers[-1], 380 < len(numbers) < 400, balance(outbox)) == (0, 399, True, 0)
    outbox.close()


def test_what_a_damaged_page_took_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, b"\xff" * PAGE)

    outbox = open_outbox(path)
    rows = len(outbox.waiting("usage-sink", 1000))

    assert (outbox.counts()["dropped_damage"], outbox.counts()["waiting"]) == (400 - rows, rows)
    outbox.close()


def test_messages_rescued_keep_their_bytes_and_their_order(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, b"\xff" * PAGE)

    outbox = open_outbox(path)
    found = outbox.waiting("usage-sink", 1000)

    assert [(m.seq, m.payload) for m in found] == [(m.seq, b"%06d" % (m.seq - 1) * 100) for m in found]
    outbox.close()


def test_the_state_outlives_a_damaged_page(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, b"\xff" * PAGE)

    outbox = open_outbox(path)
    outbox.waiting("usage-sink", 1000)

    assert outbox.state("id") == b"399"
    outbox.close()


def test_sequence_numbers_go_on_after_damage(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    overwrite(path, path.stat().st_size - 3 * PAGE, b"\xff" * 3 * PAGE)

    outbox = open_outbox(path)
    outbox.waiting("usage-sink", 1000)

    assert outbox.put("usage-sink", "k", b"", priority="usage").seq == 401
    outbox.close()


def test_an_operation_that_meets_damage_is_done_in_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path)
    overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, b"\xff" * PAGE)
    outbox = open_outbox(path)

    outbox.acknowledge_through("usage-sink", 400, state={"id": b"after"})

    counts = outbox.counts()
    assert (outbox.state("id"), counts["waiting"], balance(outbox)) == (b"after", 0, 0)
    outbox.close()


def test_a_message_whose_bytes_were_damaged_is_set_aside_and_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path, 3)
    overwrite(path, path.read_bytes().index(b"000001" * 100), b"000009")

    outbox = open_outbox(path)
    keys = [message.key for message in outbox.waiting("usage-sink", 9)]

    assert (keys, [entry.message.key for entry in outbox.set_aside_list("usage-sink")]) == (
        ["key-0", "key-2"],
        ["key-1"],
    )
    outbox.close()


def test_a_damaged_key_is_noticed_as_well(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path, 3)
    overwrite(path, path.read_bytes().index(b"key-1"), b"\xff\xfe")

    outbox = open_outbox(path)
    outbox.next("usage-sink")
    outbox.acknowledge_through("usage-sink", 1)

    assert (getattr(outbox.next("usage-sink"), "key", None), balance(outbox)) == ("key-2", 0)
    outbox.close()


def row_number(seq: int) -> bytes:
    """Return how the file spells the number of a row of the first destination: sqlite.org/fileformat2.html#varint."""
    number = 1 << 40 | seq
    sevens = [number >> shift & 0x7F for shift in range(35, -1, -7)]
    return bytes([*(seven | 0x80 for seven in sevens[:-1]), sevens[-1]])


@pytest.mark.parametrize(("seq", "becomes"), [(1, 60), (50, 75), (51, 2), (99, 127)])
def test_a_row_whose_number_was_damaged_is_neither_sent_for_ever_nor_in_the_way(
    tmp_path: Path, seq: int, becomes: int
) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path, 100)
    content = path.read_bytes()
    behind = content.index(b"%06d" % (seq - 1) * 100)
    overwrite(path, content.rindex(row_number(seq), 0, behind), row_number(becomes))
    outbox = open_outbox(path)
    sent = []

    while message := outbox.next("usage-sink"):
        sent.append(message.payload)
        outbox.acknowledge(message)

    expected = [b"%06d" % number * 100 for number in range(100) if number != seq - 1]
    assert (sent, balance(outbox)) == (expected, 0)
    outbox.close()


@pytest.mark.parametrize("seed", range(30))
def test_random_damage_never_keeps_the_outbox_from_working(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path, 100)
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 3, 30))):
        offset = chance.randrange(100, path.stat().st_size)
        overwrite(path, offset, chance.randbytes(chance.choice((1, 4, 500))))

    outbox = open_outbox(path)
    expected = {b"%06d" % number * 100 for number in range(100)}
    found = {message.payload for message in outbox.waiting("usage-sink", 1000)}
    newest = outbox.put("topic", "after", b"after")
    outbox.acknowledge_through("usage-sink", 100)

    assert (found <= expected, outbox.next("topic"), balance(outbox)) == (True, newest, 0)
    outbox.close()


@pytest.mark.parametrize("page", range(12))
def test_the_loss_of_any_page_never_keeps_the_outbox_from_working(tmp_path: Path, page: int) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path, 100)
    overwrite(path, page * PAGE, bytes(PAGE))

    outbox = open_outbox(path)
    outbox.waiting("usage-sink", 1000)
    outbox.state("id")
    newest = outbox.put("topic", "after", b"after")

    assert (outbox.next("topic"), balance(outbox)) == (newest, 0)
    outbox.close()


def test_a_lost_log_leaves_an_outbox_that_works(tmp_path: Path) -> None:
    running = open_outbox(tmp_path / "outbox.db")
    put_messages(running, 50)
    copy = crash_copy(tmp_path / "outbox.db", tmp_path / "after")
    copy.with_name("outbox.db-wal").unlink()
    running.close()

    outbox = open_outbox(copy)
    newest = outbox.put("topic", "after", b"after")

    assert (outbox.next("topic"), balance(outbox)) == (newest, 0)
    outbox.close()


def test_a_log_cut_short_loses_only_its_end(tmp_path: Path) -> None:
    running = open_outbox(tmp_path / "outbox.db")
    messages = put_messages(running, 15)
    copy = crash_copy(tmp_path / "outbox.db", tmp_path / "after")
    log = copy.with_name("outbox.db-wal")
    os.truncate(log, log.stat().st_size * 2 // 3)
    running.close()

    outbox = open_outbox(copy)
    found = outbox.waiting("usage-sink", 99)

    assert (found == messages[: len(found)], 0 < len(found) < 15, balance(outbox)) == (True, True, 0)
    outbox.close()


def test_a_crash_between_the_two_renamings_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path, 10)
    path.rename(tmp_path / "outbox.db.fresh")

    outbox = open_outbox(path)

    assert len(outbox.waiting("usage-sink", 99)) == 10
    outbox.close()


def test_a_crash_before_the_renamings_begins_again_from_the_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    make_backlog(path, 10)
    (tmp_path / "outbox.db.fresh").write_bytes(b"half written")

    outbox = open_outbox(path)

    assert (len(outbox.waiting("usage-sink", 99)), (tmp_path / "outbox.db.fresh").exists()) == (10, False)
    outbox.close()


def newer(path: Path, *, in_log: bool) -> None:
    make_backlog(path, 3)
    connection = sqlite3.connect(path)
    if in_log:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    else:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    if in_log:
        crash_copy(path, path.parent / "after")
    connection.close()


def test_an_outbox_of_a_newer_version_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    newer(path, in_log=False)
    before = path.read_bytes()

    with pytest.raises(OutboxNewer, match="newer version"):
        open_outbox(path)

    assert path.read_bytes() == before


def test_an_outbox_whose_log_is_of_a_newer_version_is_left_untouched(tmp_path: Path) -> None:
    newer(tmp_path / "outbox.db", in_log=True)
    path = tmp_path / "after" / "outbox.db"
    before = {file: file.read_bytes() for file in path.parent.glob("outbox.db*") if file.suffix != ".db-shm"}

    with pytest.raises(OutboxNewer):
        open_outbox(path)

    assert {file: file.read_bytes() for file in before} == before


def test_the_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(OutboxError, match="another program"):
        open_outbox(path)

    assert path.read_bytes() == before


def test_a_second_process_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD_LOCK,
            f"{path}.lock",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()

    with pytest.raises(OutboxLocked, match=f"process {holder.pid}"):
        open_outbox(path)
    holder.communicate()


def test_the_same_process_is_refused_a_second_time(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")

    with pytest.raises(OutboxLocked, match=f"process {os.getpid()}"):
        open_outbox(tmp_path / "outbox.db")
    outbox.close()


def test_a_lock_left_by_a_dead_process_is_none(tmp_path: Path) -> None:
    (tmp_path / "outbox.db.lock").write_text("1\n")

    open_outbox(tmp_path / "outbox.db").close()

    assert (tmp_path / "outbox.db.lock").read_text() == f"{os.getpid()}\n"


def test_a_program_that_has_the_file_open_is_told_apart_from_damage(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    open_outbox(path).close()
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_SH, 1, 0)

    outbox = open_outbox(path, limits(), OutboxClock())

    assert outbox.damaged() == 0
    outbox.close()
