"""Durable bounded queue in SQLite of messages not yet acknowledged; the only part that knows sqlite3.

What it promises, over crashes and power cuts: a message that ``put`` or ``freeze`` returned is on the disk; its key and
bytes never change; messages of one destination keep their order; and for each destination, at any moment,

    put = delivered + waiting + set aside + dropped + replaced + unconfirmed

because the counts are committed in the same transaction as what they count. The ledger says the same of the usage in
the messages, for each day and to the last unit. Usage is never given up, only refused where there is no room; telemetry
makes room for it.

One file per role::

    queue.py        Outbox: what the rest of the agent calls
    messages.py     the nouns: Message, Entry, JournalPage, JournalRow, SetAside, Depth, LedgerRow, Loss
    handing.py      hands out what waits: in order, neither too old nor damaged
    aside.py        what a person decides about messages that were set aside
    putting.py      how messages and samples come in: put, freeze, append to the journal
    room.py         gives up telemetry until there is room
    tidying.py      single damaged rows
    transaction.py  what a transaction changes, and how a message leaves
    commits.py      many threads, one transaction; what to do on a full disk or a damaged file
    bounds.py       bytes, age and free disk space
    tallies.py      what became of every message, per destination; read without asking the disk
    ledger.py       what became of each day's usage
    losses.py       what was dropped, when and why
    journal.py      samples that wait for the end of their window
    store.py        the statements on messages, counts and state
    rows.py         how rows are spelled: ids, checksums, compressed payloads
    database.py     the file: schema, settings of SQLite, what its errors mean
    damage.py       sets a damaged file aside
    rescue.py       copies what can still be read of it
    reserve.py      disk space held back, so that deleting works on a full disk
    lock.py         one process at a time
"""

from thingmeter.outbox.messages import (
    BEFORE,
    Count,
    Depth,
    Entry,
    JournalPage,
    JournalRow,
    Keep,
    LedgerRow,
    Loss,
    Message,
    Priority,
    SetAside,
)
from thingmeter.outbox.queue import Outbox

__all__ = [
    "BEFORE",
    "Count",
    "Depth",
    "Entry",
    "JournalPage",
    "JournalRow",
    "Keep",
    "LedgerRow",
    "Loss",
    "Message",
    "Outbox",
    "Priority",
    "SetAside",
]
