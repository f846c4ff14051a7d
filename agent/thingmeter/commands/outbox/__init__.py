"""``thingmeter outbox``: what waits, what was set aside and why, and whether all usage is accounted for.

The agent must be stopped meanwhile: one process has the outbox at a time, and a message that is on its way cannot be
moved. Tables are for people; ``--json`` says the same to machines, amounts exactly.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "look into the outbox of a stopped agent: list, show, replay, drop, totals"
ACTIONS = {
    "list": "what waits and what was set aside, with the reasons",
    "show": "one message: what is in it, and why it was set aside",
    "replay": "put what was set aside back at the end of its queue, under the same key and with the same bytes",
    "drop": "give up for good what was set aside; the ledger keeps how much it was",
    "totals": "per UOM and day: measured = delivered + waiting + set aside + dropped + unconfirmed",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with its own arguments."""
    common = argparse.ArgumentParser(add_help=False)
    suppress = argparse.SUPPRESS  # what stands before the action counts unless it is said again behind it
    common.add_argument("-c", "--config", type=Path, metavar="FILE", default=suppress, help="the configuration")
    common.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default=suppress, help=suppress)
    common.add_argument("--json", action="store_true", help="print JSON")
    common.add_argument(
        "--destination", metavar="NAME", help="this one alone: defender, topic, devrev, or a UOM's name"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    made = {
        name: actions.add_parser(name, parents=[common], help=words, description=words)
        for name, words in ACTIONS.items()
    }
    made["list"].add_argument("--all", action="store_true", help="every message that was set aside, not the oldest 20")
    made["list"].add_argument("--reason", metavar="TEXT", help="only what was set aside with TEXT in its reason")
    made["show"].add_argument("keys", nargs="+", metavar="KEY", help="the key or the sequence number of a message")
    for name in ("replay", "drop"):
        made[name].add_argument("keys", nargs="*", metavar="KEY", help="the key or the sequence number of a message")
        made[name].add_argument("--all", action="store_true", help="all that was set aside")
        made[name].add_argument("--reason", metavar="TEXT", help="only what was set aside with TEXT in its reason")
    made["drop"].add_argument("--yes", action="store_true", help="do it: nothing brings it back")


def run(arguments: argparse.Namespace) -> int:
    """Carry out the action.

    Returns:
        0; 1 where a message was not found or a total does not add up; 2 where the arguments do not say enough.

    Raises:
        OutboxError: the outbox cannot be opened: there is none, an agent has it open, or it is another user's.
    """
    from thingmeter.commands.outbox.changing import drop, replay
    from thingmeter.commands.outbox.choosing import Choice
    from thingmeter.commands.outbox.looking import list_all, show
    from thingmeter.commands.outbox.opening import opened
    from thingmeter.commands.outbox.totals import totals
    from thingmeter.config import default_path, load

    actions = {"list": list_all, "show": show, "replay": replay, "drop": drop, "totals": totals}
    config = load(arguments.config or default_path())
    choice = Choice(
        destination=arguments.destination or "",
        keys=tuple(getattr(arguments, "keys", ())),
        reason=getattr(arguments, "reason", None) or "",
        everything=getattr(arguments, "all", False),
        confirmed=getattr(arguments, "yes", False),
    )
    with opened(config) as outbox:
        return actions[arguments.action](config, outbox, choice, as_json=arguments.json)
