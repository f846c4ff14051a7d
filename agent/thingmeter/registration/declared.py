"""What a configuration declares: the account and the definitions of each service, made into registrations."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from random import SystemRandom

from thingmeter.config import Config
from thingmeter.destinations.defender import account as defender_account
from thingmeter.destinations.defender.definition import definitions_of as custom_metrics_of
from thingmeter.destinations.devrev import account as devrev_account
from thingmeter.destinations.devrev.definition import definitions_of as uoms_of
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.errors import Problem, Throttled
from thingmeter.plans import Outcome
from thingmeter.protocols import Clock, Definition
from thingmeter.registration.child import Attempts, Job
from thingmeter.registration.lines import Service
from thingmeter.registration.registration import Attempt, Registration, Subject, digests_of
from thingmeter.registration.spread import Timing
from thingmeter.registration.standings import Standings, Store

logger = logging.getLogger(__name__)

GAP_S = 1.0  # between two calls of a device that shares its account's quota with a fleet
MISSING = "registration needs the AWS Common Runtime: pip install 'thingmeter[aws]'"


@dataclass(frozen=True, slots=True)
class Declared:
    """All that is to be registered with one service."""

    service: Service
    account: defender_account.Account | devrev_account.Account
    definitions: Sequence[Definition]

    def words(self) -> str:
        """Return for people what is registered where."""
        if isinstance(self.account, devrev_account.Account):
            return f"{len(self.definitions)} UOMs with DevRev at {self.account.endpoint_url}"
        where = self.account.endpoint_url or self.account.region
        return f"{len(self.definitions)} custom metrics with AWS IoT Device Defender in {where}"

    def job(self, gap_s: float) -> Job:
        """Return the job of registering it, with ``gap_s`` seconds between two calls."""
        definitions = [dataclasses.asdict(one) for one in self.definitions]  # type: ignore[call-overload]
        return Job(self.service, dataclasses.asdict(self.account), definitions, gap_s)

    def standings(self, store: Store, clock: Clock) -> Standings:
        """Return what ``store`` remembers of it."""
        digests = {one.name: digests_of(one, self.account.identity()) for one in self.definitions}
        return Standings(self.service, digests, store, clock)


def declared_in(config: Config) -> list[Declared]:
    """Return what ``config`` wants registered, service by service; nothing for a service that is switched off."""
    found = []
    if aws := defender_account.account_of(config):
        found.append(Declared("defender", aws, custom_metrics_of(config)))
    if devrev := devrev_account.account_of(config):
        found.append(Declared("devrev", devrev, uoms_of(config)))
    return found


def library_problem(config: Config) -> Problem | None:
    """Return what keeps ``config`` from being registered on this machine: a library that is not installed."""
    needed = any(one.service == "defender" for one in declared_in(config))
    return config.problem("aws", "", MISSING) if needed and not importlib.util.find_spec("awscrt") else None


def registrations_of(config: Config, store: Store, clock: Clock, pause: Pause) -> dict[Service, Registration]:
    """Return a registration for each service that ``config`` wants something registered with, and this machine can.

    ``pause`` is shared by all who use DevRev's token.
    """
    problem = library_problem(config)
    if problem:
        logger.error("%s; until then custom metrics are not registered", problem)
    if config.defender and config.defender.custom_metric and config.aws is None:
        logger.info("custom metrics are not registered from here: there is no table [aws]")
    timing = Timing(config.thing.name, config.registration.spread_s, config.registration.verify_interval_s)
    registrations = {}
    for one in declared_in(config):
        if one.service == "defender" and problem:
            continue
        attempts = Attempts(one.job(GAP_S if timing.spread_s else 0), clock)
        subject = Subject(
            one.service,
            one.definitions,
            one.account.identity(),
            attempts.apply if one.service == "defender" else _sharing(attempts.apply, pause),
            version=one.account.version,
            stop=attempts.stop,
        )
        registrations[one.service] = Registration(subject, timing, store, clock, SystemRandom())
    return registrations


def _sharing(attempt: Attempt, pause: Pause) -> Attempt:
    """Return ``attempt``, which waits when others with the same token were asked to, and makes them wait as well."""

    def attempt_in_turn(known: Collection[str]) -> Iterator[Outcome]:
        if (left_s := pause.wait_s()) > 0:
            raise Throttled("DevRev has asked everybody with this token to wait", after_s=left_s)
        try:
            yield from attempt(known)
        except Throttled as error:
            pause.ask(error.after_s)
            raise

    return attempt_in_turn
