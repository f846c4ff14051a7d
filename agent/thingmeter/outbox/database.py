"""The SQLite file: how it is made and opened, and what SQLite's errors mean for us.

Settings, each with its reason:

- ``synchronous = FULL`` with a write-ahead log: a commit returns after its fsync; one fsync per commit.
- ``locking_mode = EXCLUSIVE``: no other process can hold a snapshot that keeps the log from being emptied, and the
  log's index lies in memory instead of in a mapped file.
- ``wal_autocheckpoint``: the log is emptied every 64 pages (256 KiB). A dozen commits rewrite the same few pages;
  the file gets each once. Larger would need a larger reserve for a full disk, smaller would wear the flash.
- ``auto_vacuum = INCREMENTAL``: the file of a drained backlog shrinks a little with each commit.
- ``secure_delete = OFF``: some distributions switch it on; overwriting what was sent would double the writes.
- ``mmap_size = 0``: a bad block is an error to be handled instead of a signal that ends the process.
- ``cell_size_check``: a damaged page is noticed before it is used.
- ``max_page_count`` at its largest: a damaged page number beyond it would look like a full disk.

Source: sqlite.org/pragma.html, sqlite.org/wal.html.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path

from thingmeter.errors import OutboxError, OutboxFull, OutboxLocked, OutboxNewer
from thingmeter.outbox.rows import Damaged
from thingmeter.outbox.store import Store

SCHEMA_VERSION = 2
APPLICATION_ID = 0x74686D74  # "thmt"
MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
VERSION_AT = slice(60, 64)  # of the header, big-endian; sqlite.org/fileformat.html

FIRST_TABLES = {
    "destination": """CREATE TABLE destination (
        number INTEGER PRIMARY KEY, destination TEXT NOT NULL, priority TEXT NOT NULL, last_seq INTEGER NOT NULL,
        put INTEGER NOT NULL, waiting INTEGER NOT NULL, waiting_bytes INTEGER NOT NULL,
        set_aside INTEGER NOT NULL, set_aside_bytes INTEGER NOT NULL,
        delivered INTEGER NOT NULL, unconfirmed INTEGER NOT NULL, replaced INTEGER NOT NULL,
        dropped_bytes INTEGER NOT NULL, dropped_age INTEGER NOT NULL,
        dropped_disk INTEGER NOT NULL, dropped_damage INTEGER NOT NULL)""",
    "message": """CREATE TABLE message (
        id INTEGER PRIMARY KEY, created INTEGER NOT NULL, checksum INTEGER NOT NULL,
        key TEXT NOT NULL, payload BLOB NOT NULL)""",
    "set_aside": """CREATE TABLE set_aside (
        id INTEGER PRIMARY KEY, created INTEGER NOT NULL, checksum INTEGER NOT NULL,
        at INTEGER NOT NULL, reason TEXT NOT NULL, key TEXT NOT NULL, payload BLOB NOT NULL)""",
    "state": "CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
}
# What the second version added. A column takes the same time however many rows there are: only the table's definition
# is written, and rows from before have the default. An amount has no type: integers and floats stay what they are.
ADDED_COLUMNS = (
    ("destination", "dropped_hand INTEGER NOT NULL DEFAULT 0"),
    ("message", "day INTEGER"),
    ("message", "amount"),
    ("message", "plain_bytes INTEGER"),
    ("set_aside", "day INTEGER"),
    ("set_aside", "amount"),
    ("set_aside", "plain_bytes INTEGER"),
)
ADDED_TABLES = {
    "journal": """CREATE TABLE journal (
        id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, plain_bytes INTEGER, payload BLOB NOT NULL)""",
    "ledger": """CREATE TABLE ledger (
        id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL,
        measured INTEGER NOT NULL, measured_amount TEXT NOT NULL,
        delivered INTEGER NOT NULL, delivered_amount TEXT NOT NULL,
        waiting INTEGER NOT NULL, waiting_amount TEXT NOT NULL,
        set_aside INTEGER NOT NULL, set_aside_amount TEXT NOT NULL,
        dropped INTEGER NOT NULL, dropped_amount TEXT NOT NULL,
        unconfirmed INTEGER NOT NULL, unconfirmed_amount TEXT NOT NULL)""",
    "loss": """CREATE TABLE loss (
        id INTEGER PRIMARY KEY, destination TEXT NOT NULL, why TEXT NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL, points INTEGER NOT NULL, amount TEXT NOT NULL)""",
}
# Version by version: a new file goes the way of an old one, so that both end alike.
STEPS = (
    (*FIRST_TABLES.values(), f"PRAGMA application_id = {APPLICATION_ID}"),
    (*(f"ALTER TABLE {table} ADD COLUMN {column}" for table, column in ADDED_COLUMNS), *ADDED_TABLES.values()),
)


def _definitions() -> dict[str, str]:
    """Return each table's definition as SQLite has it after all steps; sqlite.org/lang_altertable.html."""
    definitions = dict(FIRST_TABLES)
    for table, column in ADDED_COLUMNS:
        definitions[table] = f"{definitions[table].removesuffix(')')}, {column})"
    return definitions | ADDED_TABLES


TABLES = _definitions()

SETTINGS = (
    "PRAGMA locking_mode = EXCLUSIVE",  # first: it decides where the log's index lies
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 64",
    "PRAGMA journal_size_limit = 262144",
    "PRAGMA cache_size = -256",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",
    "PRAGMA secure_delete = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA max_page_count = 4294967294",
    "PRAGMA trusted_schema = OFF",
)

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}  # a quota or a size limit shows as a failed write
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG}  # the last: a length that is garbage
_UNREADABLE = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
_TWICE = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}  # a row where none can be


# What using a file can raise because of the file; SQLite may quote garbage that is no text.
FILE_ERRORS = (sqlite3.Error, UnicodeDecodeError, Damaged)


def is_full(error: Exception) -> bool:
    """Return whether the disk has no room left."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in _FULL or code & 0xFF == sqlite3.SQLITE_FULL


def is_damage(error: Exception) -> bool:
    """Return whether the file can't be read, now or later."""
    if isinstance(error, (Damaged, UnicodeDecodeError)):
        return True
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGED or code in _UNREADABLE | _TWICE


def outbox_error(path: Path, error: Exception) -> OutboxError:
    """Return what the rest of the agent gets to see of an error of SQLite or of the file system."""
    if isinstance(error, sqlite3.Error) and is_full(error):
        return OutboxFull(f"{path}: the disk is full")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return OutboxLocked(f"{path}: another program has it open")
    return OutboxError(f"{path}: {error}")


def companions(path: Path) -> list[Path]:
    """Return the files that SQLite keeps beside ``path``."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-journal", "-shm")]


def refuse_newer(path: Path) -> None:
    """Make sure that no newer version wrote ``path``; not a byte of it is changed.

    SQLite itself would empty a log that a newer version left, so the version is read from the file's header, and from
    a log only through a connection that can't write.

    Raises:
        OutboxNewer: a newer version wrote it.
        Damaged: it is no SQLite file.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except FileNotFoundError:
        return
    if not header:
        return  # made, and never written to
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise Damaged("it does not begin as an SQLite file does")
    version = int.from_bytes(header[VERSION_AT], "big")
    wal, _, shm = companions(path)
    if version <= SCHEMA_VERSION and wal.exists() and wal.stat().st_size:
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(open_connection(f"{path.as_uri()}?mode=ro")) as probe,
        ):
            version = Store(probe).pragma("user_version")
        shm.unlink(missing_ok=True)  # of the probe; nobody else can have it open: the lock is ours
    if version > SCHEMA_VERSION:
        raise OutboxNewer(f"{path}: written by a newer version of thingmeter (schema {version}, here {SCHEMA_VERSION})")


def connect(path: Path) -> sqlite3.Connection:
    """Open ``path``, made when it is missing, for this process alone.

    Raises:
        Damaged: the file, or the part of it that may be read in a fixed time, isn't what was written.
        OutboxError: it belongs to another program.
        sqlite3.Error: it can't be opened, or there is no room to make it.
        OSError: its mode can't be set.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would make it as the umask says
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)
    wal = companions(path)[0]
    log_bytes = wal.stat().st_size if wal.exists() else 0
    connection = open_connection(path.as_uri())
    try:
        for setting in SETTINGS:
            connection.execute(setting)
        _prepare(connection, path)
        log_bytes += wal.stat().st_size if wal.exists() else 0  # what making the file ours has written
        wrong = _first_mistake(Store(connection), path, log_bytes)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # An error of our own constant statements means that they no longer fit the file.
        if is_damage(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR:
            raise Damaged(str(error), connection) from error
        connection.close()
        raise
    except Damaged as error:
        raise Damaged(str(error), connection) from error
    except OutboxError:
        connection.close()
        raise
    if wrong:
        raise Damaged(wrong, connection)
    return connection


def open_connection(uri: str) -> sqlite3.Connection:
    """Open a connection whose transactions are ours to begin and end; it may be used on any thread, one at a time."""
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5)
    connection.text_factory = _text
    return connection


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")  # a damaged key fails its checksum later instead of the whole query now


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    application_id = Store(connection).pragma("application_id")
    if not tables and not application_id:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    elif application_id != APPLICATION_ID:
        raise OutboxError(f"{path}: a database of another program; point [outbox] path elsewhere")
    if (version := Store(connection).pragma("user_version")) < SCHEMA_VERSION:
        _bring_up(connection, version)
    connection.execute("PRAGMA journal_mode = WAL")  # after the schema, so that the header has it without the log


def _bring_up(connection: sqlite3.Connection, version: int) -> None:
    """Take the file from schema ``version`` to ours in one transaction, in the same time however much it holds."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _first_mistake(store: Store, path: Path, log_bytes: int) -> str:
    """Look where a fixed time suffices: tables, the file's length, the counts, both ends of each queue.

    Raises:
        Damaged: a count is not as it was written.
    """
    for table, definition in TABLES.items():
        if store.definition(table) != definition:
            return f"its table {table} is not as it was made"
    if not log_bytes and path.stat().st_size < store.pragma("page_count") * store.pragma("page_size"):
        return "shorter than it says"
    for tally in store.tallies():
        if min(tally.waiting, tally.waiting_bytes, tally.set_aside, tally.set_aside_bytes) < 0:
            return f"the counts of {tally.destination} are wrong"
        head = store.head("message", tally.number)
        if bool(tally.waiting) != bool(head) or store.last_seq(tally.number) > tally.last_seq:
            return f"the messages of {tally.destination} do not match their counts"
    store.journal_depth()
    return ""
