"""Registers custom metrics with Device Defender: looks, then creates, adopts or updates. Never deletes.

    listed?   no                                -> create      taken meanwhile -> look, as below
              yes, and this device knows it     -> unchanged   nothing is asked, but of one when all are so
              yes: describe   same type         -> adopt, or update where the display name is another
                              other type        -> conflict

Loaded in the short-lived child process only, since it brings urllib3 and awscrt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Literal, TypeAlias, assert_never

import msgspec

from thingmeter.clock import SystemClock
from thingmeter.destinations.answers import Refusal, one_line
from thingmeter.destinations.defender.account import Account
from thingmeter.destinations.defender.control_plane import ControlPlane, RegisteredMetric
from thingmeter.destinations.defender.credentials import Credentials, RenewedCredentials, RoleAlias, issued
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.defender.endpoints import control_plane_url
from thingmeter.destinations.defender.refusals import RefusalKind
from thingmeter.destinations.https import Answer, Https, Request
from thingmeter.destinations.pacing import paced, patient
from thingmeter.destinations.undecided import Undecided
from thingmeter.errors import DeliveryError, Denied, Throttled, Unanswered, Unreachable
from thingmeter.plans import Action, Outcome, Plan, Step

_Operation: TypeAlias = Literal["describe", "create", "update"]
_Refused: TypeAlias = Refusal[RefusalKind]

CALLING: frozenset[Action] = frozenset({"create", "update"})
SETTLED: frozenset[Action] = frozenset({"unchanged", "conflict"})


class CustomMetricRegistrar:
    """A ``protocols.Registrar`` for one account and region; for one thread.

    A call that fails leaves its own metric undecided and goes on with the others. Once the service asks to wait, or
    does not know us, no more calls are made, and what was seen until then is carried out as far as it takes none. An
    operation that the account's policies deny, or its quota, is not asked for again within an attempt.

    Args:
        control_plane: of the account and region.
        random: chooses which known metric is looked at again.
    """

    def __init__(self, control_plane: ControlPlane, random: Random | None = None) -> None:
        self._control_plane = control_plane
        self._random = random or Random()  # noqa: S311  # no secret
        self._definitions: dict[str, CustomMetricDefinition] = {}
        self._unseen: dict[str, _Refused] = {}  # listed, but the service does not describe it
        self._barred: dict[_Operation, _Refused] = {}
        self._undecided = Undecided()
        self._end: Throttled | Denied | None = None  # of the looking, before all was seen

    def plan(self, definitions: Sequence[CustomMetricDefinition], known: Collection[str]) -> Plan:
        """Look at what the account has and return a step for each definition; see ``protocols.Registrar``."""
        self._begin(definitions)
        if not definitions:
            return Plan(())
        listed = self._control_plane.list_names()
        steps = []
        for definition in definitions:
            try:
                steps.append(self._step(definition, listed, known))
            except (Throttled, Denied) as error:
                self._end = error
                break
            except Unreachable as error:
                self._undecided.add(definition.name, error)
        return Plan(tuple(self._looked_again(steps)), self._trouble())

    def apply(self, plan: Plan) -> Iterator[Outcome]:
        """Carry out the plan that ``plan()`` returned last; see ``protocols.Registrar``."""
        for step in plan.steps:
            if self._end is not None and step.action in CALLING:
                continue
            try:
                outcome = self._carry_out(self._definitions[step.name], step)
            except Denied:
                raise
            except Unreachable as error:
                self._undecided.add(step.name, error)
            else:
                yield outcome
        trouble = self._trouble()
        if trouble is not None:
            raise trouble

    def _begin(self, definitions: Sequence[CustomMetricDefinition]) -> None:
        self._definitions = {definition.name: definition for definition in definitions}
        self._unseen, self._barred = {}, {}
        self._undecided, self._end = Undecided(), None

    def _trouble(self) -> DeliveryError | None:
        return self._undecided.error() if self._end is None else self._end

    def _looked_again(self, steps: Sequence[Step]) -> Sequence[Step]:
        """Return the steps after a look at one of those that are unchanged, where there is nothing else to do.

        It may have been deleted and made anew with another type. One at a time: its turn comes, and a fleet's calls
        stay few. Whatever keeps us from seeing it is no trouble, since nothing waits for it.
        """
        unchanged = [place for place, step in enumerate(steps) if step.action == "unchanged"]
        if not unchanged or self._trouble() is not None or any(step.action not in SETTLED for step in steps):
            return steps
        place = self._random.choice(unchanged)
        definition = self._definitions[steps[place].name]
        try:
            found = self._describe(definition.name)
        except DeliveryError:
            return steps
        if isinstance(found, Refusal):
            now = Step(definition.name, "create") if found.kind == "missing" else steps[place]
        else:
            now = compared(definition, found)
        if now.action not in {"create", "conflict"}:  # a display name is no reason: devices may differ in it for days
            return steps
        return [*steps[:place], now, *steps[place + 1 :]]

    def _step(self, definition: CustomMetricDefinition, listed: Collection[str], known: Collection[str]) -> Step:
        if definition.name not in listed:
            return Step(definition.name, "create")
        if definition.name in known:
            return Step(definition.name, "unchanged")
        found = self._describe(definition.name)
        if not isinstance(found, Refusal):
            return compared(definition, found)
        if found.kind == "missing":  # deleted since it was listed
            return Step(definition.name, "create")
        self._unseen[definition.name] = found
        return Step(definition.name, "adopt", found.reason)

    def _carry_out(self, definition: CustomMetricDefinition, step: Step) -> Outcome:
        match step.action:
            case "create":
                return self._create(definition)
            case "update":
                return self._update(definition)
            case "adopt" if step.name in self._unseen:
                return _refused(step.name, step.action, self._unseen[step.name])
            case "adopt" | "unchanged":
                return Outcome(step.name, step.action, "registered")
            case "conflict":
                return Outcome(step.name, step.action, "conflict", step.reason)
            case _:
                assert_never(step.action)

    def _create(self, definition: CustomMetricDefinition) -> Outcome:
        try:
            refusal = self._barred.get("create") or self._control_plane.create(definition)
        except Unanswered as unanswered:
            return self._settle(definition, unanswered)
        if refusal is None:
            return Outcome(definition.name, "create", "registered")
        if refusal.kind == "exists":
            return self._settle(definition, Unreachable(f"{refusal.reason}, and then that there is none; looks again"))
        if refusal.kind in {"denied", "limit"}:
            self._barred["create"] = refusal
        if refusal.kind == "invalid":  # what AWS says of a known token with other tags is not documented: look
            found = self._describe(definition.name)
            if not isinstance(found, Refusal):
                return self._carry_out(definition, compared(definition, found))
        return _refused(definition.name, "create", refusal)

    def _settle(self, definition: CustomMetricDefinition, undecided: Unreachable) -> Outcome:
        """Return what a create came to, by what is registered now.

        Raises:
            Unreachable: ``undecided``, where nothing is.
        """
        found = self._describe(definition.name)
        if not isinstance(found, Refusal):
            return self._carry_out(definition, compared(definition, found))
        if found.kind == "missing":
            raise undecided
        return _refused(definition.name, "adopt", found)

    def _update(self, definition: CustomMetricDefinition) -> Outcome:
        """Change the display name; that it cannot be changed leaves the metric registered."""
        try:
            refusal = self._barred.get("update") or self._control_plane.update(definition.name, definition.display_name)
        except Unanswered as unanswered:
            return _kept_name(definition.name, str(unanswered))
        if refusal is None:
            return Outcome(definition.name, "update", "registered")
        if refusal.kind == "missing":
            raise Unreachable(f"{refusal.reason}; {definition.name} was deleted just now, looks again")
        if refusal.kind == "denied":
            self._barred["update"] = refusal
        return _kept_name(definition.name, refusal.reason)

    def _describe(self, name: str) -> RegisteredMetric | _Refused:
        found = self._barred.get("describe") or self._control_plane.describe(name)
        if isinstance(found, Refusal) and found.kind == "denied":
            self._barred["describe"] = found
        return found


def compared(definition: CustomMetricDefinition, found: RegisteredMetric) -> Step:
    """Return what it takes to register ``definition`` where the account has ``found`` under its name."""
    name, ours, theirs = definition.name, definition.type, found.metric_type
    if ours != theirs:
        return Step(
            name,
            "conflict",
            f"{name} is registered as {one_line(theirs)}, here it is {ours}; a type cannot be changed: give it another "
            "name here, or delete the old one in AWS",
        )
    if definition.display_name and definition.display_name != (found.display_name or ""):
        shown = one_line(found.display_name or "") or "nothing"
        return Step(name, "update", f"the display name: {shown} becomes {definition.display_name}")
    return Step(name, "adopt")


def connect(account: Mapping[str, Any], *, gap_s: float) -> CustomMetricRegistrar:
    """Return a registrar for an ``Account`` that came as JSON; connects to nothing yet.

    Args:
        account: the members of an ``Account``.
        gap_s: mean wait before each call to the control plane but the first.

    Raises:
        Denied: this installation or the account's settings cannot reach AWS, whatever is asked.
    """
    wanted = msgspec.convert(account, Account)
    url = control_plane_url(
        wanted.region,
        endpoint_url=wanted.endpoint_url,
        use_fips=wanted.use_fips_endpoint,
        use_dualstack=wanted.use_dualstack_endpoint,
    )
    try:
        from thingmeter.destinations.defender import signing  # noqa: PLC0415  # an optional extra
    except ImportError as error:
        raise Denied(f"registering with AWS needs the extra aws: pip install 'thingmeter[aws]' ({error})") from error
    clock = SystemClock()
    credentials = RenewedCredentials(_source(wanted) or signing.chain_credentials, clock)
    https = Https(ca_file=wanted.ca_file)

    def signed_exchange(request: Request) -> Answer:
        signed = signing.signed(request, credentials.current(), region=wanted.region, at=clock.now())
        return https.exchange(signed)

    exchange = paced(signed_exchange, gap_s, wait=threading.Event().wait, random=Random())  # noqa: S311  # no secret
    return CustomMetricRegistrar(ControlPlane(url, patient(exchange), clock))


def definitions(items: Sequence[Mapping[str, Any]]) -> tuple[CustomMetricDefinition, ...]:
    """Return the definitions that came as JSON."""
    return msgspec.convert(items, tuple[CustomMetricDefinition, ...])


def _source(account: Account) -> Callable[[], Credentials] | None:
    """Return what issues credentials for the thing's certificate; None without a role alias."""
    if not account.role_alias:
        return None
    https = Https(
        ca_file=account.credentials_ca_file,
        certificate_file=account.certificate_file,
        private_key_file=account.private_key_file,
    )
    role = RoleAlias(account.credentials_endpoint, account.role_alias, account.thing)
    return partial(issued, role, https.exchange, SystemClock())


def _refused(name: str, action: Action, refusal: _Refused) -> Outcome:
    """Return the outcome for a metric that the service will not have, or will not have from us."""
    match refusal.kind:
        case "limit" | "invalid":
            return Outcome(name, action, "refused", refusal.reason)
        case "denied":
            return Outcome(name, action, "denied", refusal.reason)
        case "exists" | "missing":
            reason = f"{refusal.reason}, an answer that AWS IoT does not have here; check the endpoint in [aws]"
            return Outcome(name, action, "denied", reason)
        case _:
            assert_never(refusal.kind)


def _kept_name(name: str, reason: str) -> Outcome:
    return Outcome(name, "update", "registered", f"AWS keeps showing another display name: {reason}")
