"""Disk space held back in a file of its own, so that the outbox can still delete when the disk is full.

With a write-ahead log even a DELETE needs room first: its pages are appended to the log. When the disk is out of
space the reserve is given back to the file system, what is acknowledged gets deleted in that room, and the reserve is
made again as soon as the log has been emptied.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

# To empty the log, the file must grow by what the log holds: 256 KiB (database.py), and one transaction more
# (commits.py: 256 KiB of payloads). The same again for other programs that fill the disk faster than we can delete.
RESERVE_BYTES = 1048576
LARGEST_SHARE = 3  # of a tiny file system the reserve takes no more than a third


class Reserve:
    """The file that holds the space back. Not thread-safe: used under the lock of commits.py."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.held = False

    def make(self) -> bool:
        """Hold the space back, unless it is held already; return whether it is held now."""
        if not self.held:
            try:
                self._allocate()
                self.held = True
            except OSError:
                self.release()
        return self.held

    def release(self) -> None:
        """Give the space back to the file system."""
        self.held = False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _allocate(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            file_system = os.fstatvfs(fd)
            size = min(RESERVE_BYTES, file_system.f_blocks * file_system.f_frsize // LARGEST_SHARE)
            status = os.fstat(fd)
            if status.st_blocks * 512 < size:
                _allocate_blocks(fd, size)
        finally:
            os.close(fd)


def _allocate_blocks(fd: int, size: int) -> None:
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        for offset in range(0, size, 65536):  # a file system, or a C library, that can't allocate without writing
            os.pwrite(fd, bytes(min(65536, size - offset)), offset)
