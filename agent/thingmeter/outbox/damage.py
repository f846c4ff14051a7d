"""What to do with a file that is damaged: a new one is made of what can still be read, and takes its place.

Nothing of the damaged file is changed: it stays beside the outbox under a dated name, for a person and for SQLite's
own ``.recover``. The new file is finished before the old one is renamed, so that a crash in between loses nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from datetime import datetime
from pathlib import Path

from thingmeter.outbox import database
from thingmeter.outbox.rescue import rescue
from thingmeter.outbox.tallies import Tallies

MAXIMUM_KEPT = 3  # damaged files; each may be as large as the outbox

_log = logging.getLogger(__name__)


def replace_file(path: Path, at: datetime, old: sqlite3.Connection | None, known: Tallies | None) -> Path:
    """Put a new outbox in the place of the damaged one at ``path``; return the name that the damaged one has now.

    ``old`` is the connection that found the damage, closed here; None when there is nothing to read.
    ``known`` are the numbers in memory, None when the file itself has to tell. Takes time in proportion to what can
    be copied.

    Raises:
        sqlite3.Error: the new outbox can't be written.
        OSError: the folder can't be written.
    """
    fresh = _fresh(path)
    reader = old or sqlite3.connect(":memory:")
    with contextlib.closing(reader):  # after the renaming: SQLite would write what the log holds into the damaged file
        try:
            _make(fresh, reader, known, at, with_messages=True)
        except sqlite3.Error as error:
            _log.warning("%s: %s: its messages stay where they are, none could be copied", path, error)
            _make(fresh, reader, known, at, with_messages=False)
        renamed = _rename(path, at)
        fresh.rename(path)
        _sync(path.parent)
    _forget_oldest(path)
    return renamed


def finish_replacing(path: Path) -> None:
    """Finish what a crash interrupted: a new file counts once the damaged one has left its place."""
    fresh = _fresh(path)
    if fresh.exists() and not path.exists():
        fresh.rename(path)
    for leftover in (fresh, *database.companions(fresh)):
        leftover.unlink(missing_ok=True)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".fresh")


def _make(fresh: Path, reader: sqlite3.Connection, known: Tallies | None, at: datetime, *, with_messages: bool) -> None:
    for leftover in (fresh, *database.companions(fresh)):
        leftover.unlink(missing_ok=True)
    with contextlib.closing(database.connect(fresh)) as connection:
        rescue(reader, connection, known, at, with_messages=with_messages)


def _rename(path: Path, at: datetime) -> Path:
    dated = f"{path.name}.damaged-{at:%Y%m%dT%H%M%SZ}"
    target, again = path.with_name(dated), 1
    while target.exists():
        again += 1
        target = path.with_name(f"{dated}.{again}")
    for companion, renamed in zip(database.companions(path), database.companions(target), strict=True):
        with contextlib.suppress(FileNotFoundError):
            companion.rename(renamed)  # before the file itself: a log left behind would be applied to the new one
    path.rename(target)
    return target


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _forget_oldest(path: Path) -> None:
    files = [file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(_COMPANIONS)]
    files.sort(key=lambda file: file.stat().st_ctime)  # set by the renaming
    for file in files[:-MAXIMUM_KEPT]:
        _log.warning("%s: removed, since only %d damaged files are kept", file, MAXIMUM_KEPT)
        for each in (*database.companions(file), file):
            each.unlink(missing_ok=True)


_COMPANIONS = ("-wal", "-journal", "-shm")
