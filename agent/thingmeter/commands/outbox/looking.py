"""``outbox list`` and ``outbox show``."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thingmeter.commands.outbox.choosing import USAGE, Choice, Unclear, destinations_of, named, set_aside_of
from thingmeter.commands.outbox.tables import briefly, exactly, print_json, print_table, time_of
from thingmeter.config import Config
from thingmeter.config.wording import escape
from thingmeter.destinations.defender.report import decode
from thingmeter.destinations.devrev.usage import describe
from thingmeter.outbox import Loss, Message, Outbox, SetAside

SHOWN = 20  # of the messages that were set aside
LOOKED_AT = 10_000  # messages of a queue that a key is looked for among


@dataclass(frozen=True, slots=True)
class Queue:
    """What there is of one destination."""

    destination: str
    waiting: int
    oldest_waiting: datetime | None
    set_aside: tuple[SetAside, ...]
    dropped: int

    @property
    def oldest_set_aside(self) -> datetime | None:
        """When the first of what is set aside was."""
        return min((entry.at for entry in self.set_aside), default=None)

    def reasons(self) -> list[tuple[str, int]]:
        """Return how many were set aside for each reason, the most frequent first."""
        return Counter(entry.reason for entry in self.set_aside).most_common()


def list_all(_config: Config, outbox: Outbox, choice: Choice, *, as_json: bool) -> int:
    """Print what waits, what was set aside, and what was lost."""
    queues = [_queue(outbox, name, choice) for name in destinations_of(outbox, choice)]
    losses = [loss for loss in outbox.losses() if choice.has(loss.destination)]
    if as_json:
        print_json({**_journal(outbox), "queues": list(map(_of_queue, queues)), "losses": list(map(_of_loss, losses))})
        return 0
    header = ("DESTINATION", "WAITING", "SINCE", "SET ASIDE", "SINCE", "DROPPED")
    print_table(header, [_row(queue) for queue in queues], right=("WAITING", "SET ASIDE", "DROPPED"))
    _print_journal(outbox)
    _print_reasons(queues)
    _print_set_aside([entry for queue in queues for entry in queue.set_aside], choice)
    _print_losses(losses)
    return 0


def show(_config: Config, outbox: Outbox, choice: Choice, *, as_json: bool) -> int:
    """Print what is in messages that wait or were set aside; 1 where a key names none, or more than one."""
    names = destinations_of(outbox, choice)
    entries = [entry for name in names for entry in set_aside_of(outbox, name, choice)]
    waiting = [SetAside(message, "", message.created) for name in names for message in outbox.waiting(name, LOOKED_AT)]
    clear = list(named(entries + waiting, choice.keys))
    unclear = [one for one in clear if isinstance(one, Unclear)]
    documents = [_of_message(one, is_aside=one in entries) for one in clear if not isinstance(one, Unclear)]
    if as_json:
        print_json({"messages": documents})
    elif documents:
        print("\n\n".join("\n".join(_lines(document)) for document in documents))
        sys.stdout.flush()
    for one in unclear:
        print(escape(str(one)), file=sys.stderr)
    if any(one.found == 0 for one in unclear):
        for name in names:
            if (count := outbox.counts(name)["waiting"]) > LOOKED_AT:
                print(f"{name}: only the {LOOKED_AT} oldest of {count} that wait were looked at", file=sys.stderr)
    return 1 if unclear else 0


def _queue(outbox: Outbox, name: str, choice: Choice) -> Queue:
    counts, first = outbox.counts(name), outbox.next(name)
    entries = tuple(set_aside_of(outbox, name, choice))
    return Queue(name, counts["waiting"], first.created if first else None, entries, counts["dropped"])


def _row(queue: Queue) -> tuple[str, ...]:
    counts = (str(queue.waiting), time_of(queue.oldest_waiting), str(len(queue.set_aside)))
    return (queue.destination, *counts, time_of(queue.oldest_set_aside), str(queue.dropped))


def _print_journal(outbox: Outbox) -> None:
    depth = outbox.depth()
    if depth.journal_rows:
        print(f"\nIn the journal, until their windows end: {depth.journal_rows} rows, {depth.journal_bytes} bytes.")


def _print_reasons(queues: list[Queue]) -> None:
    rows = [(queue.destination, str(count), reason) for queue in queues for reason, count in queue.reasons()]
    if rows:
        print()
        print_table(("DESTINATION", "SET ASIDE", "REASON"), rows, right=("SET ASIDE",))


def _print_set_aside(entries: list[SetAside], choice: Choice) -> None:
    shown = entries if choice.everything else entries[:SHOWN]
    if not shown:
        return
    print()
    rows = [
        (entry.message.destination, str(entry.message.seq), entry.message.key, time_of(entry.at)) for entry in shown
    ]
    print_table(("DESTINATION", "SEQ", "KEY", "SET ASIDE"), rows, right=("SEQ",))
    if len(shown) < len(entries):
        print(f"... and {len(entries) - len(shown)} more; --all lists them")


def _print_losses(losses: list[Loss]) -> None:
    if not losses:
        return
    print()
    header = ("LOST OF", "WHY", "FIRST", "LAST", "MESSAGES", "AMOUNT")
    rows = [
        (
            loss.destination,
            loss.why,
            time_of(loss.first),
            time_of(loss.last),
            str(loss.lost.points),
            briefly(loss.lost.amount),
        )
        for loss in losses
    ]
    print_table(header, rows, right=("MESSAGES", "AMOUNT"))


def _journal(outbox: Outbox) -> dict[str, Any]:
    depth = outbox.depth()
    return {"journal": {"rows": depth.journal_rows, "bytes": depth.journal_bytes}}


def _of_queue(queue: Queue) -> dict[str, Any]:
    return {
        "destination": queue.destination,
        "waiting": queue.waiting,
        "oldest_waiting": time_of(queue.oldest_waiting) or None,
        "set_aside": len(queue.set_aside),
        "oldest_set_aside": time_of(queue.oldest_set_aside) or None,
        "dropped": queue.dropped,
        "reasons": [{"reason": reason, "count": count} for reason, count in queue.reasons()],
        "messages": [
            {"seq": entry.message.seq, "key": entry.message.key, "at": time_of(entry.at), "reason": entry.reason}
            for entry in queue.set_aside
        ],
    }


def _of_loss(loss: Loss) -> dict[str, Any]:
    return {
        "destination": loss.destination,
        "why": loss.why,
        "first": time_of(loss.first),
        "last": time_of(loss.last),
        "messages": loss.lost.points,
        "amount": exactly(loss.lost.amount),
    }


def _of_message(entry: SetAside, *, is_aside: bool) -> dict[str, Any]:
    message = entry.message
    return {
        "destination": message.destination,
        "seq": message.seq,
        "key": message.key,
        "stored": time_of(message.created),
        "set_aside": time_of(entry.at) if is_aside else None,
        "reason": entry.reason if is_aside else None,
        "bytes": len(message.payload),
        "content": _content(message),
    }


def _content(message: Message) -> str:
    """Return what a payload says, for people: it is only read here, whatever is in it."""
    if message.destination.startswith(USAGE):
        return describe(message.payload)
    try:
        if message.destination == "defender":
            return str(decode(message.payload, format="json" if message.payload[:1] == b"{" else "cbor"))
        return message.payload.decode()
    except ValueError:
        return f"unreadable: {message.payload[:64]!r}"


def _lines(document: dict[str, Any]) -> list[str]:
    words = {name.replace("_", " "): value for name, value in document.items() if value is not None}
    return [f"{name:11}  {escape(str(value))}" for name, value in words.items()]
