"""``outbox replay`` and ``outbox drop``: what becomes of messages that were set aside, by a person's decision.

All that is meant, or nothing: where one key is not clear, no message is touched.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from thingmeter.commands.outbox.choosing import Choice, Unclear, destinations_of, named, set_aside_of
from thingmeter.commands.outbox.tables import print_json, print_table
from thingmeter.config import Config
from thingmeter.config.wording import escape
from thingmeter.outbox import Outbox

FAILED, USAGE_ERROR = 1, 2

Chosen: TypeAlias = Mapping[str, Sequence[int]]
"""The sequence numbers of what is meant, by destination."""


def replay(_config: Config, outbox: Outbox, choice: Choice, *, as_json: bool) -> int:
    """Put the messages that are meant back into their queues; print how many of each."""
    chosen = _chosen(outbox, choice)
    return chosen if isinstance(chosen, int) else _change("replayed", outbox.replay, chosen, as_json=as_json)


def drop(_config: Config, outbox: Outbox, choice: Choice, *, as_json: bool) -> int:
    """Give up the messages that are meant, once that was confirmed; print how many of each."""
    chosen = _chosen(outbox, choice)
    if isinstance(chosen, int):
        return chosen
    if not choice.confirmed:
        count = sum(map(len, chosen.values()))
        print(f"{count} messages would be given up for good; to do it, say --yes as well", file=sys.stderr)
        return USAGE_ERROR
    return _change("dropped", outbox.drop_set_aside, chosen, as_json=as_json)


def _chosen(outbox: Outbox, choice: Choice) -> Chosen | int:
    """Return what is meant, or the exit code after a word on why that is not clear."""
    if not choice.narrows():
        print("which messages? Name them by KEY, --destination or --reason, or say --all", file=sys.stderr)
        return USAGE_ERROR
    names = destinations_of(outbox, choice)
    meant = [entry for name in names for entry in set_aside_of(outbox, name, choice)]
    if choice.keys:
        clear = list(named(meant, choice.keys))
        unclear = [one for one in clear if isinstance(one, Unclear)]
        for one in unclear:
            print(escape(str(one)), file=sys.stderr)
        if unclear:
            return FAILED
        meant = [one for one in clear if not isinstance(one, Unclear)]
    if not meant:
        print("nothing of that was set aside", file=sys.stderr)
        return FAILED
    chosen = defaultdict(list)
    for entry in meant:
        chosen[entry.message.destination].append(entry.message.seq)
    return chosen


def _change(done: str, change: Callable[[str, Sequence[int]], int], chosen: Chosen, *, as_json: bool) -> int:
    """Carry it out, one transaction for each destination; print what was done, also where a later one fails."""
    counts: dict[str, int] = {}
    try:
        for destination, seqs in chosen.items():
            counts[destination] = change(destination, seqs)
    finally:
        if as_json:
            print_json({done: counts})
        else:
            rows = [(destination, str(count)) for destination, count in counts.items()]
            print_table(("DESTINATION", done.upper()), rows, right=(done.upper(),))
    return 0
