"""``thingmeter outbox totals`` on a real outbox: exact, per UOM and day, and wrong when it is wrong."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.stopped_agent import LITRES, StoppedAgent, record, refuse
from thingmeter.cli import FAILED
from thingmeter.commands.outbox.choosing import Choice
from thingmeter.commands.outbox.tables import briefly, exactly
from thingmeter.commands.outbox.totals import totals
from thingmeter.config import load
from thingmeter.outbox import Count, LedgerRow, Outbox

DAY = 96  # windows


def test_without_usage_there_is_nothing_to_add_up(agent: StoppedAgent) -> None:
    with agent.opened():
        pass

    assert agent.outbox("totals").out == "no usage was measured yet\n"


def test_each_day_of_a_uom_has_a_line(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({LITRES: [record(0, 5), record(DAY, 7)]})

    table = agent.outbox("totals").table
    assert [line[:4] for line in table[1:]] == [
        ["pumped_litres", "2026-01-01", "1", "(5)"],
        ["pumped_litres", "2026-01-02", "1", "(7)"],
        ["pumped_litres", "sum", "2", "(12)"],
    ]


def test_every_place_has_its_column(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({LITRES: [record(n, n + 1) for n in range(5)]}, aside={LITRES: [(record(8, 100), "hand")]})
        refuse(outbox, 1, "400")
        outbox.retire_all({LITRES: 2}, "no answer")
        outbox.acknowledge_all({LITRES: 3})
        outbox.drop_set_aside(LITRES, [outbox.set_aside_list(LITRES)[-1].message.seq])

    (day,) = agent.outbox("totals", "--json").json["days"]
    counts = {place: (day[place]["points"], day[place]["amount"]) for place in list(day)[3:-1]}
    assert counts == {
        "measured": (6, "115"),
        "delivered": (1, "3"),
        "waiting": (2, "9"),
        "set_aside": (1, "1"),
        "dropped": (1, "100"),
        "unconfirmed": (1, "2"),
    }


def test_a_replay_and_a_drop_are_kept_in_the_totals(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({}, aside={LITRES: [(record(n, 4), "400") for n in range(3)]})

    agent.outbox("replay", "pump-7.1.2.0")
    agent.outbox("drop", "pump-7.1.2.1", "--yes")

    (day,) = agent.outbox("totals", "--json").json["days"]
    assert [day[place]["amount"] for place in ("measured", "waiting", "set_aside", "dropped")] == ["12", "4", "4", "4"]


def test_amounts_are_added_up_exactly(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({LITRES: [record(n, 0.1) for n in range(10)]})

    (total,) = agent.outbox("totals", "--json").json["sums"]

    assert Fraction(total["measured"]["amount"]) == 10 * Fraction(0.1)


def test_people_are_told_the_nearest_short_amount(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({LITRES: [record(n, 0.1) for n in range(3)]})

    assert agent.outbox("totals").table[-1][2:4] == ["3", "(~0.3)"]


def test_what_does_not_add_up_to_an_amount_is_counted_alone(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({"devrev.level": [record(0, 3.5, name="level", kind="latest")]})

    assert agent.outbox("totals").table[-1] == ["level", "sum", "1", "0", "1", "0", "0", "0"]


def test_one_uom_can_be_asked_for(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({"devrev.level": [record(0, name="level")], LITRES: [record(0)]})

    sums = agent.outbox("totals", "--json", "--destination", "level").json["sums"]

    assert [total["uom"] for total in sums] == ["level"]


def test_what_adds_up_is_no_failure(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({LITRES: [record(0, 5)]})

    told = agent.outbox("totals", "--json")

    assert (told.code, told.json["holds"]) == (0, True)


class WrongLedger:
    """An outbox that measured a unit more than it can tell of."""

    def ledger(self) -> list[LedgerRow]:
        measured, delivered = Count(2, Fraction(9)), Count(2, Fraction(8))
        return [LedgerRow(LITRES, date(2026, 1, 1), measured=measured, delivered=delivered)]


def test_a_total_that_does_not_add_up_is_a_failure(agent: StoppedAgent, capsys: pytest.CaptureFixture[str]) -> None:
    config = load(agent.folder / "thingmeter.toml")

    code = totals(config, cast("Outbox", WrongLedger()), Choice(), as_json=False)

    assert (code, capsys.readouterr().err.splitlines()[0]) == (
        FAILED,
        "pumped_litres, 2026-01-01: does not add up to what was measured",
    )


def test_days_of_long_ago_are_one(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({LITRES: [record(DAY * n) for n in range(402)]})

    days = agent.outbox("totals", "--json").json["days"]

    assert (days[0]["day"], days[0]["measured"]["points"]) == ("before", 2)


@given(st.fractions())
def test_a_decimal_is_the_amount(amount: Fraction) -> None:
    assert Fraction(exactly(amount)) == amount


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_a_computer_keeps_is_a_decimal(amount: float) -> None:
    assert "/" not in exactly(Fraction(amount))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Fraction(0), "0"),
        (Fraction(-7, 2), "-3.5"),
        (Fraction(1, 1000), "0.001"),
        (Fraction(10**30), "1000000000000000000000000000000"),
        (Fraction(1, 3), "1/3"),
        (Fraction(0.1), "~0.1"),
        (Fraction(0.1) + 455, "~455.1"),
        (Fraction(1e-300), "~1e-300"),
    ],
)
def test_an_amount_is_short_for_people(amount: Fraction, shown: str) -> None:
    assert briefly(amount) == shown
