"""Durable bounded queue in SQLite of messages not yet acknowledged; the only part that knows sqlite3.

What it promises, over crashes and power cuts: a message that ``put`` returned is on the disk; its key and bytes never
change; messages of one destination keep their order; and for each destination, at any moment,

    put = delivered + waiting + set aside + dropped + replaced + unconfirmed

because the counts are committed in the same transaction as what they count.

One file per role::

    queue.py        Outbox: what the rest of the agent calls
    messages.py     the nouns: Message, SetAside, Depth
    tallies.py      what became of every message, per destination; read without asking the disk
    transaction.py  the changes: put, settle, give up (no I/O but through the store)
    commits.py      many threads, one transaction; what to do on a full disk or a damaged file
    bounds.py       bytes, age and free disk space
    store.py        every SQL statement on rows
    database.py     the file: schema, settings of SQLite, what its errors mean
    damage.py       sets a damaged file aside and rescues what can still be read
    reserve.py      disk space held back, so that deleting works on a full disk
    lock.py         one process at a time
"""

from thingmeter.outbox.messages import Depth, Keep, Message, Priority, SetAside
from thingmeter.outbox.queue import Outbox

__all__ = ["Depth", "Keep", "Message", "Outbox", "Priority", "SetAside"]
