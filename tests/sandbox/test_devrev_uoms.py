from __future__ import annotations

from typing import Any

import pytest

from sandbox.devrev_caller import LITRES, Caller, caller_on, content
from thingmeter.testing import ManualClock


@pytest.fixture
def caller(clock: ManualClock) -> Caller:
    return caller_on(clock)


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return a good create with the member at ``path`` replaced, or removed when it is ``...``."""
    first, _, second = path.partition("/")
    body = {**LITRES, "aggregation_detail": {**LITRES["aggregation_detail"]}, "unit": {**LITRES["unit"]}}
    node, key = (body[first], second) if second else (body, first)
    if value is ...:
        del node[key]
    else:
        node[key] = value
    return body


def test_a_create_answers_with_all_that_a_uom_has(caller: Caller) -> None:
    answer = caller.ask("uoms.create", {**LITRES, "description": "at the meter", "part_id": "FEAT-7"})

    user = {
        "type": "service_account",
        "id": "don:identity:dvrv-us-1:devo/0:svcacc/1",
        "display_id": "SVCACC-1",
        "display_name": "sandbox",
    }
    assert content(answer)["uom"] == {
        "id": "don:core:dvrv-us-1:devo/0:uom/1",
        "display_id": "UOM-1",
        "created_by": user,
        "created_date": "2026-01-01T00:00:00.000Z",
        "modified_by": user,
        "modified_date": "2026-01-01T00:00:00.000Z",
        "aggregation_details": {"aggregation_type": "sum"},
        "is_enabled": True,
        "metric_name": "litres",
        "metric_scope": "org",
        "name": "Litres pumped",
        "description": "at the meter",
        "dimensions": ["site", "line"],
        "product": {
            "type": "product",
            "id": "don:core:dvrv-us-1:devo/0:product/1",
            "display_id": "PROD-1",
            "name": "Product PROD-1",
            "owned_by": [],
        },
        "part": {
            "type": "feature",
            "id": "don:core:dvrv-us-1:devo/0:feature/7",
            "display_id": "FEAT-7",
            "name": "Feature FEAT-7",
            "owned_by": [],
        },
        "unit": {"name": "litre", "type": "number"},
    }


def test_a_uom_without_optional_members_lacks_them_in_answers(caller: Caller) -> None:
    uom = caller.create(dimensions=[])

    assert {"description", "dimensions", "part"}.isdisjoint(uom)


def test_a_unique_dimension_stands_in_the_aggregation_details(caller: Caller) -> None:
    detail = {"aggregation_type": "unique_count", "unique_dimension": "site"}

    uom = caller.create(aggregation_detail=detail)

    assert uom["aggregation_details"] == detail


@pytest.mark.parametrize("status", [200, 201])
def test_a_create_is_answered_with_the_status_of_the_switch(caller: Caller, status: Any) -> None:
    caller.switches.create_status = status

    assert caller.ask("uoms.create", LITRES).status == status


@pytest.mark.parametrize(
    "aggregation_type",
    ["duration", "latest", "maximum", "minimum", "oldest", "running_total", "sum", "unique_count"],
)
def test_each_of_the_eight_aggregation_types_is_taken(caller: Caller, aggregation_type: str) -> None:
    uom = caller.create(aggregation_detail={"aggregation_type": aggregation_type})

    assert uom["aggregation_details"]["aggregation_type"] == aggregation_type


@pytest.mark.parametrize("unit_type", ["boolean", "number"])
def test_both_unit_types_are_taken(caller: Caller, unit_type: str) -> None:
    uom = caller.create(unit={"name": "x", "type": unit_type})

    assert uom["unit"]["type"] == unit_type


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metric_name", "x" * 64),
        ("metric_name", "_9"),
        ("dimensions", [f"d{index}" for index in range(12)]),
        ("dimensions", ["d" * 64]),
        ("description", ""),
        ("product_id", "don:core:dvrv-in-1:devo/1aB:product/9"),
    ],
)
def test_what_is_just_within_the_bounds_is_taken(caller: Caller, path: str, value: Any) -> None:
    assert caller.ask("uoms.create", changed(path, value)).status == 201


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        ("metric_name", ..., "missing_required_field"),
        ("metric_name", "", "invalid_field"),
        ("metric_name", "x" * 65, "invalid_field"),
        ("metric_name", "9x", "invalid_field"),
        ("metric_name", "a-b", "invalid_field"),
        ("metric_name", "a\n", "invalid_field"),
        ("metric_name", "größe", "invalid_field"),
        ("metric_name", "٣", "invalid_field"),
        ("metric_name", 7, "unexpected_json_type"),
        ("metric_name", None, "unexpected_json_type"),
        ("name", ..., "missing_required_field"),
        ("name", "", "invalid_field"),
        ("name", "\ud800", "parse_error"),
        ("product_id", ..., "missing_required_field"),
        ("product_id", "pumps", "invalid_id"),
        ("product_id", 1, "unexpected_json_type"),
        ("product_id", "FEAT-1", "unexpected_id_type"),
        ("part_id", "", "invalid_id"),
        ("part_id", "don:core:dvrv-us-1:devo/0:ticket/1", "invalid_id"),
        ("unit", ..., "missing_required_field"),
        ("unit", "litre", "unexpected_json_type"),
        ("unit/name", ..., "missing_required_field"),
        ("unit/type", ..., "missing_required_field"),
        ("unit/type", "Number", "invalid_enum_value"),
        ("unit/type", 1, "unexpected_json_type"),
        ("unit/symbol", "l", "bad_request"),
        ("aggregation_detail", ..., "missing_required_field"),
        ("aggregation_detail", [], "unexpected_json_type"),
        ("aggregation_detail/aggregation_type", ..., "missing_required_field"),
        ("aggregation_detail/aggregation_type", "mean", "invalid_enum_value"),
        ("aggregation_detail/unique_dimension", "Q!", "invalid_field"),
        ("aggregation_detail/unique_dimension", "device", "value_not_permitted"),
        ("dimensions", "site", "unexpected_json_type"),
        ("dimensions", [f"d{index}" for index in range(13)], "invalid_field"),
        ("dimensions", ["site", "SITE"], "invalid_field"),
        ("dimensions", ["d" * 65], "invalid_field"),
        ("dimensions", [""], "invalid_field"),
        ("dimensions", ["1st"], "invalid_field"),
        ("dimensions", [None], "unexpected_json_type"),
        ("description", 1, "unexpected_json_type"),
        ("is_enabled", True, "value_not_permitted"),
        ("metric_scope", "org", "value_not_permitted"),
        ("aggregation_details", {}, "bad_request"),
        ("tags", [], "bad_request"),
    ],
)
def test_a_create_that_breaks_a_rule_is_a_bad_request_of_its_type(
    caller: Caller, path: str, value: Any, kind: str
) -> None:
    answer = caller.ask("uoms.create", changed(path, value))

    assert (answer.status, content(answer)["type"]) == (400, kind)


def test_a_refused_create_leaves_nothing_behind(caller: Caller) -> None:
    caller.ask("uoms.create", changed("unit/type", "Number"))

    assert len(caller.devrev.uoms) == 0


def test_a_bad_request_names_the_field_and_what_is_allowed(caller: Caller) -> None:
    answer = caller.ask("uoms.create", changed("unit/type", "Number"))

    assert content(answer) == {
        "message": "unit.type: 'Number' is not one of boolean, number",
        "type": "invalid_enum_value",
        "field_name": "unit.type",
        "allowed_values": ["boolean", "number"],
        "value": "Number",
    }


def test_a_bad_request_names_the_type_that_it_found(caller: Caller) -> None:
    answer = caller.ask("uoms.create", changed("name", 4))

    assert content(answer) == {
        "message": "name: number, not string",
        "type": "unexpected_json_type",
        "field_name": "name",
        "actual": "number",
        "expected": "string",
    }


def test_a_bad_request_tells_the_first_three_flaws_and_counts_the_rest(caller: Caller) -> None:
    answer = caller.ask("uoms.create", {})

    assert content(answer) == {
        "message": "aggregation_detail: is missing; metric_name: is missing; name: is missing",
        "detail": "and 2 more",
        "type": "missing_required_field",
        "field_name": "aggregation_detail",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[" * 100_000, b"9" * 5000])
def test_a_body_that_is_no_json_is_a_parse_error(caller: Caller, body: bytes) -> None:
    answer = caller.send("uoms.create", body)

    assert (answer.status, content(answer)["type"]) == (400, "parse_error")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true"])
def test_a_body_that_is_no_object_is_of_an_unexpected_type(caller: Caller, body: bytes) -> None:
    answer = caller.send("uoms.create", body)

    assert content(answer)["type"] == "unexpected_json_type"


@pytest.mark.parametrize(("status", "kind"), [(409, "conflict"), (400, "value_not_permitted")])
def test_a_metric_name_that_is_taken_in_another_case_is_refused(caller: Caller, status: Any, kind: str) -> None:
    caller.switches.duplicate_status = status
    caller.create("litres")

    answer = caller.ask("uoms.create", {**LITRES, "metric_name": "LITRES"})

    assert (answer.status, content(answer)["type"]) == (status, kind)


def test_a_duplicate_may_be_answered_with_the_uom_that_is_there(caller: Caller) -> None:
    caller.switches.duplicate_status = 200
    there = caller.create("litres")

    answer = caller.ask("uoms.create", {**LITRES, "name": "Another"})

    assert (answer.status, content(answer)["uom"]) == (200, there)


def test_a_create_of_an_unknown_product_is_refused(caller: Caller) -> None:
    caller.switches.known_parts = {"PROD-2"}

    answer = caller.ask("uoms.create", LITRES)

    assert content(answer)["message"] == "product_id: PROD-1 does not exist"


def test_a_unique_dimension_may_be_allowed_outside_the_dimensions(caller: Caller) -> None:
    caller.switches.declared_unique_dimension = False

    uom = caller.create(aggregation_detail={"aggregation_type": "unique_count", "unique_dimension": "device"})

    assert uom["aggregation_details"]["unique_dimension"] == "device"


def test_a_new_uom_may_be_disabled(caller: Caller) -> None:
    caller.switches.created_enabled = False

    assert caller.create()["is_enabled"] is False


def test_a_new_uom_may_have_the_metric_scope_user(caller: Caller) -> None:
    caller.switches.metric_scope = "user"

    assert caller.create()["metric_scope"] == "user"


def test_names_may_be_kept_in_lower_case(caller: Caller) -> None:
    caller.switches.stored_case = "lower"

    uom = caller.create("Litres", dimensions=["Site"])

    assert (uom["metric_name"], uom["dimensions"]) == ("litres", ["site"])


@pytest.mark.parametrize(
    ("order", "expected"), [("as sent", ["b", "c", "a"]), ("sorted", ["a", "b", "c"]), ("reversed", ["a", "c", "b"])]
)
def test_dimensions_come_back_in_the_order_of_the_switch(caller: Caller, order: Any, expected: list[str]) -> None:
    caller.switches.dimension_order = order

    assert caller.create(dimensions=["b", "c", "a"])["dimensions"] == expected


def test_a_uom_is_got_by_its_id(caller: Caller) -> None:
    uom = caller.create()

    assert content(caller.ask("uoms.get", {"id": uom["id"]})) == {"uom": uom}


def test_a_uom_is_got_by_a_query_as_well(caller: Caller) -> None:
    uom = caller.create()

    assert content(caller.read("uoms.get", f"id={uom['id'].replace(':', '%3A')}")) == {"uom": uom}


@pytest.mark.parametrize("operation", ["uoms.get", "uoms.update", "uoms.delete"])
def test_an_unknown_uom_is_not_found(caller: Caller, operation: str) -> None:
    answer = caller.ask(operation, {"id": "don:core:dvrv-us-1:devo/0:uom/1"})

    assert (answer.status, content(answer)["type"]) == (404, "not_found")


@pytest.mark.parametrize("operation", ["uoms.get", "uoms.update", "uoms.delete"])
@pytest.mark.parametrize(("uom_id", "kind"), [("UOM-1", "invalid_id"), (1, "unexpected_json_type")])
def test_what_is_no_don_of_a_uom_is_a_bad_request(caller: Caller, operation: str, uom_id: Any, kind: str) -> None:
    answer = caller.ask(operation, {"id": uom_id})

    assert (answer.status, content(answer)["type"]) == (400, kind)


@pytest.mark.parametrize(
    ("change", "member", "expected"),
    [
        ({"aggregation_type": "maximum"}, "aggregation_details", {"aggregation_type": "maximum"}),
        ({"description": "new"}, "description", "new"),
        ({"is_enabled": False}, "is_enabled", False),
        ({"name": "New"}, "name", "New"),
        ({"unit": "gallon"}, "unit", {"name": "gallon", "type": "number"}),
        ({"dimensions": {"add": ["pump"]}}, "dimensions", ["site", "line", "pump"]),
        ({"dimensions": {"remove": ["SITE"]}}, "dimensions", ["line"]),
        ({"dimensions": {"add": ["pump"], "remove": ["site"]}}, "dimensions", ["line", "pump"]),
        ({"dimensions": {"add": ["SITE"]}}, "dimensions", ["site", "line"]),
        ({"dimensions": {}}, "dimensions", ["site", "line"]),
    ],
)
def test_an_update_changes_what_may_be_changed(caller: Caller, change: Any, member: str, expected: Any) -> None:
    uom = caller.create()

    answer = caller.ask("uoms.update", {"id": uom["id"], **change})

    assert (answer.status, content(answer)["uom"][member]) == (200, expected)


@pytest.mark.parametrize(("key", "text"), [("product_id", "PROD-2"), ("part_id", "CAPL-3")])
def test_an_update_moves_a_uom_to_another_product_or_part(caller: Caller, key: str, text: str) -> None:
    uom = caller.create()

    answer = caller.ask("uoms.update", {"id": uom["id"], key: text})

    assert content(answer)["uom"][key.removesuffix("_id")]["display_id"] == text


def test_an_update_is_remembered(caller: Caller) -> None:
    uom = caller.create()

    caller.ask("uoms.update", {"id": uom["id"], "name": "New"})

    assert content(caller.ask("uoms.get", {"id": uom["id"]}))["uom"]["name"] == "New"


def test_an_update_stamps_the_modified_date(caller: Caller) -> None:
    uom = caller.create()
    caller.clock.advance(61.5)

    changed_uom = content(caller.ask("uoms.update", {"id": uom["id"], "name": "New"}))["uom"]

    dates = (changed_uom["created_date"], changed_uom["modified_date"])
    assert dates == ("2026-01-01T00:00:00.000Z", "2026-01-01T00:01:01.500Z")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"metric_name": "other"}, "value_not_permitted"),
        ({"unit_type": "boolean"}, "value_not_permitted"),
        ({"unique_dimension": "line"}, "value_not_permitted"),
        ({"metric_scope": "user"}, "value_not_permitted"),
        ({"aggregation_detail": {"aggregation_type": "sum"}}, "value_not_permitted"),
        ({"unit": {"name": "litre", "type": "boolean"}}, "unexpected_json_type"),
        ({"aggregation_type": "mean"}, "invalid_enum_value"),
        ({"is_enabled": "no"}, "unexpected_json_type"),
        ({"dimensions": ["pump"]}, "unexpected_json_type"),
        ({"dimensions": {"add": ["1st"]}}, "invalid_field"),
        ({"dimensions": {"add": ["pump", "PUMP"]}}, "invalid_field"),
        ({"dimensions": {"add": [f"d{index}" for index in range(11)]}}, "invalid_field"),
        ({"dimensions": {"add": ["pump"], "remove": ["pump"]}}, "invalid_field"),
        ({"dimensions": {"remove": ["Site"]}}, "value_not_permitted"),
        ({"dimensions": {"set": ["pump"]}}, "bad_request"),
        ({"colour": "red"}, "bad_request"),
    ],
)
def test_an_update_that_breaks_a_rule_is_a_bad_request_of_its_type(caller: Caller, change: Any, kind: str) -> None:
    uom = caller.create(aggregation_detail={"aggregation_type": "unique_count", "unique_dimension": "site"})

    answer = caller.ask("uoms.update", {"id": uom["id"], **change})

    assert (answer.status, content(answer)["type"]) == (400, kind)


def test_a_refused_update_changes_nothing(caller: Caller) -> None:
    uom = caller.create()

    caller.ask("uoms.update", {"id": uom["id"], "name": "New", "dimensions": {"add": [f"d{n}" for n in range(11)]}})

    assert content(caller.ask("uoms.get", {"id": uom["id"]}))["uom"] == uom


@pytest.mark.parametrize("change", [{"add": ["SITE"]}, {"remove": ["pump"]}])
def test_a_repeated_change_of_a_dimension_may_be_refused(caller: Caller, change: Any) -> None:
    caller.switches.repeated_dimension = "refused"
    uom = caller.create()

    assert caller.ask("uoms.update", {"id": uom["id"], "dimensions": change}).status == 400


def test_a_delete_is_answered_204_without_a_body(caller: Caller) -> None:
    uom = caller.create()

    answer = caller.ask("uoms.delete", {"id": uom["id"]})

    assert (answer.status, answer.body) == (204, b"")


def test_a_deleted_uom_is_gone(caller: Caller) -> None:
    uom = caller.create()

    caller.ask("uoms.delete", {"id": uom["id"]})

    assert (list(caller.devrev.uoms), caller.ask("uoms.get", {"id": uom["id"]}).status) == ([], 404)


def test_the_name_of_a_deleted_uom_can_be_taken_again(caller: Caller) -> None:
    caller.ask("uoms.delete", {"id": caller.create()["id"]})

    assert caller.create()["display_id"] == "UOM-2"
