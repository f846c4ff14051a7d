"""Reads the small files of /sys and /proc, where a missing file or a driver without a value is nothing unusual."""

from __future__ import annotations

from pathlib import Path


def listed(folder: Path, prefix: str, suffix: str = "") -> list[Path]:
    """Return the entries of ``folder`` with this prefix and suffix, in the order of the numbers in their names."""
    try:
        entries = [path for path in folder.iterdir() if path.name.startswith(prefix) and path.name.endswith(suffix)]
    except OSError:  # this kernel or machine has nothing of the kind, or it was unplugged this instant
        return []
    return sorted(entries, key=lambda path: (len(path.name), path.name))


def read_text(path: Path) -> str | None:
    """Return what a file of /sys or /proc says, trimmed; None where it is missing or its driver has no value now."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:  # ENOENT, but also EINVAL, EAGAIN, ENODATA, EIO and ENXIO from drivers
        return None


def read_number(path: Path, *, radix: int = 10) -> int | None:
    """Return the whole number that a file of /sys or /proc says; None where there is none."""
    try:
        return int(read_text(path) or "", radix)
    except ValueError:
        return None
