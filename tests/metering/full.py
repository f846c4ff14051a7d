"""An outbox without room."""

from __future__ import annotations

from thingmeter.errors import OutboxFull
from thingmeter.outbox import Outbox


def fill(outbox: Outbox) -> None:
    """Leave no room for anything; what takes it waits for the destination "big"."""
    size = 1 << 18
    while size >= 16:
        try:
            outbox.put("big", "big", b"x" * size, priority="usage")
        except OutboxFull:
            size //= 2


def make_room(outbox: Outbox) -> None:
    """Take it away again."""
    for message in outbox.waiting("big", 1000):
        outbox.acknowledge(message)
