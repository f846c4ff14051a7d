"""Three definitions, and an attempt to register them in an account in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from defender.aws_account import URL, AwsAccount
from thingmeter.destinations.defender.control_plane import ControlPlane
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.defender.registrar import CustomMetricRegistrar
from thingmeter.errors import Unanswered
from thingmeter.plans import Outcome
from thingmeter.testing import ManualClock

A = CustomMetricDefinition("a", "number", "The A")
B = CustomMetricDefinition("b", "string-list")
C = CustomMetricDefinition("c", "number")
LOST = Unanswered("iot.eu-west-1.amazonaws.com: no answer")


def registrar(account: AwsAccount) -> CustomMetricRegistrar:
    """A registrar for the account."""
    return CustomMetricRegistrar(ControlPlane(URL, account, ManualClock()))


def register(account: AwsAccount, *wanted: CustomMetricDefinition, known: Sequence[str] = ()) -> list[Outcome]:
    """Plan, then carry out, and return what came of it."""
    one = registrar(account)
    return list(one.apply(one.plan(wanted, known)))


def short(outcomes: Iterable[Outcome]) -> list[str]:
    """Each outcome without its reason."""
    return [f"{outcome.name} {outcome.action} {outcome.standing}" for outcome in outcomes]


def creates(account: AwsAccount) -> list[str]:
    """The creations that the account was asked for."""
    return [call for call in account.calls if call.startswith("Create")]
