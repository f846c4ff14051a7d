"""What stays undecided: one error for all of it, by reason."""

from __future__ import annotations

from thingmeter.destinations.undecided import Undecided
from thingmeter.errors import Unanswered, Unreachable


def undecided(**reasons: Unreachable) -> Undecided:
    made = Undecided()
    for name, why in reasons.items():
        made.add(name, why)
    return made


def test_when_all_is_decided_there_is_no_error() -> None:
    assert undecided().error() is None


def test_each_reason_is_told_with_its_names() -> None:
    error = undecided(a=Unreachable("no route"), b=Unreachable("timeout"), c=Unreachable("no route")).error()

    assert str(error) == "a, c: no route; b: timeout"


def test_many_names_are_counted() -> None:
    error = undecided(**{f"m{number}": Unreachable("no route") for number in range(100)}).error()

    assert str(error) == "m0, m1, m2 and 97 more: no route"


def test_one_that_may_have_been_carried_out_makes_it_unanswered() -> None:
    assert type(undecided(a=Unreachable("x"), b=Unanswered("y")).error()) is Unanswered


def test_otherwise_it_is_unreachable() -> None:
    assert type(undecided(a=Unreachable("x")).error()) is Unreachable
