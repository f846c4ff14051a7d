"""Ids of usage records: never the same twice, also after the disk was cloned or rolled back.

    pump-7 . 5f3c9a41d2e07b86 . 9a41c07e55d2b1f3 . 12
    thing    installation       start              sequence

The installation is random and kept in the outbox, with a digest of the machine's id: another machine, or an outbox that
begins anew, has another one. The start is random for each start of the process, and the sequence counts within it.
Source of the machine's id: machine-id(5), which asks to pass on only a digest of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

INSTALLATION = "usage.installation"  # the outbox's name of it
MACHINE_ID = Path("/etc/machine-id")
RANDOM_BYTES = 8
DIGEST_BYTES = 16


class Identity:
    """Makes ids. Not thread-safe: its owner holds a lock.

    Attributes:
        thing: whose usage it is.

    Args:
        thing: as above.
        stored: what the outbox has under ``INSTALLATION``.
        machine_id_file: where the machine's id is; one without is like all others without.
    """

    def __init__(self, thing: str, stored: bytes | None, *, machine_id_file: Path = MACHINE_ID) -> None:
        self.thing = thing
        self._machine = _digest_of(machine_id_file)
        self._installation = _installation(stored, self._machine)
        self._is_stored = bool(self._installation)
        if not self._installation:
            self._installation = secrets.token_hex(RANDOM_BYTES)
        self._start = secrets.token_hex(RANDOM_BYTES)
        self._sequence = 0

    def next(self) -> str:
        """Return an id that no other record has or will have."""
        self._sequence += 1
        return f"{self.thing}.{self._installation}.{self._start}.{self._sequence}"

    def state(self) -> Mapping[str, bytes]:
        """Return what must be committed with the first record; nothing once ``stored()`` was told."""
        if self._is_stored:
            return {}
        document = {"installation": self._installation, "machine": self._machine}
        return {INSTALLATION: json.dumps(document).encode()}

    def stored(self) -> None:
        """Note that ``state()`` was committed."""
        self._is_stored = True


def _digest_of(machine_id_file: Path) -> str:
    try:
        machine_id = machine_id_file.read_bytes().strip()
    except OSError:
        machine_id = b""
    return hashlib.blake2b(machine_id, digest_size=DIGEST_BYTES, person=b"thingmeter").hexdigest()


def _installation(stored: bytes | None, machine: str) -> str:
    """Return the installation that is stored, if this machine stored it; else nothing."""
    if stored is None:
        return ""
    try:
        document = json.loads(stored)
        if document["machine"] == machine:
            return str(document["installation"])
    except (LookupError, TypeError, ValueError):
        logger.warning("the id of this installation is unreadable; it has a new one from now on")
        return ""
    logger.warning("the outbox comes from another machine; usage has a new installation id from now on")
    return ""
