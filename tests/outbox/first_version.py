"""Makes an outbox as the first version of its schema was."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from outbox.opened import START
from thingmeter.outbox.database import SETTINGS, STEPS

MICROS = int(START.timestamp() * 1_000_000)


def row(seq: int) -> tuple[int, int, int, str, bytes]:
    key, payload = f"key-{seq}", b"payload %d" % seq * 50
    checksum = zlib.crc32(payload, zlib.crc32(f"{seq} {MICROS} {key}".encode()))
    return 1 << 40 | seq, MICROS, checksum, key, payload


def make_first_version(path: Path, rows: int = 100) -> None:
    """Write what the first version did: ``rows`` messages that wait, and another one set aside."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    for statement in (*SETTINGS, *STEPS[0], "PRAGMA user_version = 1", "PRAGMA journal_mode = WAL", "BEGIN"):
        connection.execute(statement)
    connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?)", [row(seq) for seq in range(1, rows + 1)])
    number, created, checksum, key, payload = row(rows + 1)
    aside = (number, created, checksum, MICROS, "refused", key, payload)
    connection.execute("INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?)", aside)
    size = sum(len(row(seq)[4]) for seq in range(1, rows + 1))
    counts = (rows + 1, rows + 1, rows, size, 1, len(payload))
    connection.execute(
        "INSERT INTO destination VALUES (1, 'usage-sink', 'usage', ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0)", counts
    )
    connection.execute("INSERT INTO state VALUES ('report_id', x'37')")
    connection.execute("COMMIT")
    connection.close()
