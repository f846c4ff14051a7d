"""What shows that a file of credentials was replaced, without reading it. Light enough for the daemon."""

from __future__ import annotations

from pathlib import Path


def state_of(path: str | Path) -> str:
    """Return another text after the file was replaced or rewritten: of its inode, time of change in ns, and size."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return "absent"
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"
