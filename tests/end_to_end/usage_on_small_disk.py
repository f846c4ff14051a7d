"""Run by test_usage_disk.py where FOLDER is a file system of 1 MB: an agent whose disk is full, and then is not.

SCENARIO FOLDER WORK are its arguments: the agent's outbox is in FOLDER, everything else in WORK. Prints what it found
as JSON on its last line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from end_to_end.agent import Agents
from end_to_end.registration_device import Devices
from end_to_end.usage_device import BACK_S, Device, Meters, plugin_in
from end_to_end.usage_settings import NUMBERED
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.cloud import Settings as SandboxSettings

PIECES = 200  # each second
NO_ROOM = "ERROR thingmeter.metering.metering: usage: "


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Take every byte that is left, as another program's log would, and give them back at the end."""
    filler = folder / "filler"
    fd = os.open(filler, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for size in (65536, 4096, 1):
        try:
            while True:
                os.write(fd, bytes(size))
        except OSError:
            continue
    os.close(fd)
    yield
    filler.unlink()


def filled_while_online(device: Device, meters: Meters, folder: Path) -> None:
    """The disk is full for a while; what is measured then goes out all the same, in the room that there was before."""
    device.agent.start()
    meters.billed.points("pieces", 3 * PIECES)
    with full(folder):
        meters.billed.points("pieces", len(meters.billed.points("pieces")) + 3 * PIECES)


def filled_while_offline(device: Device, meters: Meters, folder: Path) -> None:
    """The disk is full while a backlog waits; later there is room, and later DevRev is back."""
    start_offline(device, meters)
    with full(folder):
        device.agent.wait_for(NO_ROOM)
    device.agent.wait_for("usage is kept again", timeout_s=BACK_S)
    meters.cloud.services_up()


def filled_at_the_end(device: Device, meters: Meters, folder: Path) -> None:
    """The disk is full when the agent is told to stop, and there is room again before its next start."""
    start_offline(device, meters)
    with full(folder):
        device.agent.wait_for(NO_ROOM)
        device.agent.stop()
    meters.cloud.services_up()
    device.agent.start()
    meters.billed.points("pieces", len(meters.billed.points("pieces")) + PIECES)


def filled_by_the_backlog(device: Device, meters: Meters, folder: Path) -> None:  # noqa: ARG001  # as the others
    """Records wait for DevRev until nothing more fits; they make room when they are delivered."""
    start_offline(device, meters)
    device.agent.wait_for(NO_ROOM, timeout_s=BACK_S)
    meters.cloud.services_up()
    device.agent.wait_for("usage is kept again", timeout_s=BACK_S)


def start_offline(device: Device, meters: Meters) -> None:
    """Start the agent, and take DevRev away once records have reached it."""
    device.agent.start()
    meters.billed.points("pieces", PIECES)
    meters.cloud.services_down()
    device.agent.wait_for("nothing listens there")


SCENARIOS: dict[str, Callable[[Device, Meters, Path], None]] = {
    each.__name__: each
    for each in (filled_while_online, filled_while_offline, filled_at_the_end, filled_by_the_backlog)
}


def found(device: Device, meters: Meters) -> dict[str, Any]:
    """Let the agent deliver what it has; return how that compares to what was given."""
    device.silence()
    device.wait_until_settled(meters.billed)
    device.agent.stop()
    totals = device.totals()
    return {
        "lost": device.lost(meters.billed),
        "repeated": [serial for serial, times in meters.billed.serials().items() if times > 1],
        "delivered": totals.points("delivered") == totals.points("measured"),
    }


def main() -> None:
    scenario, folder, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    agents = Agents(work)
    try:
        with Sandbox(work / "cloud", settings=SandboxSettings(minimum_interval_s=0)) as cloud:
            meters = Meters(Devices(cloud, agents), plugin_in(work / "site"))
            device = meters.numbered(
                collectors=NUMBERED.replace("pieces = 25", f"pieces = {PIECES}"),
                state=folder,
                outbox="minimum_free_bytes = 0\nmaximum_bytes = 1048576",
            )
            SCENARIOS[scenario](device, meters, folder)
            json_line = json.dumps(found(device, meters))
    finally:
        agents.close()
    sys.stdout.write(f"{json_line}\n")


if __name__ == "__main__":
    main()
