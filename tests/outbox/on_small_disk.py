"""Run by test_full_disk.py on a file system of its own: SCENARIO FOLDER; prints what it found as JSON."""

from __future__ import annotations

import json
import os
import random
import sys
from datetime import date
from pathlib import Path

from outbox.first_version import make_first_version
from outbox.opened import balance, limits, open_outbox
from thingmeter.errors import OutboxFull
from thingmeter.outbox import Entry, JournalRow, Outbox

PAYLOAD = 40_000


def fill_up(folder: Path) -> None:
    """Take every byte that is left, as another program's log would."""
    fd = os.open(folder / "filler", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for size in (65536, 4096, 1):
        try:
            while True:
                os.write(fd, bytes(size))
        except OSError:
            continue
    os.close(fd)


def usage_until_full(outbox: Outbox) -> int:
    for number in range(1000):
        try:
            outbox.put("usage-sink", str(number), bytes(PAYLOAD), priority="usage")
        except OutboxFull:
            return number
    return -1


def telemetry(outbox: Outbox, _: Path) -> dict[str, object]:
    put = [outbox.put("topic", str(number), bytes(PAYLOAD)) for number in range(200)]
    waiting = outbox.waiting("topic", 999)
    dropped = outbox.counts()["dropped_disk"]
    return {"newest_wait": waiting == put[-len(waiting) :], "counted": 0 < dropped == 200 - len(waiting)}


def usage(outbox: Outbox, _: Path) -> dict[str, object]:
    put = usage_until_full(outbox)
    refused_kept_all = outbox.depth().rows == put
    outbox.acknowledge_through("usage-sink", put // 2)
    left = outbox.depth().rows == put - put // 2
    again = outbox.put("usage-sink", "again", bytes(PAYLOAD), priority="usage")
    return {"put": put > 5, "kept": refused_kept_all, "acknowledged": left, "again": again.seq == put + 1}


def usage_over_telemetry(outbox: Outbox, _: Path) -> dict[str, object]:
    for number in range(50):
        outbox.put("topic", str(number), bytes(PAYLOAD))
    put = usage_until_full(outbox)
    return {"usage": put > 5, "telemetry_left": len(outbox.waiting("topic", 99))}


def filled_by_others(outbox: Outbox, folder: Path) -> dict[str, object]:
    first = outbox.put("defender", "1", bytes(PAYLOAD), keep="newest")
    others = [outbox.put("usage-sink", str(number), bytes(100), priority="usage") for number in range(50)]
    fill_up(folder)
    second = outbox.put("defender", "2", bytes(PAYLOAD), keep="newest", state={"report_id": b"2"})
    for message in others:
        outbox.acknowledge(message)
    outbox.set_aside(second, "refused")
    return {
        "replaced": first.seq < second.seq and outbox.counts()["replaced"] == 1,
        "acknowledged": outbox.counts()["delivered"] == 50,
        "set_aside": len(outbox.set_aside_list("defender")) == 1,
        "state": outbox.state("report_id") == b"2",
        "reserve": (folder / "outbox.db.reserve").exists(),
    }


def reopened_when_full(outbox: Outbox, folder: Path) -> dict[str, object]:
    put = usage_until_full(outbox)
    fill_up(folder)
    outbox.close()
    again = open_outbox(folder / "outbox.db", limits(maximum_bytes=1 << 26))
    again.acknowledge_through("usage-sink", put)
    found = again.depth().rows
    again.close()
    return {"rows": found}


def freezing(outbox: Outbox, folder: Path) -> dict[str, object]:
    """Freeze until there is no room, then let another program take the rest; usage must stay whole throughout."""
    outbox.append_journal([JournalRow(0, b"sample")])
    frozen = freeze_until_full(outbox)
    kept = len(outbox.journal())
    fill_up(folder)
    outbox.acknowledge_all({"devrev.litres": frozen // 2})
    outbox.set_aside(outbox.waiting("devrev.litres", 1)[0], "refused")
    outbox.replay("devrev.litres")
    again = freeze_until_full(outbox)
    outbox.acknowledge_all({"devrev.litres": 1 << 20})
    ledger = outbox.ledger()[0]
    return {
        "frozen": frozen > 5,
        "journal": kept,
        "again": again > 0,
        "measured": ledger.measured.points == frozen + again,
        "delivered": ledger.delivered == ledger.measured,
    }


def freeze_until_full(outbox: Outbox) -> int:
    for number in range(1000):
        payload = random.Random(number).randbytes(PAYLOAD)
        try:
            outbox.freeze({"devrev.litres": [Entry(str(number), payload, date(2026, 5, 14), number)]}, windows=[900])
        except OutboxFull:
            return number
    return -1


def room_again(outbox: Outbox, folder: Path) -> dict[str, object]:
    put = usage_until_full(outbox)
    fill_up(folder)
    for _ in range(20):
        outbox.put_state({"report_id": b"1"})
    (folder / "filler").unlink()
    outbox.acknowledge_through("usage-sink", put)
    return {"put": usage_until_full(outbox) > put // 2, "reserve": (folder / "outbox.db.reserve").exists()}


def first_version_when_full(outbox: Outbox, folder: Path) -> dict[str, object]:
    """Open a file of the first version on a disk that is full but for the reserve."""
    outbox.close()
    (folder / "outbox.db").unlink()
    make_first_version(folder / "outbox.db")
    fill_up(folder)
    again = open_outbox(folder / "outbox.db", limits(maximum_bytes=1 << 26))
    waiting = len(again.waiting("usage-sink", 999))
    again.acknowledge_all({"usage-sink": 100})
    found: dict[str, object] = {"waiting": waiting, "left": again.depth().rows, "damaged": again.damaged()}
    again.close()
    return found


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    outbox = open_outbox(folder / "outbox.db", limits(maximum_bytes=1 << 26))
    scenario = globals()[name]
    found = scenario(outbox, folder)
    json.dump({**found, "balance": balance(outbox)}, sys.stdout)
    outbox.close()


if __name__ == "__main__":
    main()
