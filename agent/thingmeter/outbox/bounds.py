"""How much the outbox may hold: bytes, age, and what it must leave free on the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from thingmeter.config import settings
from thingmeter.outbox.messages import Depth
from thingmeter.outbox.store import Store

PAGE_BYTES = 4096
# What a row costs beside its payload; counting it bounds the number of rows as well as their bytes.
ROW_BYTES = 64
# A nearly full disk must not silence the reports that tell of it: so much the file may always take.
FLOOR_BYTES = 1048576


@dataclass(frozen=True, slots=True)
class Need:
    """The room that an operation takes.

    Attributes:
        rows: how many it adds.
        bytes: of their payloads, as they were given.
        trees: destinations that it adds many rows to, each at a place of its own in the file.
        in_place: one row takes the place of others that are deleted already: their page has room for a short one.
    """

    rows: int
    bytes: int
    trees: int = 0
    in_place: bool = False

    def pages(self) -> int:
        """Return how many pages the file may grow by."""
        return max(self.bytes // (PAGE_BYTES - 4), 0 if self.in_place else 1) + self.trees

    def describe(self) -> str:
        """Return what it is, for a message to people."""
        return "a message" if self.rows == 1 else f"{self.rows} messages"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits, and whether the disk is ``cramped``: then only room inside the file may be used."""

    limits: settings.Outbox
    folder: Path
    cramped: bool = False

    def can_ever_hold(self, need: Need) -> bool:
        """Return whether an empty outbox would have room."""
        return need.bytes + need.rows * ROW_BYTES <= self.limits.maximum_bytes

    def has_bytes_for(self, need: Need, depth: Depth) -> bool:
        """Return whether there is room beside all that waits, was set aside or is in the journal."""
        rows = depth.rows + depth.set_aside_rows + depth.journal_rows + need.rows
        size = depth.bytes + depth.set_aside_bytes + depth.journal_bytes + need.bytes
        return size + rows * ROW_BYTES <= self.limits.maximum_bytes

    def has_disk_for(self, need: Need, store: Store) -> bool:
        """Return whether the disk has room: room that must not stay free, or unused pages in the file.

        The page or two by which a tree grows now and then comes out of the reserve.

        Raises:
            OSError: the file system does not answer.
        """
        size = PAGE_BYTES * need.pages()
        if not self.cramped:
            file_system = os.statvfs(self.folder)
            if file_system.f_bavail * file_system.f_frsize - size >= self.limits.minimum_free_bytes:
                return True
            if store.pragma("page_count") * PAGE_BYTES + size <= FLOOR_BYTES:
                return True
        return store.pragma("freelist_count") * PAGE_BYTES >= size

    def expired_before(self, now: datetime) -> datetime:
        """Return the time before which telemetry is too old."""
        return now - timedelta(seconds=self.limits.maximum_age_s)
