from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from outbox.opened import balance, limits, open_outbox
from thingmeter.errors import OutboxError, OutboxFull
from thingmeter.outbox import Message, Outbox

THREADS = 8
EACH = 40


def on_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,), name=f"worker-{number}") for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def put_from_threads(outbox: Outbox) -> None:
    def work(worker: int) -> None:
        for number in range(EACH):
            outbox.put("usage-sink", f"{worker}.{number}", b"x" * 50, priority="usage")

    on_threads(THREADS, work)


def test_no_message_of_many_threads_is_lost(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")

    put_from_threads(outbox)

    keys = {message.key for message in outbox.waiting("usage-sink", 1000)}
    assert len(keys) == THREADS * EACH
    outbox.close()


def test_messages_of_one_thread_keep_their_order_among_many(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")

    put_from_threads(outbox)

    numbers = [int(m.key.split(".")[1]) for m in outbox.waiting("usage-sink", 1000) if m.key.startswith("3.")]
    assert numbers == list(range(EACH))
    outbox.close()


def test_sequence_numbers_of_many_threads_are_distinct_and_without_gaps(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")

    put_from_threads(outbox)

    assert [m.seq for m in outbox.waiting("usage-sink", 1000)] == list(range(1, THREADS * EACH + 1))
    outbox.close()


def test_one_operation_that_fails_leaves_those_it_shares_a_commit_with_alone(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=100_000))
    refused: list[OutboxFull] = []

    def work(worker: int) -> None:
        for number in range(EACH):
            if worker % 2:
                try:
                    outbox.put("usage-sink", "too large", bytes(200_000), priority="usage")
                except OutboxFull as error:
                    refused.append(error)
            else:
                outbox.put("usage-sink", f"{worker}.{number}", b"x", priority="usage")

    on_threads(THREADS, work)

    assert (len(refused), outbox.depth().rows, balance(outbox)) == (THREADS // 2 * EACH, THREADS // 2 * EACH, 0)
    outbox.close()


def test_waiting_threads_share_commits(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")
    commits = outbox._commits
    gate = threading.Barrier(THREADS + 1)
    seen: list[int] = []

    def work(worker: int) -> None:
        gate.wait(30)
        outbox.put("usage-sink", str(worker), b"", priority="usage")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    with commits._lock:  # as while another commit waits for the disk
        for thread in threads:
            thread.start()
        gate.wait(30)
        while len(commits._queue) < THREADS:
            threading.Event().wait(0.001)
    commits._connection.set_trace_callback(lambda statement: seen.append(1) if statement == "COMMIT" else None)
    for thread in threads:
        thread.join(30)

    assert (outbox.depth().rows, len(seen) <= 2) == (THREADS, True)
    outbox.close()


def test_producers_and_a_consumer_together_keep_the_counts_balanced(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")
    put = threading.Event()
    outbox.listen("usage-sink", put.set)
    delivered: list[Message] = []

    def consume() -> None:
        while len(delivered) < THREADS * EACH:
            message = outbox.next("usage-sink")
            if message is None:
                put.wait(10)
                put.clear()
            else:
                outbox.acknowledge(message)
                delivered.append(message)

    consumer = threading.Thread(target=consume, name="consumer")
    consumer.start()
    put_from_threads(outbox)
    consumer.join(60)

    assert (outbox.counts()["delivered"], outbox.depth().rows, balance(outbox)) == (THREADS * EACH, 0, 0)
    outbox.close()


def test_threads_that_come_after_the_close_are_refused(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")
    outbox.close()
    refused: list[OutboxError] = []

    def work(worker: int) -> None:
        try:
            outbox.put("usage-sink", str(worker), b"", priority="usage")
        except OutboxError as error:
            refused.append(error)

    on_threads(THREADS, work)

    assert len(refused) == THREADS


def test_an_operation_that_raises_something_of_its_own_raises_it_in_its_thread(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")

    with pytest.raises(TypeError):
        outbox.put("topic", "k", "text instead of bytes")  # type: ignore[arg-type]  # the mistake under test

    assert outbox.put("topic", "k", b"bytes").seq == 1
    outbox.close()


def test_a_state_of_a_type_that_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")

    with pytest.raises(OutboxError):
        outbox.put_state({"report_id": object()})  # type: ignore[dict-item]  # the mistake under test

    outbox.put_state({"report_id": b"1"})
    assert outbox.state("report_id") == b"1"
    outbox.close()
