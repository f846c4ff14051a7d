"""When to register with one service, and what is known to be registered there.

    definitions                                      first attempt after a start
    all remembered as registered                     verify_interval_s (and the share) after the last look; then at once
    any new, changed, or standing otherwise          after share * spread_s

    an attempt ends in   standings                          next attempt
    done                 as the outcomes say                after verify_interval_s, jittered
    Throttled            as the outcomes so far say         after what was asked for, and a back-off
    Unreachable          as the outcomes so far say         after a back-off
    Denied               denied, but for those settled      after verify_interval_s, or when the credentials change

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
from thingmeter.registration.standings import Standings, Store

logger = logging.getLogger(__name__)

CREDENTIALS_LOOK_S = 300.0  # between two looks at the credential files, while the service refuses us
THROTTLE_CAP_S = 86_400.0  # a longer wait is a mistake of the service's, and would never be seen to end

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
        self._fingerprints = {one.name: fingerprint(one, subject.identity) for one in subject.definitions}
        self._standings = Standings(subject.service, self._fingerprints, store, clock)
        self._stopping = threading.Event()
        self._trouble = telling.Trouble(subject.service)
        self._is_denied = self._standings.is_any("denied")
        self._version = subject.version()
        self._failures = 0
        self._credentials_at = clock.monotonic() + CREDENTIALS_LOOK_S  # monotonic; so is the next
        self._due = clock.monotonic() + self._start_delay_s()
        for name, one in self._standings.all().items():
            telling.remind(self.service, name, one.standing, one.reason)

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

    def wait_s(self) -> float:
        """Return the seconds until the next step."""
        next_step = min(self._due, self._credentials_at) if self._is_denied else self._due
        return max(0.0, next_step - self._clock.monotonic())

    def step(self) -> float:
        """Make an attempt if one is due; return the seconds until the next step.

        Blocks while an attempt is made: seconds as a rule, minutes with many definitions or a slow service.
        """
        self._standings.save()
        self._look_at_credentials()
        if self._clock.monotonic() >= self._due:
            self._attempt()
            self._standings.save()
        return self.wait_s()

    def _start_delay_s(self) -> float:
        """Return the seconds from this start to the first attempt."""
        looked_at = self._standings.looked_at
        if looked_at is not None and self._standings.registered() == self._fingerprints.keys():
            left_s = self._timing.until_look_s(looked_at, self._clock.now())
            if left_s > 0:
                return left_s
        delay_s = self._timing.start_delay_s(self._standings.starts)
        self._standings.started()
        return delay_s

    def _look_at_credentials(self) -> None:
        """Let the next attempt come sooner when we were denied and the credentials are new."""
        now = self._clock.monotonic()
        if self._is_denied and now >= self._credentials_at:
            self._credentials_at = now + CREDENTIALS_LOOK_S
            version, self._version = self._version, self._subject.version()
            if version != self._version:
                logger.info("registration %s: the credentials have changed", self.service)
                self._due = min(self._due, now + self._timing.soon_s())

    def _attempt(self) -> None:
        self._failures += 1
        self._retry_in(0)  # stands if something is raised that nobody foresaw
        self._version = self._subject.version()
        self._standings.attempted()
        settled: dict[str, Outcome] = {}
        is_news = bool(self._trouble)
        try:
            for outcome in self._subject.attempt(self._standings.registered()):
                if outcome.name in self._fingerprints and outcome.standing != "pending":
                    is_news |= self._settle(outcome)
                    settled[outcome.name] = outcome
            self._check_complete(settled)
        except (Throttled, Unreachable) as error:
            self._failed(error)
        else:
            self._done()
            telling.summary(self.service, settled.values(), is_news=is_news)
        self._credentials_at = self._clock.monotonic() + CREDENTIALS_LOOK_S

    def _settle(self, outcome: Outcome) -> bool:
        """Remember an outcome; return whether it is news."""
        is_news = self._standings.learn({outcome.name: outcome.standing}, outcome.reason)
        if is_news:
            telling.changed(self.service, outcome)
        else:
            logger.debug("registration %s: %s %s, as before", self.service, outcome.name, outcome.standing)
        return is_news

    def _check_complete(self, settled: Collection[str]) -> None:
        left = sorted(self._fingerprints.keys() - set(settled))
        if left:
            raise Unreachable(f"the attempt ended before {', '.join(left)}")

    def _done(self) -> None:
        self._trouble.end()
        self._failures = 0
        self._is_denied = self._standings.is_any("denied")
        self._standings.looked()
        self._due = self._clock.monotonic() + self._timing.next_look_s(self._random)

    def _failed(self, error: DeliveryError) -> None:
        """Plan the next attempt after one that settled not all."""
        if self._stopping.is_set():
            return
        match error:
            case Throttled():
                self._retry_in(min(error.after_s, THROTTLE_CAP_S))
            case Denied():
                self._failures = 0
                self._is_denied = True
                self._due = self._clock.monotonic() + self._timing.next_look_s(self._random)
                self._standings.learn(dict.fromkeys(self._standings.undecided(), "denied"), str(error))
            case _:
                self._retry_in(0)
        self._trouble.begin(error, self._due - self._clock.monotonic())

    def _retry_in(self, least_s: float) -> None:
        self._due = self._clock.monotonic() + least_s + self._timing.retry_s(self._failures, self._random)


def fingerprint(definition: Definition, identity: str) -> str:
    """Return a digest of a definition and of the service that it is registered with."""
    return hashlib.sha256(f"{identity}\n{definition.fingerprint()}".encode()).hexdigest()
