"""The dedupe horizon: what may have arrived is sent again for as long as DevRev is trusted to know it again."""

from __future__ import annotations

import logging

import pytest

from devrev.usage_records import Bench, aside, freeze, ids_in, waiting
from thingmeter.destinations.devrev.batches import DOUBTS, queue_of
from thingmeter.destinations.devrev.sizing import Limits
from thingmeter.errors import DeliveryError, Denied, Rejected, Throttled, Unanswered, Unreachable
from thingmeter.outbox import Outbox
from thingmeter.testing import ManualClock, ScriptedTransport

DAY_S = 86_400
LONGER_S = DAY_S + 60


def unanswered(outbox: Outbox, clock: ManualClock, *later: Exception) -> tuple[Bench, ScriptedTransport]:
    """Return a bench whose one record went out without an answer."""
    transport = ScriptedTransport(Unanswered("timeout"), *later)
    bench = Bench(outbox, clock, transport)
    bench.step()
    return bench, transport


@pytest.mark.parametrize("kind", ["sum", "duration"])
def test_what_would_count_twice_is_set_aside_once_the_horizon_is_passed(
    outbox: Outbox, clock: ManualClock, kind: str
) -> None:
    freeze(outbox, [1], kind=kind)  # type: ignore[arg-type]  # one of the aggregation types
    bench, transport = unanswered(outbox, clock)
    clock.advance(LONGER_S)

    bench.drain()

    assert (aside(outbox), len(transport.sent)) == (["litres-1"], 1)


@pytest.mark.parametrize("kind", ["latest", "oldest", "maximum", "minimum", "unique_count", "running_total"])
def test_what_cannot_count_twice_is_sent_again_for_ever(outbox: Outbox, clock: ManualClock, kind: str) -> None:
    freeze(outbox, [1], kind=kind)  # type: ignore[arg-type]  # one of the aggregation types
    bench, transport = unanswered(outbox, clock)
    clock.advance(100 * DAY_S)

    bench.drain()

    assert (aside(outbox), len(transport.sent)) == ([], 2)


def test_what_may_have_arrived_is_sent_again_within_the_horizon(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, transport = unanswered(outbox, clock)
    clock.advance(DAY_S - 60)

    bench.drain()

    assert (aside(outbox), waiting(outbox), len(transport.sent)) == ([], [], 2)


def test_what_was_never_sent_has_no_horizon(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, transport = unanswered(outbox, clock)
    freeze(outbox, [2])
    clock.advance(LONGER_S)

    bench.drain()

    assert (aside(outbox), [ids_in(payload) for payload in transport.payloads[1:]]) == (["litres-1"], [["litres-2"]])


def test_the_reason_says_when_it_was_sent_and_what_to_do(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, _ = unanswered(outbox, clock)
    clock.advance(LONGER_S)

    bench.drain()

    assert outbox.set_aside_list(queue_of("litres"))[0].reason == (
        "doubtful: sent at 2026-01-01T00:00:00+00:00 without a known outcome, and a second copy might be counted "
        "again; replay it if DevRev lacks it, else drop it"
    )


def test_the_horizon_is_a_setting(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench = Bench(outbox, clock, ScriptedTransport(Unanswered("timeout")), limits=Limits(dedupe_horizon_s=60))
    bench.step()
    clock.advance(61)

    bench.drain()

    assert aside(outbox) == ["litres-1"]


def test_each_attempt_counts_from_the_first(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, transport = unanswered(outbox, clock, *[Unanswered("timeout")] * 100)
    for _ in range(3):
        clock.advance(DAY_S / 2 + 1)
        bench.step()

    assert (aside(outbox), len(transport.sent)) == (["litres-1"], 2)


@pytest.mark.parametrize(
    "error", [Unreachable("no connection"), Denied("401 Unauthorized"), Throttled("429", after_s=60)]
)
def test_what_is_certainly_not_taken_is_never_in_doubt(
    outbox: Outbox, clock: ManualClock, error: DeliveryError
) -> None:
    freeze(outbox, [1])
    transport = ScriptedTransport(*[error] * 7)
    bench = Bench(outbox, clock, transport)
    for _ in range(7):
        bench.step()
        clock.advance(DAY_S)

    bench.drain()

    assert (aside(outbox), waiting(outbox)) == ([], [])


def test_an_earlier_attempt_without_an_answer_stays_in_doubt_whatever_a_later_one_comes_to(
    outbox: Outbox, clock: ManualClock
) -> None:
    freeze(outbox, [1])
    bench, transport = unanswered(outbox, clock, Denied("401 Unauthorized"))
    bench.step()
    clock.advance(LONGER_S)

    bench.drain()

    assert (aside(outbox), len(transport.sent)) == (["litres-1"], 2)


def test_half_of_a_rejected_request_is_as_doubtful_as_it_was_before(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1, 2])
    bench, transport = unanswered(outbox, clock, Rejected("400"), Denied("401"))
    bench.step(2)
    clock.advance(LONGER_S)

    bench.drain()

    assert (aside(outbox), len(transport.sent)) == (["litres-1", "litres-2"], 3)


def test_half_of_a_rejected_request_is_not_in_doubt(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1, 2])
    transport = ScriptedTransport(Rejected("400"), Denied("401"))
    bench = Bench(outbox, clock, transport)
    bench.step(2)
    clock.advance(LONGER_S)

    bench.drain()

    assert (aside(outbox), waiting(outbox)) == ([], [])


def test_a_crash_before_the_answer_leaves_the_records_in_doubt(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench = Bench(outbox, clock, ScriptedTransport())
    bench.source.take()
    bench.start()
    clock.advance(LONGER_S)

    bench.drain()

    assert aside(outbox) == ["litres-1"]


@pytest.mark.parametrize("step_s", [LONGER_S, -LONGER_S, 30 * 365 * DAY_S])
def test_no_step_of_the_clock_makes_a_record_old(outbox: Outbox, clock: ManualClock, step_s: float) -> None:
    freeze(outbox, [1])
    bench, transport = unanswered(outbox, clock)
    clock.step(step_s)

    bench.drain()

    assert (aside(outbox), len(transport.sent)) == ([], 2)


def test_a_clock_that_went_back_makes_no_record_young(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, _ = unanswered(outbox, clock)
    clock.advance(LONGER_S)
    clock.step(-LONGER_S)

    bench.drain()

    assert aside(outbox) == ["litres-1"]


def test_sleep_of_the_machine_counts(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, _ = unanswered(outbox, clock)
    clock.suspend(LONGER_S)

    bench.drain()

    assert aside(outbox) == ["litres-1"]


@pytest.mark.parametrize(("off_s", "expected"), [(LONGER_S, ["litres-1"]), (60, [])])
def test_over_a_reboot_the_wall_clock_tells_the_age(
    outbox: Outbox, clock: ManualClock, off_s: float, expected: list[str]
) -> None:
    freeze(outbox, [1])
    bench, _ = unanswered(outbox, clock)
    clock.reboot()
    clock.step(off_s)
    bench.start()

    bench.drain()

    assert aside(outbox) == expected


def test_a_boot_longer_than_the_horizon_makes_old_whatever_the_wall_clock_says(
    outbox: Outbox, clock: ManualClock
) -> None:
    freeze(outbox, [1])
    bench, _ = unanswered(outbox, clock)
    clock.reboot()
    clock.advance(LONGER_S)
    clock.step(-2 * LONGER_S)
    bench.start()

    bench.drain()

    assert aside(outbox) == ["litres-1"]


def test_after_a_reboot_what_is_in_doubt_waits_for_the_clock_and_the_rest_goes_on(
    outbox: Outbox, clock: ManualClock
) -> None:
    freeze(outbox, [1])
    bench, transport = unanswered(outbox, clock)
    bench.names, bench.is_clock_set = ("litres", "hours"), lambda: False
    freeze(outbox, [1], "hours")
    clock.reboot()
    bench.start()

    bench.drain()

    assert (waiting(outbox), ids_in(transport.payloads[-1])) == (["litres-1"], ["hours-1"])


def test_what_waited_for_the_clock_goes_out_when_it_is_set(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, _ = unanswered(outbox, clock)
    known = [False]
    bench.is_clock_set = lambda: known[0]
    clock.reboot()
    bench.start()
    bench.drain()
    known[0] = True

    bench.drain()

    assert (waiting(outbox), aside(outbox)) == ([], [])


def test_what_went_out_by_a_clock_that_was_not_set_is_old_after_a_reboot(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench = Bench(outbox, clock, ScriptedTransport(Unanswered("timeout")), is_clock_set=lambda: False)
    bench.step()
    clock.reboot()
    bench.is_clock_set = lambda: True
    bench.start()

    bench.drain()

    assert aside(outbox) == ["litres-1"]


@pytest.mark.parametrize("content", [b"\xff", b"{}", b"[1]", b'[["devrev.litres", {}]]', b"null", b'[["a", null]]'])
def test_doubts_that_the_disk_has_damaged_are_said_and_keep_nothing_back(
    outbox: Outbox, clock: ManualClock, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put_state({DOUBTS: content})
    freeze(outbox, [1])

    with caplog.at_level(logging.WARNING):
        Bench(outbox, clock, ScriptedTransport()).drain()

    assert waiting(outbox) == []


def test_what_a_person_replays_goes_out_again(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    bench, transport = unanswered(outbox, clock)
    clock.advance(LONGER_S)
    bench.drain()

    outbox.replay(queue_of("litres"), None)
    bench.drain()

    assert (aside(outbox), waiting(outbox), transport.sent[0]) == ([], [], transport.sent[1])
