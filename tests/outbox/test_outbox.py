from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbox.opened import START, OutboxClock, balance, crash_copy, limits, open_outbox, put_messages
from thingmeter.errors import OutboxError
from thingmeter.outbox import Message, Outbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = open_outbox(path)
    yield opened
    opened.close()


def test_a_message_comes_back_as_it_was_put(outbox: Outbox) -> None:
    payload = bytes(range(256)) * 20

    put = outbox.put("defender", "1760000000", payload)

    assert outbox.next("defender") == put == Message("defender", "1760000000", payload, 1, START)


def test_an_empty_payload_is_a_payload(outbox: Outbox) -> None:
    put = outbox.put("defender", "1", b"")

    assert outbox.waiting("defender", 5) == [put]


def test_messages_wait_in_the_order_they_were_put(outbox: Outbox) -> None:
    messages = put_messages(outbox, 20)

    assert outbox.waiting("usage-sink", 100) == messages


def test_waiting_returns_no_more_than_asked_for(outbox: Outbox) -> None:
    messages = put_messages(outbox, 5)

    assert outbox.waiting("usage-sink", 2) == messages[:2]


def test_waiting_for_none_returns_none(outbox: Outbox) -> None:
    put_messages(outbox, 2)

    assert outbox.waiting("usage-sink", 0) == []


def test_nothing_waits_for_a_destination_never_seen(outbox: Outbox) -> None:
    assert outbox.next("nowhere") is None


def test_destinations_do_not_mix(outbox: Outbox) -> None:
    first = outbox.put("topic", "a", b"1")
    second = outbox.put("defender", "a", b"2")

    assert (outbox.next("topic"), outbox.next("defender")) == (first, second)


def test_next_returns_the_same_message_until_its_outcome_is_told(outbox: Outbox) -> None:
    put_messages(outbox, 2)

    assert outbox.next("usage-sink") == outbox.next("usage-sink")


def test_acknowledge_moves_on_to_the_next_message(outbox: Outbox) -> None:
    first, second = put_messages(outbox, 2)

    outbox.acknowledge(first)

    assert outbox.waiting("usage-sink", 5) == [second]


def test_acknowledging_twice_counts_once(outbox: Outbox) -> None:
    message = put_messages(outbox, 1)[0]

    outbox.acknowledge(message)
    outbox.acknowledge(message)

    assert outbox.counts("usage-sink")["delivered"] == 1


def test_acknowledging_what_was_never_put_counts_nothing(outbox: Outbox) -> None:
    outbox.acknowledge(Message("nowhere", "x", b"", 3))

    assert not any(outbox.counts().values())


def test_acknowledge_through_deletes_a_range_of_one_destination(outbox: Outbox) -> None:
    messages = put_messages(outbox, 5)
    other = put_messages(outbox, 5, "topic")

    outbox.acknowledge_through("usage-sink", messages[2].seq)

    assert outbox.waiting("usage-sink", 9) + outbox.waiting("topic", 9) == messages[3:] + other


def test_acknowledge_through_counts_each_message(outbox: Outbox) -> None:
    messages = put_messages(outbox, 5)

    outbox.acknowledge_through("usage-sink", messages[2].seq)

    assert outbox.counts("usage-sink")["delivered"] == 3


def test_a_retired_message_is_unconfirmed_and_gone(outbox: Outbox) -> None:
    message = outbox.put("defender", "1", b"report")

    outbox.retire(message, "no answer in 30 s")

    assert (outbox.counts()["unconfirmed"], outbox.next("defender")) == (1, None)


def test_a_message_set_aside_does_not_block_those_behind_it(outbox: Outbox) -> None:
    first, second = put_messages(outbox, 2)

    outbox.set_aside(first, reason="InvalidPayload")

    assert outbox.next("usage-sink") == second


def test_a_message_set_aside_is_kept_whole_with_its_reason_and_time(path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(path, clock=clock)
    message = put_messages(outbox, 1)[0]
    clock.move(60)

    outbox.set_aside(message, "InvalidPayload")

    entry = outbox.set_aside_list("usage-sink")[0]
    assert (entry.message, entry.reason, entry.at) == (message, "InvalidPayload", clock.now())
    outbox.close()


def test_a_reason_is_cut_to_a_thousand_characters(outbox: Outbox) -> None:
    message = put_messages(outbox, 1)[0]

    outbox.set_aside(message, "x" * 100_000)

    assert len(outbox.set_aside_list("usage-sink")[0].reason) == 1000


def test_the_newest_replaces_all_that_wait(outbox: Outbox) -> None:
    put_messages(outbox, 3, "defender")

    newest = outbox.put("defender", "4", b"now", keep="newest")

    assert outbox.waiting("defender", 9) == [newest]


def test_what_was_replaced_is_counted(outbox: Outbox) -> None:
    put_messages(outbox, 3, "defender")

    outbox.put("defender", "4", b"now", keep="newest")

    assert outbox.counts("defender")["replaced"] == 3


def test_a_message_replaced_in_flight_and_then_accepted_counts_as_delivered(outbox: Outbox) -> None:
    outbox.put("defender", "1", b"old", keep="newest")
    in_flight = outbox.next("defender")
    outbox.put("defender", "2", b"new", keep="newest")
    assert in_flight is not None

    outbox.acknowledge(in_flight)

    counts = outbox.counts("defender")
    assert (counts["delivered"], counts["replaced"], counts["waiting"], balance(outbox)) == (1, 0, 1, 0)


def test_a_message_replaced_in_flight_and_then_rejected_is_set_aside(outbox: Outbox) -> None:
    outbox.put("defender", "1", b"old", keep="newest")
    in_flight = outbox.next("defender")
    outbox.put("defender", "2", b"new", keep="newest")
    assert in_flight is not None

    outbox.set_aside(in_flight, "InvalidPayload")

    assert ([entry.message for entry in outbox.set_aside_list("defender")], balance(outbox)) == ([in_flight], 0)


def test_a_message_replaced_while_it_was_not_in_flight_stays_replaced(outbox: Outbox) -> None:
    first = outbox.put("defender", "1", b"old", keep="newest")
    outbox.put("defender", "2", b"new", keep="newest")

    outbox.acknowledge(first)

    assert outbox.counts("defender")["delivered"] == 0


def test_a_batch_acknowledged_after_it_was_replaced_counts_as_delivered(outbox: Outbox) -> None:
    put_messages(outbox, 3, "defender")
    batch = outbox.waiting("defender", 2)
    outbox.put("defender", "4", b"new", keep="newest")

    outbox.acknowledge_through("defender", batch[-1].seq)

    counts = outbox.counts("defender")
    assert (counts["delivered"], counts["replaced"], balance(outbox)) == (2, 1, 0)


def test_sequence_numbers_are_not_used_again_after_the_newest_was_deleted(path: Path) -> None:
    outbox = open_outbox(path)
    last = put_messages(outbox, 3)[-1]
    outbox.acknowledge_through("usage-sink", last.seq)
    outbox.close()

    again = open_outbox(path)
    put = again.put("usage-sink", "x", b"", priority="usage")
    again.close()

    assert put.seq == last.seq + 1


@pytest.mark.parametrize("change", ["put", "acknowledge", "acknowledge_through", "retire", "set_aside", "put_state"])
def test_state_is_written_with_each_kind_of_change(outbox: Outbox, change: str) -> None:
    message = put_messages(outbox, 1)[0]
    state = {"network.baseline": b"\x00\x01"}

    match change:
        case "put":
            outbox.put("usage-sink", "k", b"p", state=state, priority="usage")
        case "acknowledge":
            outbox.acknowledge(message, state=state)
        case "acknowledge_through":
            outbox.acknowledge_through("usage-sink", message.seq, state=state)
        case "retire":
            outbox.retire(message, "no answer", state=state)
        case "set_aside":
            outbox.set_aside(message, "refused", state=state)
        case _:
            outbox.put_state(state)

    assert outbox.state("network.baseline") == b"\x00\x01"


def test_a_state_never_written_is_none(outbox: Outbox) -> None:
    assert outbox.state("report_id") is None


def test_a_state_is_replaced_by_the_next_of_its_name(outbox: Outbox) -> None:
    outbox.put_state({"report_id": b"1"})

    outbox.put_state({"report_id": b"2"})

    assert outbox.state("report_id") == b"2"


def test_all_is_there_after_close_and_open(path: Path) -> None:
    outbox = open_outbox(path)
    messages = put_messages(outbox, 4)
    outbox.set_aside(messages[0], "refused")
    outbox.put_state({"report_id": b"7"})
    before = (outbox.waiting("usage-sink", 9), outbox.set_aside_list("usage-sink"), outbox.counts(), outbox.depth())
    outbox.close()

    again = open_outbox(path)
    after = (again.waiting("usage-sink", 9), again.set_aside_list("usage-sink"), again.counts(), again.depth())
    again.close()

    assert after == before


def test_all_is_there_after_a_crash(path: Path, outbox: Outbox, tmp_path: Path) -> None:
    messages = put_messages(outbox, 4)
    outbox.acknowledge(messages[0])
    copy = crash_copy(path, tmp_path / "after")

    again = open_outbox(copy)
    after = again.waiting("usage-sink", 9), again.counts()
    again.close()

    assert after == (messages[1:], outbox.counts())


def test_depth_tells_rows_and_payload_bytes(outbox: Outbox) -> None:
    message = outbox.put("topic", "a", b"12345")
    outbox.put("defender", "b", b"123")

    outbox.set_aside(message, "refused")

    depth = outbox.depth()
    assert (depth.rows, depth.bytes, depth.set_aside_rows, depth.set_aside_bytes) == (1, 3, 1, 5)


def test_counts_of_all_destinations_are_summed(outbox: Outbox) -> None:
    put_messages(outbox, 2)
    put_messages(outbox, 3, "topic")

    assert outbox.counts()["put"] == 5


def test_a_destination_keeps_its_priority(outbox: Outbox) -> None:
    put_messages(outbox, 1)

    with pytest.raises(ValueError, match="holds usage, not telemetry"):
        outbox.put("usage-sink", "k", b"p")


def test_a_put_that_fails_changes_nothing(outbox: Outbox) -> None:
    put_messages(outbox, 1)
    before = outbox.counts(), outbox.depth()

    with pytest.raises(ValueError, match="holds usage"):
        outbox.put("usage-sink", "k", b"p", state={"report_id": b"9"})

    assert (outbox.counts(), outbox.depth(), outbox.state("report_id")) == (*before, None)


def test_a_listener_hears_of_each_put_for_its_destination(outbox: Outbox) -> None:
    heard: list[str] = []
    outbox.listen("topic", lambda: heard.append("topic"))
    outbox.listen("defender", lambda: heard.append("defender"))

    put_messages(outbox, 2, "topic")

    assert heard == ["topic", "topic"]


def test_a_listener_finds_the_message_in_the_outbox(outbox: Outbox) -> None:
    found: list[Message | None] = []
    outbox.listen("topic", lambda: found.append(outbox.next("topic")))

    put = outbox.put("topic", "a", b"1")

    assert found == [put]


def test_a_closed_outbox_refuses_by_name(path: Path) -> None:
    outbox = open_outbox(path)
    outbox.close()

    with pytest.raises(OutboxError, match=r"outbox\.db: closed"):
        outbox.put("topic", "a", b"1")


def test_closing_twice_is_harmless(path: Path) -> None:
    outbox = open_outbox(path)
    outbox.close()

    outbox.close()


def test_the_folder_and_its_files_are_for_the_owner_only(path: Path, outbox: Outbox) -> None:
    put_messages(outbox, 1)

    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert (stat.S_IMODE(path.parent.stat().st_mode), modes) == (0o700, {0o600})


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    open_outbox(path).close()
    path.chmod(0o644)

    open_outbox(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")

    with pytest.raises(OutboxError, match=r"state/outbox\.db: "):
        open_outbox(tmp_path / "state" / "outbox.db")


def test_a_drained_backlog_gives_its_disk_space_back(path: Path) -> None:
    outbox = open_outbox(path, limits(maximum_bytes=10_000_000))
    backlog = [outbox.put("topic", str(number), bytes(40_000)) for number in range(100)]
    outbox.acknowledge_through("topic", backlog[-1].seq)

    for _ in range(20):
        outbox.put_state({"report_id": b"1"})
    outbox.close()

    assert path.stat().st_size <= 1_200_000


def bytes_read_to_open(path: Path) -> int:
    def so_far() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])  # rchar: what every read() returned

    before = so_far()
    outbox = open_outbox(path)
    read = so_far() - before
    outbox.close()
    return read


def test_opening_reads_no_more_of_a_full_outbox_than_of_an_empty_one(path: Path) -> None:
    open_outbox(path).close()
    empty = bytes_read_to_open(path)
    outbox = open_outbox(path, limits(maximum_bytes=10_000_000))
    for number in range(60):
        outbox.put("usage-sink", str(number), bytes(100_000), priority="usage")
    outbox.close()

    full = bytes_read_to_open(path)

    assert full < empty + 50_000


def test_the_log_stays_short(path: Path, outbox: Outbox) -> None:
    for number in range(400):
        outbox.put("defender", str(number), bytes(3000), keep="newest")

    log = path.with_name("outbox.db-wal")

    assert log.stat().st_size < 1_048_576
