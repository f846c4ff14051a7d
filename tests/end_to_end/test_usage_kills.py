"""Killed at random moments under load, the agent loses nothing that it had committed, and bills nothing twice.

SOAK=200 in the environment asks for so many kills; the suite has a few.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import pytest

from end_to_end.usage_billed import INGEST
from end_to_end.usage_device import BACK_S, Device, Meters, cloud, consumer_of, devices, meters
from end_to_end.usage_settings import Metering
from thingmeter.clock import SystemClock
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.destinations.devrev.usage import read
from thingmeter.metering.journal import StampedRow
from thingmeter.metering.journal import read as read_row
from thingmeter.outbox import Outbox
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev import Call, Fault

__all__ = ["cloud", "devices", "meters"]  # fixtures

ROUNDS = int(os.environ.get("SOAK", "4"))
LIFETIMES_S = (0.5, 3.0)  # from before the outbox is open to after the second commit and the requests behind it
MOST_RUNS = 10  # each with at least one request that goes well; what waits is in fewer
ROUND_S = 12.0  # at most, on a busy machine

pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + ROUNDS * ROUND_S)]


def committed(device: Device, copy: Path) -> set[int]:
    """Return the pieces on the disk that a killed agent left behind: journal and records that wait.

    Looks at a copy: what the agent finds at its next start is what the kill has left.
    """
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    settings = device.agent.config
    assert isinstance(settings, Metering)
    for file in settings.outbox_file.parent.glob("outbox.db*"):
        shutil.copy(file, copy)
    outbox = Outbox.open(copy / "outbox.db", limits=OutboxSettings(minimum_free_bytes=0), clock=SystemClock())
    try:
        rows = [row for row in map(read_row, outbox.journal()) if isinstance(row, StampedRow)]
        groups = [sample.series.group for row in rows for sample in row.samples]
        groups += [read(record.payload).point.group for record in outbox.waiting("devrev.pieces", 1_000_000)]
    finally:
        outbox.close()
    return {int(dict(group.dimensions)["serial"]) for group in groups if group.metric_name == "pieces"}


def kill_again_and_again(device: Device, meters: Meters, random: Random) -> set[int]:
    """Run and kill; return every piece that was on a disk at a kill. Ends with an agent that has nothing to do."""
    device.agent.start()
    meters.billed.points("weights", 1)  # so the counter's baseline is on the disk
    device.agent.kill()
    found: set[int] = set()
    for _ in range(ROUNDS):
        device.agent.start()
        assert device.agent.outlives(random.uniform(*LIFETIMES_S))
        device.agent.kill()
        found |= committed(device, device.folder / "copy")
    device.agent.start()
    device.agent.wait_for("collectors numbered")
    meters.billed.points("pieces", len(meters.billed.points("pieces")) + 25)
    device.agent.stop()
    deliver_all(device, meters)
    return found


def deliver_all(device: Device, meters: Meters) -> None:
    """Run the agent, with nothing new to measure, until nothing waits.

    What DevRev has already may have to go out again: its answer was lost.
    """
    device.silence()
    for _ in range(MOST_RUNS):
        taken, waiting = meters.billed.taken, has_waiting(device)
        device.agent.start()
        if waiting:
            meters.billed.until(lambda taken=taken: meters.billed.taken > taken, "a request", BACK_S)  # type: ignore[misc]
        device.wait_until_settled(meters.billed)
        device.agent.stop()
        if not has_waiting(device):
            return
    raise AssertionError(f"after {MOST_RUNS} runs there are records left that wait")


def has_waiting(device: Device) -> bool:
    """Return whether a stopped agent has records that wait."""
    return any(device.totals().points("waiting").values())


def broken_promises(device: Device, meters: Meters, found: set[int]) -> list[str]:
    """Return what does not hold between what was given, what was on the disk, and what DevRev has."""
    billed, totals = meters.billed, device.totals()
    serials = billed.serials()
    broken = [f"piece {serial} was on the disk and is lost" for serial in sorted(found - serials.keys())]
    broken += [f"piece {serial} was billed {times} times" for serial, times in serials.items() if times != 1]
    for given in device.given():
        lost = [serial for serial in given if serial not in serials]
        if lost and lost != list(range(lost[0], given[-1] + 1)):
            broken.append(f"of the pieces {given} more is lost than the last: {lost}")
    for name, total in (("weights", sum(serials)), ("litres", device.rise())):
        if not total == billed.total(name) == totals.amounts("delivered")[name]:
            broken.append(f"{name}: {total}, billed {billed.total(name)}, delivered {totals.amounts('delivered')}")
    counted = {name: len(billed.points(name)) for name in totals.sums}
    if not counted == totals.points("delivered") == totals.points("measured"):
        broken.append(f"DevRev counted {counted}, the outbox says {totals}")
    return broken + billed.dropped()


def test_killed_at_random_moments_the_agent_loses_and_repeats_nothing(meters: Meters, cloud: Sandbox) -> None:
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.delay_s = "late", 0.02  # so that often a request is on its way
    device = meters.numbered(devrev="maximum_points = 10")

    found = kill_again_and_again(device, meters, Random(1))

    assert broken_promises(device, meters, found) == []


def test_killed_at_random_moments_over_mqtt_the_agent_loses_and_repeats_nothing(meters: Meters, cloud: Sandbox) -> None:
    cloud.faults.puback, cloud.faults.puback_delay_s = "late", 0.02
    device = meters.numbered(devrev='maximum_points = 10\nroute = "mqtt"\ntopic = "usage/pump-1"', with_mqtt=True)
    consumer_of(cloud, "usage/pump-1")

    found = kill_again_and_again(device, meters, Random(2))

    assert broken_promises(device, meters, found) == []


def test_killed_at_random_moments_while_every_other_answer_is_lost_the_agent_loses_and_repeats_nothing(
    meters: Meters, cloud: Sandbox
) -> None:
    lost = Fault("error after", INGEST, remaining=0)
    cloud.devrev.switches.faults.append(lost)
    device = meters.numbered()

    def lose_the_next(call: Call) -> None:
        lost.remaining = int(call.status == 200)

    cloud.devrev.calls.follow(lose_the_next)

    found = kill_again_and_again(device, meters, Random(3))

    assert broken_promises(device, meters, found) == []
    assert len(meters.billed.repeats()) > 0
