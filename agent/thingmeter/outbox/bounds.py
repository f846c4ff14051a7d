"""How much the outbox may hold: bytes, age, and what it must leave free on the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from thingmeter.config import settings
from thingmeter.outbox.messages import Depth, Message
from thingmeter.outbox.store import Store

PAGE_BYTES = 4096
# What a row costs beside its payload; counting it bounds the number of rows as well as their bytes.
ROW_BYTES = 64
# A nearly full disk must not silence the reports that tell of it: so much the file may always take.
FLOOR_BYTES = 1048576


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits, and whether the disk is ``cramped``: then only room inside the file may be used."""

    limits: settings.Outbox
    folder: Path
    cramped: bool = False

    def can_ever_hold(self, message: Message) -> bool:
        """Return whether ``message`` would fit an empty outbox."""
        return len(message.payload) + ROW_BYTES <= self.limits.maximum_bytes

    def has_bytes_for(self, message: Message, depth: Depth) -> bool:
        """Return whether ``message`` fits beside all that waits or was set aside."""
        rows = depth.rows + depth.set_aside_rows + 1
        size = depth.bytes + depth.set_aside_bytes + len(message.payload)
        return size + rows * ROW_BYTES <= self.limits.maximum_bytes

    def has_disk_for(self, message: Message, store: Store, *, in_place: bool) -> bool:
        """Return whether the disk has room for ``message``: room that must not stay free, or unused pages in the file.

        ``in_place``: it takes the place of others that are deleted already, so that their page has room for a short
        one. The page or two by which a tree grows now and then comes out of the reserve.

        Raises:
            OSError: the file system does not answer.
        """
        need = PAGE_BYTES * max(len(message.payload) // (PAGE_BYTES - 4), 0 if in_place else 1)
        if not self.cramped:
            file_system = os.statvfs(self.folder)
            if file_system.f_bavail * file_system.f_frsize - need >= self.limits.minimum_free_bytes:
                return True
            if store.pragma("page_count") * PAGE_BYTES + need <= FLOOR_BYTES:
                return True
        return store.pragma("freelist_count") * PAGE_BYTES >= need

    def expired_before(self, now: datetime) -> datetime:
        """Return the time before which telemetry is too old."""
        return now - timedelta(seconds=self.limits.maximum_age_s)
