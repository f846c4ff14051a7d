"""Which destinations and messages an action is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thingmeter.outbox import Outbox, SetAside

DESTINATIONS = frozenset({"defender", "topic", "devrev"})
USAGE = "devrev."  # before the name of a UOM: its destination in the outbox


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line asks for; what is empty does not narrow it.

    Attributes:
        destination: of the outbox, the first part of one, or a UOM's name; that of a UOM named as a destination is
            to be said in full.
        keys: keys or sequence numbers of messages.
        reason: a part of the reason that they were set aside for.
        everything: all of it, said on purpose.
        confirmed: yes, for good.
    """

    destination: str = ""
    keys: tuple[str, ...] = ()
    reason: str = ""
    everything: bool = False
    confirmed: bool = False

    def has(self, destination: str) -> bool:
        """Tell whether a destination of the outbox is meant."""
        asked = self.destination
        if not asked or destination == asked or destination.startswith(f"{asked}."):
            return True
        return asked not in DESTINATIONS and destination == USAGE + asked

    def narrows(self) -> bool:
        """Tell whether it says which messages are meant, if only that all are."""
        return bool(self.destination or self.keys or self.reason or self.everything)


@dataclass(frozen=True, slots=True)
class Unclear:
    """A key that names no message, or more than one."""

    key: str
    found: int

    def __str__(self) -> str:
        if self.found:
            return f"{self.key}: {self.found} messages have it; say which by --destination"
        return f"{self.key}: no such message"


def destinations_of(outbox: Outbox, choice: Choice) -> list[str]:
    """Return the destinations that are meant and ever had a message, UOMs that are configured no more among them."""
    return [name for name in outbox.destinations() if choice.has(name) and any(outbox.counts(name).values())]


def set_aside_of(outbox: Outbox, destination: str, choice: Choice) -> list[SetAside]:
    """Return what was set aside of one destination, oldest first, for a reason that is meant."""
    found = outbox.set_aside_list(destination, outbox.counts(destination)["set_aside"])
    return [entry for entry in found if choice.reason in entry.reason]


def named(entries: list[SetAside], keys: tuple[str, ...]) -> Iterator[SetAside | Unclear]:
    """Yield what each of ``keys`` names, once: a key rather than a sequence number that looks the same."""
    done: set[tuple[str, int]] = set()
    for key in keys:
        found = [entry for entry in entries if entry.message.key == key]
        found = found or [entry for entry in entries if str(entry.message.seq) == key]
        if len(found) != 1:
            yield Unclear(key, len(found))
        elif (place := (found[0].message.destination, found[0].message.seq)) not in done:
            done.add(place)
            yield found[0]
