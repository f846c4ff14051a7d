"""What the tests of the outbox open it with: a clock that they move, small limits, and a way to crash."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from thingmeter.config import settings
from thingmeter.outbox import Count, LedgerRow, Message, Outbox

START = datetime(2026, 5, 14, 10, 15, tzinfo=UTC)


@dataclass
class OutboxClock:
    """A wall clock that stands still until it is moved."""

    at: datetime = field(default=START)

    def now(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    def boottime(self) -> float:
        return self.monotonic()

    def boot_id(self) -> str:
        return "2f1d7e0c-0000-4000-8000-000000000001"

    def synchronised(self) -> bool:
        return True


def limits(maximum_bytes: int = 1_000_000, maximum_age_s: int = 86_400, minimum_free_bytes: int = 0) -> settings.Outbox:
    return settings.Outbox(
        maximum_bytes=maximum_bytes, maximum_age_s=maximum_age_s, minimum_free_bytes=minimum_free_bytes
    )


def open_outbox(path: Path, bounds: settings.Outbox | None = None, clock: OutboxClock | None = None) -> Outbox:
    return Outbox.open(path, limits=bounds or limits(), clock=clock or OutboxClock())


def put_messages(outbox: Outbox, count: int, destination: str = "usage-sink") -> list[Message]:
    priority = "usage" if destination.startswith("usage") else "telemetry"
    return [
        outbox.put(destination, f"key-{number}", f"payload {number}".encode(), priority=priority)  # type: ignore[arg-type]  # one of two literals
        for number in range(count)
    ]


def balance(outbox: Outbox, destination: str | None = None) -> int:
    """Return what the counts leave unexplained: 0 when put is the sum of what became of every message."""
    counts = outbox.counts(destination)
    known = ("waiting", "set_aside", "delivered", "unconfirmed", "replaced", "dropped")
    return counts["put"] - sum(counts[name] for name in known)


def ledger_balance(row: LedgerRow) -> Count:
    """Return what a row of the ledger leaves unexplained: nothing when measured is the sum of what became of it."""
    rest = (row.delivered, row.waiting, row.set_aside, row.dropped, row.unconfirmed)
    points = row.measured.points - sum(count.points for count in rest)
    return Count(points, row.measured.amount - sum(count.amount for count in rest))


def crash_copy(path: Path, folder: Path) -> Path:
    """Copy what a power cut at this moment would leave on the disk; the open outbox goes on in its own folder."""
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        if not file.name.endswith((".lock", ".reserve")):
            shutil.copy(file, folder / file.name)
    return folder / path.name
