from __future__ import annotations

from pathlib import Path

import pytest

from outbox.opened import OutboxClock, balance, limits, open_outbox, put_messages
from thingmeter.errors import OutboxFull
from thingmeter.outbox.bounds import ROW_BYTES

ROOMY = 1 << 62  # more free space than any disk has: as if the disk were nearly full


def room_for(rows: int, payload: int) -> int:
    return rows * (payload + ROW_BYTES)


def test_beyond_maximum_bytes_the_oldest_telemetry_is_dropped(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(3, 100)))

    put = [outbox.put("topic", str(number), bytes(100)) for number in range(5)]

    assert outbox.waiting("topic", 9) == put[2:]
    outbox.close()


def test_what_maximum_bytes_drops_is_counted(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(3, 100)))

    for number in range(5):
        outbox.put("topic", str(number), bytes(100))

    counts = outbox.counts("topic")
    assert (counts["dropped_bytes"], counts["dropped"], balance(outbox)) == (2, 2, 0)
    outbox.close()


def test_many_small_messages_are_bounded_as_well(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=10 * ROW_BYTES))

    put_messages(outbox, 30, "topic")

    assert outbox.depth().rows < 10
    outbox.close()


def test_telemetry_set_aside_is_given_up_before_what_waits(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(3, 100)))
    put = [outbox.put("topic", str(number), bytes(100)) for number in range(3)]
    outbox.set_aside(put[2], "refused")

    newest = outbox.put("topic", "newest", bytes(100))

    assert (outbox.waiting("topic", 9), outbox.set_aside_list("topic")) == ([put[0], put[1], newest], [])
    outbox.close()


def test_the_oldest_over_all_telemetry_goes_first(tmp_path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(2, 100)), clock)
    older = outbox.put("topic", "older", bytes(100))
    clock.move(1)
    newer = outbox.put("defender", "newer", bytes(100))
    clock.move(1)

    outbox.put("usage-sink", "u", bytes(100), priority="usage")

    assert (outbox.next(older.destination), outbox.next(newer.destination)) == (None, newer)
    outbox.close()


def test_telemetry_makes_room_for_usage(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(3, 100)))
    for number in range(3):
        outbox.put("topic", str(number), bytes(100))

    usage = [outbox.put("usage-sink", str(number), bytes(100), priority="usage") for number in range(3)]

    assert (outbox.waiting("usage-sink", 9), outbox.waiting("topic", 9)) == (usage, [])
    outbox.close()


def test_usage_is_refused_before_usage_is_dropped(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(2, 100)))
    usage = [outbox.put("usage-sink", str(number), bytes(100), priority="usage") for number in range(2)]

    with pytest.raises(OutboxFull, match="maximum_bytes"):
        outbox.put("usage-sink", "x", bytes(100), priority="usage")

    assert outbox.waiting("usage-sink", 9) == usage
    outbox.close()


def test_a_refused_put_gives_up_nothing(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(2, 100)))
    outbox.put("usage-sink", "u", bytes(100), priority="usage")
    telemetry = outbox.put("topic", "t", bytes(100))

    with pytest.raises(OutboxFull):
        outbox.put("usage-sink", "large", bytes(200), priority="usage")

    assert (outbox.next("topic"), balance(outbox)) == (telemetry, 0)
    outbox.close()


def test_a_message_larger_than_the_outbox_is_refused(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=1000))

    with pytest.raises(OutboxFull, match="2000 bytes"):
        outbox.put("topic", "t", bytes(2000))
    outbox.close()


def test_usage_set_aside_is_never_given_up(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=room_for(2, 100)))
    usage = [outbox.put("usage-sink", str(number), bytes(100), priority="usage") for number in range(2)]
    outbox.set_aside(usage[0], "refused")

    with pytest.raises(OutboxFull):
        outbox.put("topic", "t", bytes(100))

    assert len(outbox.set_aside_list("usage-sink")) == 1
    outbox.close()


def test_telemetry_older_than_maximum_age_is_dropped_at_the_next_put(tmp_path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_age_s=60), clock)
    put_messages(outbox, 3, "topic")
    clock.move(61)

    fresh = outbox.put("topic", "fresh", b"")

    assert (outbox.waiting("topic", 9), outbox.counts()["dropped_age"]) == ([fresh], 3)
    outbox.close()


def test_telemetry_older_than_maximum_age_is_not_handed_out(tmp_path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_age_s=60), clock)
    put_messages(outbox, 200, "topic")
    clock.move(61)

    found = outbox.next("topic")

    assert (found, outbox.counts()["dropped_age"], balance(outbox)) == (None, 200, 0)
    outbox.close()


def test_telemetry_of_exactly_maximum_age_still_waits(tmp_path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_age_s=60), clock)
    put = put_messages(outbox, 1, "topic")
    clock.move(60)

    assert outbox.waiting("topic", 9) == put
    outbox.close()


def test_usage_is_never_dropped_by_age(tmp_path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_age_s=60), clock)
    put = put_messages(outbox, 3)
    clock.move(10_000_000)

    outbox.put("topic", "t", b"")

    assert outbox.waiting("usage-sink", 9) == put
    outbox.close()


def test_telemetry_set_aside_is_dropped_by_age(tmp_path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_age_s=60), clock)
    outbox.set_aside(put_messages(outbox, 1, "topic")[0], "refused")
    clock.move(61)

    outbox.put("topic", "t", b"")

    assert (outbox.set_aside_list("topic"), outbox.counts()["dropped_age"]) == ([], 1)
    outbox.close()


def test_a_clock_set_back_drops_nothing(tmp_path: Path) -> None:
    clock = OutboxClock()
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_age_s=60), clock)
    put = put_messages(outbox, 2, "topic")
    clock.move(-100_000)

    put.append(outbox.put("topic", "t", b""))

    assert outbox.waiting("topic", 9) == put
    outbox.close()


def test_a_nearly_full_disk_leaves_room_for_the_reports_that_tell_of_it(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(minimum_free_bytes=ROOMY))

    reports = [outbox.put("defender", str(number), bytes(100_000), keep="newest") for number in range(30)]

    assert (outbox.next("defender"), outbox.counts()["dropped"]) == (reports[-1], 0)
    outbox.close()


def test_on_a_nearly_full_disk_new_telemetry_takes_the_place_of_old(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=100_000_000, minimum_free_bytes=ROOMY))

    put = [outbox.put("topic", str(number), bytes(100_000)) for number in range(30)]

    waiting = outbox.waiting("topic", 99)
    assert (waiting, outbox.counts()["dropped_disk"]) == (put[-len(waiting) :], 30 - len(waiting))
    outbox.close()


def test_on_a_nearly_full_disk_the_file_stops_growing(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=100_000_000, minimum_free_bytes=ROOMY))

    for number in range(30):
        outbox.put("topic", str(number), bytes(100_000))
    outbox.close()

    assert (tmp_path / "outbox.db").stat().st_size < 1_200_000


def test_on_a_nearly_full_disk_usage_is_refused_once_no_telemetry_is_left(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db", limits(maximum_bytes=100_000_000, minimum_free_bytes=ROOMY))

    def put_without_end() -> None:
        for number in range(30):
            outbox.put("usage-sink", str(number), bytes(100_000), priority="usage")

    with pytest.raises(OutboxFull, match="disk"):
        put_without_end()

    assert (outbox.depth().rows > 5, balance(outbox)) == (True, 0)
    outbox.close()
