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
from typing import Any

import msgspec

from thingmeter.clock import SystemClock
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.comparison import Uom, compare
from thingmeter.destinations.devrev.definition import UomDefinition
from thingmeter.destinations.devrev.uoms import Call, Refusal, Uoms, found_in
from thingmeter.destinations.https import Exchange, Https
from thingmeter.destinations.pacing import paced
from thingmeter.errors import Unreachable
from thingmeter.plans import Action, Outcome, Plan, Step

DISABLED = (
    "switched off in DevRev (is_enabled is false), where its records would be dropped in silence: switch it on there; "
    "its records wait until then"
)
USER_SCOPE = "its metric_scope in DevRev is user: EVERY RECORD NEEDS A user_ref"
NOT_SENT = "its records are not sent"


def connect(account: Mapping[str, Any], *, gap_s: float) -> UomRegistrar:
    """Return a registrar for one attempt; no call is made yet.

    Args:
        account: the members of an ``Account``.
        gap_s: the mean wait between two calls, in seconds.
    """
    known = msgspec.convert(account, Account)
    https = Https(ca_file=known.ca_file)
    exchange = paced(https.exchange, gap_s, wait=threading.Event().wait, random=Random())  # noqa: S311 - no secret
    return UomRegistrar(exchange, known, close=https.close)


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
        self._found: dict[str, Uom] = {}
        self._all: tuple[Mapping[str, Any], ...] | None = None
        self._forbidden: dict[Call, str] = {}

    def plan(self, definitions: Sequence[UomDefinition], known: Collection[str]) -> Plan:
        """Look at what DevRev has, with one listing; see ``protocols.Registrar``."""
        self._uoms.begin()
        self._definitions = {definition.name: definition for definition in definitions}
        self._found = self._uoms.named(self._definitions)
        self._all = None
        self._forbidden = {}
        return Plan(tuple(self._step(definition, known) for definition in definitions))

    def apply(self, plan: Plan) -> Iterator[Outcome]:
        """Carry out the plan; see ``protocols.Registrar``.

        What stays undecided (DevRev may or may not have carried a call out) does not hold up the rest; it is raised as
        Unreachable at the end.
        """
        undecided = []
        for step in plan.steps:
            outcome = self._carry_out(step)
            if isinstance(outcome, Outcome):
                yield outcome
            else:
                undecided.append(f"{step.name}: {outcome}")
        if undecided:
            raise Unreachable("; ".join(undecided))

    def _step(self, definition: UomDefinition, known: Collection[str]) -> Step:
        uom = self._found.get(definition.name.lower())
        if uom is None:
            return Step(definition.name, "create")
        comparison = compare(definition, uom)
        if comparison.conflict:
            return Step(definition.name, "conflict", _conflict(comparison.conflict))
        if comparison.missing:
            return Step(definition.name, "update", f"adds the dimensions {', '.join(comparison.missing)}")
        reason = _settled(definition, uom, "adopt").reason
        return Step(definition.name, "unchanged" if definition.name in known else "adopt", reason)

    def _carry_out(self, step: Step) -> Outcome | str:
        """Return the outcome of a step, or why it stays undecided."""
        definition = self._definitions[step.name]
        uom = self._found.get(step.name.lower())
        return self._create(definition) if uom is None else self._agree(definition, uom, step.action)

    def _create(self, definition: UomDefinition) -> Outcome | str:
        name = definition.name
        if "uoms.create" in self._forbidden:
            return Outcome(name, "create", "denied", self._forbidden["uoms.create"])
        made = self._uoms.create(definition)
        if isinstance(made, Uom):
            return self._agree(definition, made, "create")
        if made.kind in {"forbidden", "lasting"}:
            return self._denied(definition, "create", "uoms.create", made)
        found = self._look(definition, made)
        if found is not None:
            return self._agree(definition, found, "create" if made.kind == "unclear" else "adopt")
        if made.kind == "invalid":
            return Outcome(name, "create", "refused", f"{made.words}: correct [[devrev.uom]]; {NOT_SENT} until then")
        return f"{made.words}; uoms.list does not show it, it is looked for again later"

    def _agree(self, definition: UomDefinition, uom: Uom, action: Action) -> Outcome | str:
        """Return what comes of a UOM that DevRev has; adds the dimensions that it lacks."""
        comparison = compare(definition, uom)
        if comparison.conflict:
            return Outcome(definition.name, "conflict", "conflict", _conflict(comparison.conflict))
        if comparison.missing:
            return self._add(definition, uom, comparison.missing)
        return _settled(definition, uom, action)

    def _add(self, definition: UomDefinition, uom: Uom, missing: Sequence[str]) -> Outcome | str:
        what = f"DevRev lacks the dimensions {', '.join(missing)}"
        if "uoms.update" in self._forbidden:
            return Outcome(definition.name, "update", "denied", f"{what}: {self._forbidden['uoms.update']}")
        if not uom.id:
            return f"{what}, and they cannot be added to a UOM that it shows without an id"
        changed = self._uoms.add_dimensions(uom.id, missing, definition)
        if isinstance(changed, Uom):
            return self._added(definition, changed) or f"{what} even after an update that it accepted"
        if changed.kind == "forbidden":
            return self._denied(definition, "update", "uoms.update", changed)
        now = self._look(definition, changed)  # another device may have added the same
        if now is None:
            return f"{changed.words}; uoms.list does not show the UOM any more, it is looked for again later"
        outcome = self._added(definition, now)
        if outcome is not None:
            return outcome
        if changed.kind == "invalid":
            reason = f"{what}, and {changed.words}: add them there, or correct [[devrev.uom]]; {NOT_SENT} until then"
            return Outcome(definition.name, "update", "refused", reason)
        if changed.kind == "lasting":
            return self._denied(definition, "update", "uoms.update", changed)
        return f"{changed.words}; the dimensions are not there yet"

    def _added(self, definition: UomDefinition, uom: Uom) -> Outcome | None:
        """Return the outcome of an update that left ``uom``; None when dimensions are still missing."""
        comparison = compare(definition, uom)
        if comparison.conflict:
            return Outcome(definition.name, "conflict", "conflict", _conflict(comparison.conflict))
        if comparison.missing and uom.dimensions is not None:
            return None
        return _settled(definition, uom, "update")

    def _look(self, definition: UomDefinition, refusal: Refusal) -> Uom | None:
        """Return the UOM as DevRev has it now: by its filter, then, where it says that there is one, among all."""
        found = self._uoms.named([definition.name]).get(definition.name.lower())
        if found is not None or refusal.kind not in {"exists", "invalid"}:
            return found
        if self._all is None:  # the filter may tell upper from lower case, though the names do not
            self._all = self._uoms.listed()
        return found_in(self._all, definition.name)

    def _denied(self, definition: UomDefinition, action: Action, call: Call, refusal: Refusal) -> Outcome:
        if refusal.kind == "forbidden":
            self._forbidden[call] = refusal.words  # it would be so for every other UOM as well
        return Outcome(definition.name, action, "denied", refusal.words)


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
