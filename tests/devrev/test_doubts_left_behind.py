"""What a process finds of doubts that another one left behind, with other limits or on a damaged disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from devrev.usage_records import Bench, aside, freeze, waiting
from thingmeter.config.settings import AggregationType, DevRev
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.destinations.devrev.batches import DOUBTS, queue_of
from thingmeter.destinations.devrev.sizing import Limits, limits_of
from thingmeter.errors import Unanswered
from thingmeter.outbox import Outbox
from thingmeter.testing import ManualClock, ScriptedTransport

LONGER_S = 86_460


def test_a_doubt_ends_where_it_ends_though_requests_are_smaller_now(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(20))
    transport = ScriptedTransport(Unanswered("timeout"))
    Bench(outbox, clock, transport).step()
    clock.advance(LONGER_S)

    Bench(outbox, clock, transport, limits=Limits(points=5)).drain()

    assert (len(aside(outbox)), len(transport.sent)) == (20, 1)


def test_behind_a_doubt_larger_than_a_request_all_goes_on(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(20))
    transport = ScriptedTransport(Unanswered("timeout"))
    Bench(outbox, clock, transport).step()
    freeze(outbox, [20])
    clock.advance(LONGER_S)

    Bench(outbox, clock, transport, limits=Limits(points=5)).drain()

    assert (waiting(outbox), [key for key, _ in transport.sent][1:]) == ([], ["litres-20"])


@pytest.mark.parametrize(("kind", "number"), [("sum", 3), ("latest", 0)])
def test_where_doubts_are_unreadable_nothing_is_counted_twice(
    outbox: Outbox, clock: ManualClock, kind: AggregationType, number: int
) -> None:
    freeze(outbox, range(3), kind=kind)
    outbox.put_state({DOUBTS: b"{"})

    Bench(outbox, clock, ScriptedTransport()).drain()

    assert (len(aside(outbox)), waiting(outbox)) == (number, [])


def test_unreadable_doubts_concern_no_more_than_one_request_can_have_had(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, range(503))
    outbox.put_state({DOUBTS: b"{"})

    Bench(outbox, clock, ScriptedTransport(), limits=Limits(points=10)).drain()

    assert len(aside(outbox)) == 500


def test_over_mqtt_half_of_the_horizon_is_left_for_what_posts_the_request() -> None:
    assert limits_of(DevRev(route="mqtt", dedupe_horizon_s=86_400)).dedupe_horizon_s == 43_200


def test_a_reason_names_no_time_that_is_not_known(outbox: Outbox, clock: ManualClock) -> None:
    freeze(outbox, [1])
    outbox.put_state({DOUBTS: b"{"})

    Bench(outbox, clock, ScriptedTransport()).drain()

    (kept,) = outbox.set_aside_list(queue_of("litres"))
    assert kept.reason.startswith("doubtful: perhaps sent, at a time that the disk has lost, without a known outcome")


def test_where_a_damaged_disk_has_lost_the_doubts_nothing_is_counted_twice(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxSettings(minimum_free_bytes=0), clock=clock)
    freeze(outbox, [1])

    Bench(outbox, clock, ScriptedTransport()).drain()

    assert aside(outbox) == ["litres-1"]
    outbox.close()


def test_what_the_disk_has_lost_is_in_doubt_once(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxSettings(minimum_free_bytes=0), clock=clock)
    Bench(outbox, clock, ScriptedTransport())
    freeze(outbox, [1])

    Bench(outbox, clock, ScriptedTransport()).drain()

    assert (aside(outbox), waiting(outbox)) == ([], [])
    outbox.close()
