from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.devrev_caller import Caller, Points, caller_on, content
from thingmeter.sandbox.devrev import Fault
from thingmeter.sandbox.devrev.totals import Group
from thingmeter.testing import ManualClock


@pytest.fixture
def caller(clock: ManualClock) -> Caller:
    caller = caller_on(clock)
    caller.create("litres")
    return caller


@pytest.fixture
def point() -> Points:
    return Points()


def reasons(caller: Caller) -> list[str]:
    return [drop.reason for drop in caller.devrev.dropped]


def total(caller: Caller) -> float:
    return sum(caller.devrev.totals("litres").values())


def test_a_good_record_is_answered_200_without_a_body(caller: Caller, point: Points) -> None:
    answer = caller.ingest(point(12.5))

    assert (answer.status, answer.body) == (200, b"")


def test_an_accepted_point_is_kept_as_it_was_sent(caller: Caller, point: Points) -> None:
    caller.ingest(point(12.5, "2026-01-01T00:07:30.123Z", site="north"), org_ref="ORG-2", user_ref="USER-3")

    [kept] = caller.devrev.points("litres")
    assert (kept.name, kept.id, kept.value, kept.dimensions) == ("litres", "p1", 12.5, (("site", "north"),))
    assert (kept.account_ref, kept.org_ref, kept.user_ref) == ("ACC-1", "ORG-2", "USER-3")
    assert kept.at == datetime(2026, 1, 1, 0, 7, 30, 123_000, tzinfo=UTC)


def test_a_request_may_hold_records_of_several_metrics(caller: Caller, point: Points) -> None:
    caller.create("starts")
    records = [
        {"account_ref": "ACC-1", "name": name, "data_points": [point(1), point(2)]} for name in ("litres", "starts")
    ]

    caller.ask("metrics.devrev.ingest", {"metrics": records})

    assert [len(caller.devrev.points(name)) for name in ("litres", "starts")] == [2, 2]


def test_a_name_in_another_case_is_the_same_metric(caller: Caller, point: Points) -> None:
    caller.ingest(point(1), name="LITRES")

    assert total(caller) == 1


def test_a_key_in_another_case_is_the_same_dimension(caller: Caller, point: Points) -> None:
    caller.ingest(point(1, SITE="north"))

    assert caller.devrev.points("litres")[0].dimensions == (("site", "north"),)


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.1Z",
        "2026-01-01T00:00:00.123456789Z",
        "2024-02-29T23:59:59+00:00",
        "0001-01-01T00:00:00Z",
    ],
)
def test_a_time_in_utc_is_taken(caller: Caller, point: Points, timestamp: str) -> None:
    assert caller.ingest(point(1, timestamp)).status == 200


@pytest.mark.parametrize(
    "timestamp",
    [
        "yesterday",
        "2026-01-01",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+02:00",
        "2026-01-01T00:00:00.Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:0\u0660Z",
        "2026-01-01T00:00:00Z\n",
        "1767225600",
    ],
)
def test_anything_else_is_no_time(caller: Caller, point: Points, timestamp: str) -> None:
    answer = caller.ingest(point(1, timestamp))

    assert (answer.status, content(answer)["type"]) == (400, "invalid_field")


@pytest.mark.parametrize("value", [0, -1, 0.1, 10**300, 123456789012345678901234567890, 5e-324])
def test_any_number_that_a_double_holds_is_taken(caller: Caller, point: Points, value: float) -> None:
    caller.ingest(point(value))

    assert caller.devrev.points("litres")[0].value == float(value)


@pytest.mark.parametrize(
    ("member", "value", "kind"),
    [
        ("value", ..., "missing_required_field"),
        ("value", None, "unexpected_json_type"),
        ("value", True, "unexpected_json_type"),
        ("value", "1", "unexpected_json_type"),
        ("value", [1], "unexpected_json_type"),
        ("value", 10**309, "invalid_field"),
        ("timestamp", ..., "missing_required_field"),
        ("timestamp", 1767225600, "unexpected_json_type"),
        ("id", "", "invalid_field"),
        ("id", 7, "unexpected_json_type"),
        ("id", None, "unexpected_json_type"),
        ("dimensions", {"site": "north"}, "unexpected_json_type"),
        ("dimensions", ["site"], "unexpected_json_type"),
        ("dimensions", [{"key": "site"}], "missing_required_field"),
        ("dimensions", [{"value": "north"}], "missing_required_field"),
        ("dimensions", [{"key": "site", "value": 1}], "unexpected_json_type"),
        ("dimensions", [{"key": "site", "value": "x" * 257}], "invalid_field"),
        ("dimensions", [{"key": "1st", "value": "x"}], "invalid_field"),
        ("dimensions", [{"key": "k" * 65, "value": "x"}], "invalid_field"),
        ("dimensions", [{"key": "site", "value": "a"}, {"key": "Site", "value": "b"}], "invalid_field"),
        ("dimensions", [{"key": f"k{index}", "value": "x"} for index in range(13)], "invalid_field"),
        ("dimensions", [{"key": "site", "value": "x", "unit": "y"}], "bad_request"),
        ("unit", "l", "bad_request"),
    ],
)
def test_a_point_that_breaks_a_rule_is_a_bad_request_of_its_type(
    caller: Caller, point: Points, member: str, value: Any, kind: str
) -> None:
    sent = {key: each for key, each in {**point(1), member: value}.items() if each is not ...}

    answer = caller.ingest(sent)

    assert (answer.status, content(answer)["type"]) == (400, kind)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "missing_required_field"),
        ({"metrics": []}, "invalid_field"),
        ({"metrics": {}}, "unexpected_json_type"),
        ({"metrics": [{}]}, "missing_required_field"),
        ({"metrics": [{"account_ref": "A", "name": "litres", "data_points": []}]}, "invalid_field"),
        ({"metrics": [{"account_ref": "", "name": "litres", "data_points": [{}]}]}, "invalid_field"),
        ({"points": []}, "bad_request"),
    ],
)
def test_a_request_that_breaks_a_rule_is_a_bad_request_of_its_type(caller: Caller, body: Any, kind: str) -> None:
    answer = caller.ask("metrics.devrev.ingest", body)

    assert (answer.status, content(answer)["type"]) == (400, kind)


def test_a_bad_request_names_the_place_of_the_point(caller: Caller, point: Points) -> None:
    answer = caller.ingest(point(1), {**point(1), "value": "2"})

    assert content(answer)["message"] == "metrics[0].data_points[1].value: string, not number"


def test_a_request_with_one_bad_point_is_refused_whole(caller: Caller, point: Points) -> None:
    caller.ingest(point(1), {**point(1), "value": "2"})

    assert (caller.devrev.points("litres"), caller.devrev.dropped) == ((), [])


def test_the_points_of_a_refused_request_are_no_duplicates_later(caller: Caller, point: Points) -> None:
    good = point(1)
    caller.ingest(good, {**point(1), "value": "2"})

    caller.ingest(good)

    assert total(caller) == 1


@pytest.mark.parametrize("value", ["", "x" * 256, "ü\n"])
def test_the_value_of_a_dimension_is_any_text_up_to_its_length(caller: Caller, point: Points, value: str) -> None:
    caller.ingest(point(1, site=value))

    assert caller.devrev.points("litres")[0].dimensions == (("site", value),)


def test_an_id_that_was_seen_is_dropped_behind_a_200(caller: Caller, point: Points) -> None:
    sent = point(1)
    caller.ingest(sent)

    status = caller.ingest(sent).status

    assert (status, total(caller), reasons(caller)) == (200, 1, ["duplicate id"])


def test_an_id_that_was_seen_is_dropped_whatever_its_content(caller: Caller, point: Points) -> None:
    caller.ingest(point(1, point_id="x"), point(2, point_id="x"))

    assert (total(caller), caller.devrev.dropped[0].point.value) == (1, 2)


def test_an_id_is_taken_once_over_all_uoms(caller: Caller, point: Points) -> None:
    caller.create("starts")
    caller.ingest(point(1, point_id="x"))

    caller.ingest(point(1, point_id="x"), name="starts")

    assert reasons(caller) == ["duplicate id"]


def test_an_id_may_be_taken_once_for_each_uom(caller: Caller, point: Points) -> None:
    caller.switches.id_scope = "uom"
    caller.create("starts")
    caller.ingest(point(1, point_id="x"))

    caller.ingest(point(1, point_id="x"), name="starts")

    assert reasons(caller) == []


def test_ids_may_be_of_no_matter(caller: Caller, point: Points) -> None:
    caller.switches.remembers_ids = False

    caller.ingest(point(1, point_id="x"), point(1, point_id="x"))

    assert total(caller) == 2


def test_an_id_is_remembered_for_ever_unless_told_otherwise(caller: Caller, point: Points) -> None:
    sent = point(1)
    caller.ingest(sent)
    caller.clock.advance(10 * 365 * 86_400)

    caller.ingest(sent)

    assert reasons(caller) == ["duplicate id"]


@pytest.mark.parametrize(("passed_s", "expected"), [(3599.5, 1), (3600, 2)])
def test_an_id_may_be_forgotten_after_a_while(caller: Caller, point: Points, passed_s: float, expected: int) -> None:
    caller.switches.memory_s = 3600
    sent = point(1)
    caller.ingest(sent)
    caller.clock.advance(passed_s)

    caller.ingest(sent)

    assert total(caller) == expected


def test_equal_points_without_id_count_once(caller: Caller, point: Points) -> None:
    sent = point(1, "2026-01-01T00:00:00Z", "", site="north", line="2")
    again = sent | {"timestamp": "2026-01-01T00:00:00.000+00:00", "dimensions": sent["dimensions"][::-1]}

    caller.ingest(sent, again)

    assert (total(caller), reasons(caller)) == (1, ["duplicate content"])


@pytest.mark.parametrize(
    "change",
    [
        {"value": 2},
        {"timestamp": "2026-01-01T00:00:01Z"},
        {"dimensions": [{"key": "site", "value": "south"}]},
        {"id": "x"},
    ],
)
def test_points_that_differ_count_both(caller: Caller, point: Points, change: Any) -> None:
    sent = point(1, "2026-01-01T00:00:00Z", "", site="north")

    caller.ingest(sent, sent | change)

    assert reasons(caller) == []


def test_equal_points_of_two_accounts_count_both(caller: Caller, point: Points) -> None:
    sent = point(1, point_id="")
    caller.ingest(sent)

    caller.ingest(sent, account_ref="ACC-2")

    assert total(caller) == 2


def test_equal_points_without_id_may_count_each(caller: Caller, point: Points) -> None:
    caller.switches.remembers_content = False
    sent = point(1, point_id="")

    caller.ingest(sent, sent)

    assert total(caller) == 2


def test_an_id_that_is_too_long_may_be_refused(caller: Caller, point: Points) -> None:
    caller.switches.maximum_id_length = 4

    statuses = [caller.ingest(point(1, point_id=point_id)).status for point_id in ("abcd", "abcde")]

    assert statuses == [200, 400]


def test_a_record_of_an_unknown_metric_is_dropped_behind_a_200(caller: Caller, point: Points) -> None:
    answer = caller.ingest(point(1), name="gallons")

    assert (answer.status, reasons(caller)) == (200, ["unknown"])


def test_a_record_of_an_unknown_metric_may_be_refused(caller: Caller, point: Points) -> None:
    caller.switches.unknown_uom = "refused"

    assert caller.ingest(point(1), name="gallons").status == 400


def disable(caller: Caller) -> None:
    [uom] = caller.devrev.uoms
    caller.devrev.uoms.put(replace(uom, is_enabled=False))


def test_a_record_of_a_disabled_uom_is_dropped_behind_a_200(caller: Caller, point: Points) -> None:
    disable(caller)

    answer = caller.ingest(point(1))

    assert (answer.status, reasons(caller), total(caller)) == (200, ["disabled"], 0)


def test_a_record_of_a_disabled_uom_may_be_refused(caller: Caller, point: Points) -> None:
    caller.switches.disabled_uom = "refused"
    disable(caller)

    assert caller.ingest(point(1)).status == 400


def test_a_point_that_a_disabled_uom_dropped_is_no_duplicate_once_it_is_enabled(caller: Caller, point: Points) -> None:
    [uom] = caller.devrev.uoms
    disable(caller)
    sent = point(1)
    caller.ingest(sent)
    caller.ask("uoms.update", {"id": uom.id, "is_enabled": True})

    caller.ingest(sent)

    assert total(caller) == 1


def test_an_undeclared_dimension_is_projected_away(caller: Caller, point: Points) -> None:
    caller.ingest(point(1, site="north", colour="red"))

    assert caller.devrev.totals("litres") == {Group("ACC-1", dimensions=(("site", "north"),)): 1}


@pytest.mark.parametrize(
    ("fate", "status", "expected"), [("dropped", 200, ["undeclared dimension"]), ("refused", 400, [])]
)
def test_an_undeclared_dimension_may_cost_the_point(
    caller: Caller, point: Points, fate: Any, status: int, expected: list[str]
) -> None:
    caller.switches.undeclared_dimension = fate

    answer = caller.ingest(point(1, colour="red"))

    assert (answer.status, reasons(caller), total(caller)) == (status, expected, 0)


def test_an_added_dimension_counts_from_then_on(caller: Caller, point: Points) -> None:
    [uom] = caller.devrev.uoms
    caller.ingest(point(1, pump="a"))
    caller.ask("uoms.update", {"id": uom.id, "dimensions": {"add": ["pump"]}})

    caller.ingest(point(2, pump="a"))

    assert caller.devrev.totals("litres") == {Group("ACC-1"): 1, Group("ACC-1", dimensions=(("pump", "a"),)): 2}


@pytest.mark.parametrize(
    ("fate", "status", "expected"), [("dropped", 200, ["no user_ref"]), ("refused", 400, []), ("accepted", 200, [])]
)
def test_a_uom_of_scope_user_needs_a_user_ref(
    clock: ManualClock, point: Points, fate: Any, status: int, expected: list[str]
) -> None:
    caller = caller_on(clock)
    caller.switches.metric_scope = "user"
    caller.switches.missing_user_ref = fate
    caller.create("litres")

    answer = caller.ingest(point(1))

    assert (answer.status, reasons(caller)) == (status, expected)


def test_a_record_with_a_user_ref_suits_a_uom_of_scope_user(clock: ManualClock, point: Points) -> None:
    caller = caller_on(clock)
    caller.switches.metric_scope = "user"
    caller.create("litres")

    caller.ingest(point(1), user_ref="USER-1")

    assert caller.devrev.totals("litres") == {Group("ACC-1", user_ref="USER-1"): 1}


@pytest.mark.parametrize(
    ("fate", "value", "status"),
    [("refused", 0, 200), ("refused", 1.0, 200), ("refused", 2, 400), ("dropped", 2, 200), ("accepted", 0.5, 200)],
)
def test_a_boolean_unit_has_the_values_0_and_1(
    clock: ManualClock, point: Points, fate: Any, value: float, status: int
) -> None:
    caller = caller_on(clock)
    caller.switches.unfit_boolean = fate
    caller.create("open", unit={"name": "open", "type": "boolean"})

    assert caller.ingest(point(value), name="open").status == status


def test_a_record_that_was_lost_on_the_way_back_counts_once_when_it_is_sent_again(
    caller: Caller, point: Points
) -> None:
    caller.switches.faults = [Fault("error after", status=503, remaining=1)]
    sent = point(1)

    statuses = [caller.ingest(sent).status, caller.ingest(sent).status]

    assert (statuses, total(caller)) == ([503, 200], 1)


def test_the_points_of_a_deleted_uom_are_not_those_of_the_next_one(caller: Caller, point: Points) -> None:
    [uom] = caller.devrev.uoms
    caller.ingest(point(1))
    caller.ask("uoms.delete", {"id": uom.id})

    caller.create("litres")

    assert caller.devrev.totals("litres") == {}


def test_an_unknown_metric_has_no_totals(caller: Caller) -> None:
    assert (caller.devrev.totals("gallons"), caller.devrev.points("gallons")) == ({}, ())
