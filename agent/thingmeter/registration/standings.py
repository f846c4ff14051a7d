"""How the definitions of one service stand, kept in the outbox.

One thread learns, any thread may look: what is looked at is never changed, but replaced as a whole. A change is in the
outbox before it is to be seen. Where that fails it is seen all the same and written with the next change: what may be
sent must not hang on a full disk, and what is forgotten at a restart is asked for again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from thingmeter.errors import OutboxError
from thingmeter.plans import Standing
from thingmeter.protocols import Clock
from thingmeter.registration.remembered import Memory, Remembered, from_bytes, to_bytes

logger = logging.getLogger(__name__)

BLOCKING: frozenset[Standing] = frozenset({"conflict", "refused"})
UNDECIDED: frozenset[Standing] = frozenset({"pending", "denied"})


class Digests(NamedTuple):
    """Of a definition and the service: of all of it, and of what decides how it stands."""

    fingerprint: str
    essence: str


class Store(Protocol):
    """Where small values are kept durably: the outbox."""

    def state(self, name: str) -> bytes | None:
        """Return the value ``name``, None when there is none."""

    def put_state(self, state: Mapping[str, bytes]) -> None:
        """Write values; return once they are on the disk."""


class Standings:
    """What is known of the definitions of one service.

    Args:
        service: its name.
        digests: of each definition and the service, by the definition's name. What is stored with another essence, or
            of another name, is forgotten; what differs in the rest stands as it did, and is to be looked at.
        store: keeps it over restarts.
        clock: says since when.
    """

    def __init__(self, service: str, digests: Mapping[str, Digests], store: Store, clock: Clock) -> None:
        self._service = service
        self._digests = dict(digests)
        self._store = store
        self._clock = clock
        self._callbacks: tuple[Callable[[], None], ...] = ()
        stored = self._recalled()
        valid = {
            name: one
            for name, one in stored.definitions.items()
            if name in self._digests and self._digests[name].essence == one.essence
        }
        self._memory = replace(stored, definitions=MappingProxyType(valid))
        self._is_saved = len(valid) == len(stored.definitions)

    @property
    def looked_at(self) -> datetime | None:
        """The wall time of the last attempt that settled every definition, aware UTC; None without one."""
        return self._memory.looked_at

    @property
    def credentials(self) -> str:
        """The version of the credentials that the last attempt was made with; empty without one."""
        return self._memory.credentials

    @property
    def waited_s(self) -> float:
        """For how long this run and those before it have waited since the last attempt."""
        return self._memory.waited_s

    def of(self, name: str) -> Standing:
        """Return how ``name`` stands; ``pending`` for what is not known, or not to be registered here."""
        found = self._memory.definitions.get(name)
        return found.standing if found else "pending"

    def all(self) -> Mapping[str, Remembered]:
        """Return how each definition stands of which that is known; the others are pending."""
        return self._memory.definitions

    def registered(self) -> frozenset[str]:
        """Return the names of what is registered just as it is declared now."""
        return frozenset(
            name
            for name, one in self._memory.definitions.items()
            if one.standing == "registered" and one.fingerprint == self._digests[name].fingerprint
        )

    def blocked(self) -> frozenset[str]:
        """Return the names whose values must not be sent."""
        return frozenset(name for name, one in self._memory.definitions.items() if one.standing in BLOCKING)

    def undecided(self) -> frozenset[str]:
        """Return the names of which the service has said nothing, at most that it refuses us."""
        return frozenset(name for name in self._digests if self.of(name) in UNDECIDED)

    def is_any(self, standing: Standing) -> bool:
        """Return whether a definition stands so."""
        return any(self.of(name) == standing for name in self._digests)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called after each change of how a definition stands."""
        self._callbacks = (*self._callbacks, callback)

    def learn(self, standings: Mapping[str, Standing], reason: str) -> bool:
        """Remember how definitions stand; return whether any is news: another standing or definition, a first reason.

        Other words for the same are remembered, and no news: services put times and numbers of requests into them.
        """
        known, now = self._memory.definitions, self._clock.now()
        found = {name: Remembered(*self._digests[name], one, reason, now) for name, one in standings.items()}
        kept = {
            name: replace(one, at=known[name].at) if name in known and known[name].standing == one.standing else one
            for name, one in found.items()
        }
        changed = {name: one for name, one in kept.items() if known.get(name) != one}
        news = {name for name, one in changed.items() if name not in known or _is_news(known[name], one)}
        if changed:
            self._write(replace(self._memory, definitions=MappingProxyType({**known, **changed})))
        if news:
            for callback in self._callbacks:
                callback()
        return bool(news)

    def waited(self, seconds: float) -> None:
        """Remember that so much more was waited; 0 is not written."""
        if seconds > 0:
            self._write(replace(self._memory, waited_s=self._memory.waited_s + seconds))

    def attempted(self, credentials: str) -> None:
        """Note that an attempt is made with credentials of that version: waiting begins anew; written by ``save()``."""
        if (self._memory.waited_s, self._memory.credentials) != (0.0, credentials):
            self._memory = replace(self._memory, waited_s=0.0, credentials=credentials)
            self._is_saved = False

    def looked(self) -> None:
        """Remember that every definition is settled as of now."""
        self._write(replace(self._memory, looked_at=self._clock.now()))

    def save(self) -> None:
        """Write what is not written yet."""
        if not self._is_saved:
            self._write(self._memory)

    def _write(self, memory: Memory) -> None:
        try:
            self._store.put_state({self._key: to_bytes(memory)})
        except OutboxError as error:
            self._is_saved = False
            logger.error("registration %s: not stored, but tried again: %s", self._service, error)  # noqa: TRY400
        else:
            self._is_saved = True
        self._memory = memory

    def _recalled(self) -> Memory:
        try:
            stored = self._store.state(self._key)
            return from_bytes(stored) if stored else Memory()
        except (OutboxError, ValueError) as error:
            logger.warning("registration %s: what was remembered is unreadable; asking anew: %s", self._service, error)
            return Memory()

    @property
    def _key(self) -> str:
        return f"registration.{self._service}"


def _is_news(known: Remembered, found: Remembered) -> bool:
    if (known.standing, known.fingerprint) != (found.standing, found.fingerprint):
        return True
    return bool(found.reason and not known.reason)
