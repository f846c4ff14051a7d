"""How batches are handed out and settled: nothing is skipped, nothing blocks what stands behind it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.conftest import MakeDevice
from telemetry.device import Device, values
from thingmeter.errors import OutboxError, Rejected, Throttled, Unanswered, Unconfirmed, Unreachable
from thingmeter.telemetry import TelemetrySource

OUTCOMES = [None, Unreachable("x"), Unanswered("x"), Throttled("x", after_s=60), Rejected("x"), Unconfirmed("x")]
RESTART = "restart"


def batches(device: Device, *batches: range) -> None:
    """Leave batches in the outbox: a sample of a series of its own for each number."""
    for numbers in batches:
        for number in numbers:
            device.sample(number, site=str(number))
        device.pass_interval()


def drain_for_long(device: Device, steps: int = 50) -> list[Any]:
    """Deliver with enough time between the attempts."""
    for _ in range(steps):
        device.delivery.step()
        device.clock.advance(1000)
    return values(device.sent())


def test_samples_go_out_in_order(device: Device) -> None:
    batches(device, range(3), range(3, 5))

    assert values(device.drain()) == [0, 1, 2, 3, 4]


def test_a_batch_is_deleted_when_all_of_it_is_out(device: Device) -> None:
    batches(device, range(3))

    waiting = []
    for _ in range(3):
        device.delivery.step()
        waiting.append(device.waiting())

    assert waiting == [1, 1, 0]


def test_each_sample_has_a_key_of_its_own(device: Device) -> None:
    batches(device, range(2), range(2))
    device.drain()

    assert device.transport.keys == [
        "2026-01-01T00:01:00.000Z#1",
        "2026-01-01T00:01:00.000Z#2",
        "2026-01-01T00:02:00.000Z#1",
        "2026-01-01T00:02:00.000Z#2",
    ]


@pytest.mark.parametrize("error", [Unreachable("x"), Unanswered("x"), Throttled("x", after_s=60)])
def test_after_a_failure_it_goes_on_where_it_stopped(device: Device, error: Any) -> None:
    batches(device, range(4))
    device.script(None, None, error)

    assert drain_for_long(device) == [0, 1, 2, 2, 3]


def test_a_retry_brings_the_same_bytes_and_the_same_key(device: Device) -> None:
    batches(device, range(1))
    device.script(Unreachable("x"))
    drain_for_long(device)

    assert device.transport.sent[0] == device.transport.sent[1]


def test_after_a_restart_a_batch_that_was_not_all_out_begins_anew(device: Device) -> None:
    batches(device, range(3))
    device.delivery.step()

    device.restart()

    assert values(device.drain()) == [0, 0, 1, 2]


def test_after_a_restart_what_was_out_stays_so(device: Device) -> None:
    batches(device, range(3))
    device.drain()

    device.restart()

    assert values(device.drain()) == [0, 1, 2]


def test_a_refused_sample_does_not_block_those_behind_it(device: Device) -> None:
    batches(device, range(3), range(3, 4))
    device.script(None, Rejected("too large"))

    assert values(device.drain()) == [0, 1, 2, 3]


def test_a_batch_with_a_refused_sample_is_set_aside_with_the_reason(device: Device) -> None:
    batches(device, range(3), range(3, 4))
    device.script(None, Rejected("too large"), None)
    device.drain()

    aside = device.outbox.set_aside_list("topic")

    assert [entry.reason for entry in aside] == ["1 of 3 samples rejected; 2026-01-01T00:01:00.000Z#2: too large"]


def test_refused_samples_are_counted(device: Device) -> None:
    batches(device, range(3))
    device.script(Rejected("x"), Rejected("x"))
    device.drain()

    assert device.count("telemetry_samples_rejected") == 2


def test_a_batch_that_was_set_aside_can_be_sent_again(device: Device) -> None:
    batches(device, range(2))
    device.script(Rejected("x"))
    device.drain()

    device.outbox.replay("topic")

    assert values(device.drain()) == [0, 1, 0, 1]


def test_a_sample_of_unknown_outcome_is_not_sent_again(device: Device) -> None:
    batches(device, range(2))
    device.script(Unconfirmed("x"))

    assert (values(device.drain()), device.outbox.counts("topic")["unconfirmed"]) == ([0, 1], 1)


def test_a_batch_that_was_dropped_while_it_went_out_is_not_gone_on_with(make_device: MakeDevice) -> None:
    device = make_device()
    batches(device, range(3))
    device.script(None, Unreachable("for a month"))
    device.delivery.step()
    device.delivery.step()

    device.clock.advance(31 * 86_400)
    batches(device, range(10, 12))

    assert drain_for_long(device) == [0, 1, 10, 11]


def test_an_outcome_that_could_not_be_committed_is_tried_again(device: Device) -> None:
    batches(device, range(1))
    source = TelemetrySource(device.outbox, device.health)
    message = source.take()
    assert message is not None
    device.outbox.close()
    with pytest.raises(OutboxError):
        source.accepted(message)
    source.release()

    with pytest.raises(OutboxError):
        source.accepted(message)


def test_an_outcome_told_after_the_release_counts(device: Device) -> None:
    batches(device, range(2))
    message = device.source.take()
    assert message is not None
    device.source.release()

    device.source.accepted(message)

    following = device.source.take()
    assert following is not None
    assert following.key.endswith("#2")


def test_without_samples_there_is_nothing_to_take(device: Device) -> None:
    assert device.source.take() is None


def test_health_counts_samples(device: Device) -> None:
    batches(device, range(5))
    device.drain()

    assert device.health.destination("topic").accepted == 5


@given(st.lists(st.sampled_from([*OUTCOMES, RESTART]), max_size=30))
def test_whatever_goes_wrong_every_sample_has_its_turn_and_no_batch_is_left(happenings: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        device = Device(Path(folder))
        batches(device, range(3), range(3, 4), range(4, 6))
        sent = []
        for happening in happenings:
            if happening == RESTART:
                device.restart()
                continue
            device.script(happening)
            device.delivery.step()
            device.clock.advance(1000)
            sent += values(device.sent())
        device.script()
        sent += values(device.drain())
        counts = device.outbox.counts("topic")
        device.outbox.close()

    assert list(dict.fromkeys(sent)) == [0, 1, 2, 3, 4, 5]
    assert (counts["waiting"], counts["delivered"] + counts["set_aside"] + counts["unconfirmed"]) == (0, 3)
