"""What DevRev refuses is kept for a person, what it would drop waits, and neither keeps other records."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from end_to_end.usage_device import BACK_S, Device, Meters, cloud, devices, meters
from end_to_end.usage_settings import LEVELS, Meter
from thingmeter.sandbox.cloud import Sandbox

__all__ = ["cloud", "devices", "meters"]  # fixtures

STATES = Meter("states", "handed.level", "latest", ("site",))
BOOLEAN = Meter("states", "handed.level", "latest", ("site",), unit_type="boolean")  # as DevRev has it: 0 and 1 alone


def poisoned(meters: Meters) -> Device:
    """Return an agent, stopped, whose DevRev has taken all that it measured but for one value."""
    meters.declare(BOOLEAN)
    device = meters.make(STATES, LEVELS, are_known=False)
    meters.declare(LEVELS)
    start = datetime.now(UTC) - timedelta(seconds=40)
    for number, value in enumerate((0, 1, 1, 0, 5, 1, 0, 1, 1)):
        device.hand_over("level", value, at=start + timedelta(seconds=2 * number), site=f"site {number}")
    device.agent.start()
    meters.billed.points("states", 8)
    meters.billed.until_total("levels", 10)
    device.agent.wait_for("set aside")
    device.agent.stop()
    return device


def test_a_record_that_devrev_refuses_is_set_aside_alone_with_its_words(meters: Meters) -> None:
    device = poisoned(meters)

    queues = json.loads(device.command("outbox", "list", "--json"))["queues"]

    (aside,) = [message for queue in queues for message in queue["messages"]]
    assert "the unit of states is boolean: 0 or 1" in aside["reason"]
    assert device.totals().points("set_aside") == {"states": 1, "levels": 0}
    assert device.totals().points("delivered")["states"] == 8


def test_a_record_that_was_set_aside_is_replayed_once_the_cause_is_mended(meters: Meters, cloud: Sandbox) -> None:
    device = poisoned(meters)
    before = {point.id for point in meters.billed.points("states")}

    cloud.devrev.switches.unfit_boolean = "accepted"
    device.command("outbox", "replay", "--all")
    device.agent.start()
    meters.billed.until_total("states", 10)
    device.agent.stop()

    (replayed,) = [point for point in meters.billed.points("states") if point.id not in before]
    assert (replayed.value, replayed.dimensions) == (5, (("site", "site 4"),))
    assert device.totals().points("delivered") == device.totals().points("measured")


def test_a_record_that_was_dropped_stays_in_the_totals(meters: Meters) -> None:
    device = poisoned(meters)

    device.command("outbox", "drop", "--all", "--yes")

    assert device.totals().points("dropped") == {"states": 1, "levels": 0}
    assert device.totals().points("measured")["states"] == 9


def test_records_of_a_uom_that_is_disabled_wait_until_it_is_enabled(meters: Meters) -> None:
    device = meters.make(LEVELS, Meter("others", "handed.level"), are_known=False, registration="auto")
    meters.declare(LEVELS, is_enabled=False)
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    meters.billed.until_total("others", 5050)
    device.agent.stop()
    waiting = device.totals().amounts("waiting")

    meters.declare(LEVELS)
    device.agent.start()
    meters.billed.until_total("levels", 5050, BACK_S)

    assert waiting == {"levels": 5050, "others": 0}
    assert meters.billed.dropped() == []


def test_records_of_a_uom_that_cannot_be_registered_wait_until_it_can(meters: Meters, cloud: Sandbox) -> None:
    cloud.devrev.switches.forbidden.add("uoms.create")
    device = meters.make(LEVELS, are_known=False, registration="auto")
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    device.agent.wait_for("registration devrev")
    device.wait_until_taken()
    device.agent.stop()
    ingests = meters.billed.ingests()

    cloud.devrev.switches.forbidden.clear()
    device.agent.start()
    meters.billed.until_total("levels", 5050, BACK_S)

    assert ingests == []
    assert meters.billed.dropped() == []
