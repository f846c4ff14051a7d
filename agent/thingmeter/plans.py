"""The nouns of registration: what a service has to be told, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from thingmeter.errors import DeliveryError

Action: TypeAlias = Literal["create", "adopt", "update", "unchanged", "conflict"]
"""create: the service has none of the name. adopt: it has the same, which this device did not know of. update: it has
the same but for what may be changed. unchanged: it is as this device knows it. conflict: it has another one of the
name, which stays as it is."""

Standing: TypeAlias = Literal["registered", "disabled", "conflict", "refused", "denied", "pending"]
"""registered: declared as we have it. disabled: declared, but switched off there. conflict: the service has another one
of the name. refused: the service will not have this one (a limit, an invalid value). denied: the service refuses us.
pending: not known yet."""


@dataclass(frozen=True, slots=True)
class Step:
    """What registering one definition takes; ``reason`` is for people and may be empty, but not for a conflict."""

    name: str
    action: Action
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A step for each definition, in their order.

    Attributes:
        steps: one of each definition that could be looked at.
        trouble: why the others lack; None where none does. Whoever only looks raises it, ``apply()`` does at its end.
    """

    steps: tuple[Step, ...]
    trouble: DeliveryError | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one step.

    ``standing`` is never ``pending``. ``reason`` is one line for people: for anything but ``registered`` what is wrong
    and what to do; for ``registered`` what else is worth knowing, or empty.
    """

    name: str
    action: Action
    standing: Standing
    reason: str = ""
