"""One process at a time: an flock on a file of its own beside the outbox.

The kernel lets go of it when the process ends, however it ends. The outbox itself is not locked this way: a network
file system may turn flock into the kind of lock that SQLite uses, and the agent would shut itself out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from thingmeter.errors import OutboxLocked


class ProcessLock:
    """Held from its making until ``release()`` or the end of the process; the file names the holder's process id.

    Raises:
        OutboxLocked: another process holds it, or this one a second time.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise OutboxLocked(f"{path}: in use by process {holder or 'unknown'}; only one can have it") from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same, only without a name
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; the file stays, since removing it would race with the next holder."""
        os.close(self._fd)
