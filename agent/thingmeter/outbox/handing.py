"""Hands out what waits: in order, neither too old nor damaged."""

from __future__ import annotations

import logging
from datetime import datetime
from itertools import pairwise

from thingmeter.outbox import tidying
from thingmeter.outbox.commits import Commits
from thingmeter.outbox.messages import Message
from thingmeter.outbox.rows import Damaged
from thingmeter.outbox.tallies import Tallies
from thingmeter.outbox.transaction import File

_log = logging.getLogger(__name__)


def hand_out(commits: Commits, destination: str, limit: int, expired_before: datetime) -> list[Message]:
    """Return at most ``limit`` messages that wait for ``destination``, oldest first; they count as in flight.

    Telemetry put before ``expired_before`` is dropped on the way; a message damaged on the disk is set aside.
    """
    while True:
        found, sound = commits.read(lambda file, tallies: _read(file, tallies, destination, limit))
        tally = commits.tallies.get(destination)
        if tally is None:
            return []
        stale = tally.priority == "telemetry" and any(message.created < expired_before for message in found[:1])
        if sound and not stale and (found or not tally.waiting or limit < 1):
            return found
        for message in commits.run(lambda transaction: tidying.tidy(transaction, destination, limit)):
            _log.error("%s: message %d is damaged on the disk: set aside", destination, message.seq)


def _read(file: File, tallies: Tallies, destination: str, limit: int) -> tuple[list[Message], bool]:
    """Return the messages that wait and can be sent, and whether that is all of them: none was damaged."""
    tally = tallies.get(destination)
    rows = list(file.store.messages(tally, max(limit, 0))) if tally and tally.waiting else []
    found = [row.message for row in rows if row.sound]
    if any(later.seq <= earlier.seq for earlier, later in pairwise(found)):
        raise Damaged(f"the messages of {destination} are out of order")
    tallies.hand_out(destination, [message.seq for message in found])
    return found, len(found) == len(rows)
