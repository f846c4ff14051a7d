"""When to register with one service, and what is known to be registered there.

    definitions                         first attempt after a start
    all remembered as registered        verify_interval_s (and the share of spread_s) after the last look
    that is overdue, or any not so      after the share of spread_s; what earlier runs waited counts

    an attempt ends in   standings                          next attempt
    done                 as the outcomes say                after verify_interval_s, jittered; sooner if any is denied
                                                            or disabled
    Throttled            as the outcomes so far say         after what was asked for, and a back-off
    Unreachable          as the outcomes so far say         after a back-off
    Denied               denied, but for those settled      after a long back-off

New credentials on the disk are a reason to look after the share of spread_s, whatever stood before: a token may be
another organisation's. The wall clock says when a look is overdue, and is asked at each step, since a device may have
been off, asleep, or without a clock at its start.

What is remembered counts for the definition and the service it was found with only: their fingerprint. Nothing is ever
deleted at a service: a definition that left the configuration is only forgotten here.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TypeAlias

from thingmeter.errors import DeliveryError, Denied, Throttled, Unreachable
from thingmeter.plans import Outcome, Standing
from thingmeter.protocols import Clock, Definition
from thingmeter.registration import telling
from thingmeter.registration.remembered import Remembered
from thingmeter.registration.spread import Timing
from thingmeter.registration.standings import Digests, Standings, Store

logger = logging.getLogger(__name__)

CREDENTIALS_LOOK_S = 300.0  # between two looks at the credential files, while the service refuses us
WAITED_S = 120.0  # between two notes of how long this run has waited: what a run that ends early loses at most
LONGEST_STEP_S = 3600.0  # between two looks at the wall clock and at the credential files
THROTTLE_CAP_S = 86_400.0  # a longer wait is a mistake of the service's, and would never be seen to end
NAMES = 5  # that a message lists

Attempt: TypeAlias = Callable[[Collection[str]], Iterator[Outcome]]
"""Makes one attempt; takes the names that are known to be registered. Raises as ``protocols.Registrar`` does."""


def _never_changes() -> str:
    return ""


def _nothing_to_stop() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be registered with one service, and by whom.

    Attributes:
        service: its name.
        definitions: all that are to be registered; their names are unique.
        identity: of the service's side: what is registered with one says nothing of another.
        attempt: makes one attempt.
        version: changes when the credentials on the disk do.
        stop: ends the attempt that is running, and every later one at once; called from another thread.
    """

    service: str
    definitions: Sequence[Definition]
    identity: str
    attempt: Attempt
    version: Callable[[], str] = _never_changes
    stop: Callable[[], None] = _nothing_to_stop


class Registration:
    """The registration with one service.

    ``step()`` is for one thread; everything else may be called from any.
    """

    def __init__(self, subject: Subject, timing: Timing, store: Store, clock: Clock, random: Random) -> None:
        self.service = subject.service
        self._subject = subject
        self._timing = timing
        self._clock = clock
        self._random = random
        digests = {one.name: digests_of(one, subject.identity) for one in subject.definitions}
        self._names = digests.keys()
        self._standings = Standings(subject.service, digests, store, clock)
        self._stopping = threading.Event()
        self._trouble = telling.Trouble(subject.service)
        self._version = self._standings.credentials
        self._told: set[tuple[Standing, str]] = set()  # by the attempt that is made
        self._failures = 0  # attempts in a row that settled nothing
        self._denials = 0  # looks in a row after which something was still denied or disabled
        self._has_attempted = False
        self._waits_since: float | None = clock.monotonic()  # for its share, and not for the next look; monotonic
        self._due = clock.monotonic() + self._timing.delay_s(self._standings.waited_s)  # monotonic
        self._plan_anew()
        telling.remind(self.service, self._standings.all())
        if not self._is_all_registered() and self.due_in_s() > 1:
            telling.waiting(self.service, self.due_in_s())

    @property
    def looked_at(self) -> datetime | None:
        """The wall time of the last attempt that settled every definition, aware UTC; None without one."""
        return self._standings.looked_at

    @property
    def trouble(self) -> str:
        """Why the last attempt settled nothing, or not all; empty when it settled all."""
        return str(self._trouble)

    def standing(self, name: str) -> Standing:
        """Return how ``name`` stands; ``pending`` for what is not known, or not to be registered here."""
        return self._standings.of(name)

    def standings(self) -> Mapping[str, Remembered]:
        """Return how each definition stands of which that is known; the others are pending."""
        return self._standings.all()

    def is_ready(self, name: str) -> bool:
        """Return whether ``name`` is known to be registered, and enabled."""
        return self._standings.of(name) == "registered"

    def blocked(self) -> frozenset[str]:
        """Return the names whose values must not be sent: another definition has the name, or none ever will."""
        return self._standings.blocked()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called after each change of a standing, on the thread of ``step()``; it must not block."""
        self._standings.on_change(callback)

    def stop(self) -> None:
        """End the attempt that is running; later ones end at once."""
        self._stopping.set()
        self._subject.stop()

    def due_in_s(self) -> float:
        """Return the seconds until the next attempt, as far as it is planned now."""
        return max(0.0, self._due - self._clock.monotonic())

    def close(self) -> None:
        """Remember how long this run has waited; after the last ``step()``."""
        if self._waits_since is not None:
            self._standings.waited(self._clock.monotonic() - self._waits_since)
            self._waits_since = None

    def wait_s(self) -> float:
        """Return the seconds until the next step."""
        longest_s = CREDENTIALS_LOOK_S if self._standings.is_any("denied") else LONGEST_STEP_S
        if self._waits_since is not None:
            longest_s = WAITED_S
        return min(self.due_in_s(), longest_s)

    def step(self) -> float:
        """Make an attempt if one is due; return the seconds until the next step.

        Blocks while an attempt is made: seconds as a rule, minutes with many definitions or a slow service.
        """
        self._standings.save()
        self._plan_anew()
        if self._clock.monotonic() >= self._due:
            self._attempt()
            self._standings.save()
        else:
            self._note_waiting()
        return self.wait_s()

    def _is_all_registered(self) -> bool:
        return self._standings.registered() == self._names

    def _plan_anew(self) -> None:
        """Move the next attempt where the wall clock, or new credentials, give a reason."""
        now = self._clock.monotonic()
        version, known = self._subject.version(), self._version
        self._version = version
        if known not in ("", version):
            logger.info("registration %s: the credentials have changed", self.service)
            self._wait_for_share(now)
        looked_at = self._standings.looked_at
        if looked_at is None or not self._is_all_registered():
            return
        left_s = self._timing.until_look_s(looked_at, self._clock.now())
        if left_s == 0:
            self._wait_for_share(now)
        elif left_s and not self._has_attempted and version == self._standings.credentials:
            self._due, self._waits_since = now + left_s, None

    def _wait_for_share(self, now: float) -> None:
        share_s = self._timing.delay_s(self._standings.waited_s)
        if now + share_s < self._due:
            self._due, self._waits_since = now + share_s, now

    def _note_waiting(self) -> None:
        """Remember from time to time how long this run has waited, for one that ends before its turn."""
        if self._waits_since is None:
            return
        waited_s = self._clock.monotonic() - self._waits_since
        if waited_s >= WAITED_S:
            self._waits_since += waited_s
            self._standings.waited(waited_s)

    def _attempt(self) -> None:
        self._has_attempted, self._waits_since = True, None
        self._failures += 1
        self._retry()  # stands if something is raised that nobody foresaw
        self._version = self._subject.version()
        self._standings.attempted(self._version)
        settled: dict[str, Outcome] = {}
        is_news = bool(self._trouble)
        self._told = set()
        try:
            for outcome in self._subject.attempt(self._standings.registered()):
                if outcome.name in self._names and outcome.standing != "pending":
                    if self._settle(outcome):
                        is_news, self._failures = True, 1  # it is getting on
                    settled[outcome.name] = outcome
            self._check_complete(settled)
        except (Throttled, Unreachable) as error:
            self._failed(error)
        else:
            self._done()
            telling.summary(self.service, settled.values(), is_news=is_news)

    def _settle(self, outcome: Outcome) -> bool:
        """Remember an outcome; return whether it is news."""
        is_news = self._standings.learn({outcome.name: outcome.standing}, outcome.reason)
        if is_news and (outcome.standing, outcome.reason) not in self._told:
            telling.changed(self.service, outcome)
            if outcome.standing == "denied":  # one refusal may concern a hundred
                self._told.add((outcome.standing, outcome.reason))
        elif is_news:
            logger.debug("registration %s: %s %s likewise", self.service, outcome.name, outcome.standing)
        else:
            logger.debug("registration %s: %s %s, as before", self.service, outcome.name, outcome.standing)
        return is_news

    def _check_complete(self, settled: Collection[str]) -> None:
        left = sorted(self._names - set(settled))
        if left:
            more = f" and {len(left) - NAMES} more" if len(left) > NAMES else ""
            raise Unreachable(f"the attempt ended before {', '.join(left[:NAMES])}{more}")

    def _done(self) -> None:
        self._trouble.end()
        self._failures = 0
        self._standings.looked()
        if self._standings.is_any("denied") or self._standings.is_any("disabled"):
            self._look_soon()
        else:
            self._denials = 0
            self._due = self._clock.monotonic() + self._timing.next_look_s(self._random)

    def _failed(self, error: DeliveryError) -> None:
        """Plan the next attempt after one that settled not all."""
        if self._stopping.is_set():
            return
        match error:
            case Throttled():
                wait_s = self._timing.throttled_s(self._failures, self._random)
                self._due = self._clock.monotonic() + min(error.after_s, THROTTLE_CAP_S) + wait_s
            case Denied():
                self._failures = 0
                self._look_soon()
                self._standings.learn(dict.fromkeys(self._standings.undecided(), "denied"), str(error))
            case _:
                self._retry()
        self._trouble.begin(error, self._due - self._clock.monotonic())

    def _look_soon(self) -> None:
        """Plan the next attempt after one whose result somebody may change at any time, but rarely does."""
        self._denials += 1
        self._due = self._clock.monotonic() + self._timing.denied_s(self._denials, self._random)

    def _retry(self) -> None:
        self._due = self._clock.monotonic() + self._timing.retry_s(self._failures, self._random)


def digests_of(definition: Definition, identity: str) -> Digests:
    """Return the digests of a definition and of the service that it is registered with."""
    parts = (definition.fingerprint(), definition.essence())
    return Digests(*(hashlib.blake2b(f"{identity}\n{part}".encode(), digest_size=16).hexdigest() for part in parts))
