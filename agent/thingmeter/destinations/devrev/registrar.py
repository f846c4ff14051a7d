"""Registers UOMs with DevRev: looks first, creates what is missing, adopts what is there, never deletes.

Two devices may create the same UOM at once, and a create whose answer got lost may have been carried out: after every
create that did not clearly succeed comes a look, and never a second create in the same attempt. Loaded in the
short-lived child process only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, TypeAlias

import msgspec

from thingmeter.clock import SystemClock
from thingmeter.destinations.answers import Refusal
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.comparison import Uom, compare
from thingmeter.destinations.devrev.definition import UomDefinition
from thingmeter.destinations.devrev.seen import Seen
from thingmeter.destinations.devrev.uoms import Call, RefusalKind, Uoms
from thingmeter.destinations.https import Exchange, Https
from thingmeter.destinations.pacing import paced, patient
from thingmeter.destinations.undecided import Undecided
from thingmeter.errors import DeliveryError, Denied, Throttled, Unreachable
from thingmeter.plans import Action, Outcome, Plan, Step

DISABLED = (
    "switched off in DevRev (is_enabled is false), where its records would be dropped in silence: switch it on there; "
    "its records wait until then"
)
USER_SCOPE = "its metric_scope in DevRev is user: EVERY RECORD NEEDS A user_ref"
NOT_SENT = "its records are not sent"
HIDDEN = (
    "the name is taken by a UOM that this token cannot see, not even in the whole list: use a token that sees it, or "
    "another metric_name; its records wait until then"
)

CALLING: frozenset[Action] = frozenset({"create", "update"})

_Refused: TypeAlias = Refusal[RefusalKind]


def connect(account: Mapping[str, Any], *, gap_s: float) -> UomRegistrar:
    """Return a registrar for one attempt; no call is made yet.

    Args:
        account: the members of an ``Account``.
        gap_s: the mean wait between two calls, in seconds.
    """
    known = msgspec.convert(account, Account)
    https = Https(ca_file=known.ca_file)
    exchange = paced(https.exchange, gap_s, wait=threading.Event().wait, random=Random())  # noqa: S311 - no secret
    return UomRegistrar(patient(exchange), known, close=https.close)


def definitions(items: Sequence[Mapping[str, Any]]) -> tuple[UomDefinition, ...]:
    """Return the definitions that JSON documents stand for: the members of a ``UomDefinition`` each."""
    return msgspec.convert(items, tuple[UomDefinition, ...])


class UomRegistrar:
    """One attempt to register UOMs; a ``protocols.Registrar``.

    Args:
        exchange: carries a request out.
        account: of the organisation.
        now: returns the aware wall time; the system's when not given.
        close: ends what ``exchange`` holds, if it holds anything.
    """

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        now: Callable[[], datetime] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.close = close or (lambda: None)
        self._uoms = Uoms(exchange, account, now or SystemClock().now)
        self._definitions: dict[str, UomDefinition] = {}
        self._forbidden: dict[Call, str] = {}
        self._undecided = Undecided()
        self._end: Throttled | Denied | None = None  # of the looking, before all was seen
        self._seen = Seen(self._uoms, ())

    def plan(self, definitions: Sequence[UomDefinition], known: Collection[str]) -> Plan:
        """Look at what DevRev has, with a listing for each fifty names; see ``protocols.Registrar``."""
        self._uoms.begin()
        self._definitions = {definition.name: definition for definition in definitions}
        self._forbidden = {}
        self._undecided, self._end = Undecided(), None
        self._seen = Seen(self._uoms, self._definitions)
        self._seen.look(known)
        steps = []
        for definition in definitions:
            try:
                steps.append(self._step(definition, known))
            except (Throttled, Denied) as error:
                self._end = error
            except Unreachable as error:
                self._undecided.add(definition.name, error)
        return Plan(tuple(steps), self._trouble())

    def apply(self, plan: Plan) -> Iterator[Outcome]:
        """Carry out the plan; see ``protocols.Registrar``.

        What stays undecided (DevRev may or may not have carried a call out) does not hold up the rest. Where the
        looking came to an end because DevRev asks to wait, or refuses the token, no more calls are made.
        """
        for step in plan.steps:
            if self._end is not None and step.action in CALLING:
                continue
            try:
                outcome = self._carry_out(step)
            except Denied:
                raise
            except Unreachable as error:
                self._undecided.add(step.name, error)
            else:
                yield outcome
        trouble = self._trouble()
        if trouble is not None:
            raise trouble

    def _trouble(self) -> DeliveryError | None:
        return self._undecided.error() if self._end is None else self._end

    def _step(self, definition: UomDefinition, known: Collection[str]) -> Step:
        uom = self._seen.uom(definition.name)
        if uom is None:
            return Step(definition.name, "create")
        comparison = compare(definition, uom)
        if comparison.conflict:
            return Step(definition.name, "conflict", _conflict(comparison.conflict))
        if comparison.missing:
            return Step(definition.name, "update", f"adds the dimensions {', '.join(comparison.missing)}")
        reason = _settled(definition, uom, "adopt").reason
        return Step(definition.name, "unchanged" if definition.name in known else "adopt", reason)

    def _carry_out(self, step: Step) -> Outcome:
        """Return the outcome of a step.

        Raises:
            Unreachable: it stays undecided.
        """
        definition = self._definitions[step.name]
        uom = self._seen.uom(step.name)
        return self._create(definition) if uom is None else self._agree(definition, uom, step.action)

    def _create(self, definition: UomDefinition) -> Outcome:
        name = definition.name
        if "uoms.create" in self._forbidden:
            return Outcome(name, "create", "denied", self._forbidden["uoms.create"])
        made = self._uoms.create(definition)
        if isinstance(made, Uom):
            return self._agree(definition, made, "create")
        if made.kind in {"forbidden", "lasting"}:
            return self._denied(definition, "create", "uoms.create", made)
        found = self._look(definition.name, made)
        if found is not None:
            return self._agree(definition, found, "create" if made.kind == "unclear" else "adopt")
        match made.kind:
            case "invalid":
                todo = f"correct [[devrev.uom]]; {NOT_SENT} until then"
                return Outcome(name, "create", "refused", f"{made.reason}: {todo}")
            case "exists":
                return Outcome(name, "create", "denied", f"{made.reason}: {HIDDEN}")
            case _:
                raise Unreachable(f"{made.reason}; uoms.list does not show it, it is looked for again later")

    def _agree(self, definition: UomDefinition, uom: Uom, action: Action) -> Outcome:
        """Return what comes of a UOM that DevRev has; adds the dimensions that it lacks."""
        comparison = compare(definition, uom)
        if comparison.conflict:
            return Outcome(definition.name, "conflict", "conflict", _conflict(comparison.conflict))
        if comparison.missing:
            return self._add(definition, uom, comparison.missing)
        return _settled(definition, uom, action)

    def _add(self, definition: UomDefinition, uom: Uom, missing: Sequence[str]) -> Outcome:
        what = f"DevRev lacks the dimensions {', '.join(missing)}"
        if "uoms.update" in self._forbidden:
            return Outcome(definition.name, "update", "denied", f"{what}: {self._forbidden['uoms.update']}")
        if not uom.id:
            raise Unreachable(f"{what}, and they cannot be added to a UOM that it shows without an id")
        changed = self._uoms.add_dimensions(uom.id, missing, definition)
        if isinstance(changed, Uom):
            outcome = _added(definition, changed)
            if outcome is None:
                raise Unreachable(f"{what} even after an update that it accepted")
            return outcome
        if changed.kind == "forbidden":
            return self._denied(definition, "update", "uoms.update", changed)
        return self._added_by_others(definition, uom.id, changed) or self._not_added(definition, what, changed)

    def _added_by_others(self, definition: UomDefinition, uom_id: str, refusal: _Refused) -> Outcome | None:
        """Return the outcome where the UOM has all dimensions now, whatever became of our update; None where not."""
        now = self._look(definition.name, refusal)
        if now is None:
            raise Unreachable(
                f"{refusal.reason}; uoms.list does not show the UOM any more, it is looked for again later"
            )
        if now.dimensions is None and refusal.kind == "invalid":  # perhaps it has them, and the list does not tell
            now = self._uoms.get(uom_id, definition) or now
        return _added(definition, now)

    def _not_added(self, definition: UomDefinition, what: str, refusal: _Refused) -> Outcome:
        name = definition.name
        match refusal.kind:
            case "invalid":
                todo = f"add them there, or correct [[devrev.uom]]; {NOT_SENT} until then"
                return Outcome(name, "update", "refused", f"{what}, and {refusal.reason}: {todo}")
            case "exists" | "lasting":
                return Outcome(name, "update", "denied", f"{what}, and {refusal.reason}: add them there")
            case _:
                raise Unreachable(f"{refusal.reason}; the dimensions are not there yet")

    def _look(self, name: str, refusal: _Refused) -> Uom | None:
        """Return the UOM as DevRev has it now: by its filter, then, where it says that there is one, among all."""
        return self._seen.uom_now(name, among_all=refusal.kind in {"exists", "invalid"})

    def _denied(self, definition: UomDefinition, action: Action, call: Call, refusal: _Refused) -> Outcome:
        if refusal.kind == "forbidden":
            self._forbidden[call] = refusal.reason  # it would be so for every other UOM as well
        return Outcome(definition.name, action, "denied", refusal.reason)


def _added(definition: UomDefinition, uom: Uom) -> Outcome | None:
    """Return the outcome of an update that left ``uom``; None where dimensions are still missing."""
    comparison = compare(definition, uom)
    if comparison.conflict:
        return Outcome(definition.name, "conflict", "conflict", _conflict(comparison.conflict))
    return None if comparison.missing else _settled(definition, uom, "update")


def _settled(definition: UomDefinition, uom: Uom, action: Action) -> Outcome:
    """Return the outcome for a UOM that agrees with its definition."""
    notes = list(compare(definition, uom).notes)
    if notes:
        notes = [f"left as it is: {', '.join(notes)}"]
    if uom.metric_scope == "user":
        notes.insert(0, USER_SCOPE)
    if uom.is_enabled is False:
        return Outcome(definition.name, action, "disabled", "; ".join([DISABLED, *notes]))
    return Outcome(definition.name, action, "registered", "; ".join(notes))


def _conflict(differences: str) -> str:
    return f"DevRev has another UOM of this name: {differences}; {NOT_SENT} until one of the two is changed"
