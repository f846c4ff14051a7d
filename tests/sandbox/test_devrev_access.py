from __future__ import annotations

import json
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.devrev_caller import HEADERS, LITRES, TOKEN, Caller, caller_on, content
from thingmeter.sandbox.devrev import Call, Fault
from thingmeter.sandbox.devrev.calls import OPERATIONS
from thingmeter.sandbox.devrev.uom_rules import CREATE, LIST, UPDATE
from thingmeter.sandbox.devrev.usage_rules import POINT
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.testing import ManualClock


@pytest.fixture
def caller(clock: ManualClock) -> Caller:
    return caller_on(clock)


def list_with(caller: Caller, **headers: str | None) -> tuple[int, str]:
    """Return status and type of a list with some headers changed, or without those that are None."""
    changed = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = caller.ask("uoms.list", headers={name: value for name, value in changed.items() if value is not None})
    return answer.status, content(answer).get("type", "")


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", TOKEN])
def test_a_good_token_is_taken_with_and_without_bearer(caller: Caller, given: str) -> None:
    assert list_with(caller, authorization=given) == (200, "")


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer other",
        "other",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN},{TOKEN}",
        TOKEN.lower(),
    ],
)
def test_anything_else_is_no_authorization(caller: Caller, given: str | None) -> None:
    assert list_with(caller, authorization=given) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "The header Authorization is missing"),
        ("Bearer other", "The token is not valid"),
        ("Bearer old", "The token has expired"),
        ("Basic a b", "The header Authorization is neither Bearer TOKEN nor a bare token"),
    ],
)
def test_an_unauthorized_answer_says_why(caller: Caller, given: str, words: str) -> None:
    caller.switches.expired_tokens = {"old"}

    answer = caller.ask("uoms.list", headers=HEADERS | {"authorization": given})

    assert content(answer)["message"] == words


@pytest.mark.parametrize(
    ("schemes", "given", "status"),
    [
        ("bearer", f"Bearer {TOKEN}", 200),
        ("bearer", TOKEN, 401),
        ("bare", TOKEN, 200),
        ("bare", f"Bearer {TOKEN}", 401),
    ],
)
def test_one_form_of_the_token_may_be_refused(caller: Caller, schemes: Any, given: str, status: int) -> None:
    caller.switches.schemes = schemes

    assert list_with(caller, authorization=given)[0] == status


def test_a_replaced_token_is_taken_at_once(caller: Caller) -> None:
    caller.devrev.tokens.add("new")

    assert list_with(caller, authorization="Bearer new")[0] == 200


@pytest.mark.parametrize("scope", [None, "", "public"])
def test_a_call_without_the_scope_is_refused(caller: Caller, scope: str | None) -> None:
    assert list_with(caller, x_devrev_scope=scope) == (400, "bad_request")


def test_the_scope_may_be_of_no_matter(caller: Caller) -> None:
    caller.switches.needs_scope = False

    assert list_with(caller, x_devrev_scope=None)[0] == 200


@pytest.mark.parametrize("declared", [None, "text/plain", "application/json-patch+json"])
def test_a_body_that_is_not_declared_as_json_is_refused(caller: Caller, declared: str | None) -> None:
    assert list_with(caller, content_type=declared) == (400, "bad_request")


def test_a_body_may_be_declared_with_its_character_set(caller: Caller) -> None:
    assert list_with(caller, content_type="application/json; charset=UTF-8")[0] == 200


def test_a_body_may_need_no_declaration(caller: Caller) -> None:
    caller.switches.needs_content_type = False

    assert list_with(caller, content_type=None)[0] == 200


def test_a_get_needs_no_content_type(caller: Caller) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "content-type"}

    assert caller.read("uoms.list", headers=headers).status == 200


def test_an_operation_may_be_forbidden(caller: Caller) -> None:
    caller.switches.forbidden = {"uoms.create"}

    answer = caller.ask("uoms.create", LITRES)

    assert (answer.status, content(answer)["type"]) == (403, "forbidden")


def test_a_forbidden_operation_leaves_the_others(caller: Caller) -> None:
    caller.switches.forbidden = {"uoms.create"}

    assert caller.ask("uoms.list").status == 200


def test_a_forbidden_create_creates_nothing(caller: Caller) -> None:
    caller.switches.forbidden = {"uoms.create"}

    caller.ask("uoms.create", LITRES)

    assert len(caller.devrev.uoms) == 0


@pytest.mark.parametrize("path", ["/", "/uoms", "/uoms.create/", "/UOMS.LIST", "/uoms%2Elist"])
def test_an_unknown_path_is_not_found(caller: Caller, path: str) -> None:
    answer = caller.devrev.answer(HttpRequest("POST", path, headers=HEADERS, body=b"{}"))

    assert (answer.status, content(answer)["type"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "operation", "allowed"),
    [("GET", "uoms.create", "POST"), ("PUT", "uoms.list", "GET, POST"), ("DELETE", "metrics.devrev.ingest", "POST")],
)
def test_a_wrong_method_is_told_the_right_ones(caller: Caller, method: str, operation: str, allowed: str) -> None:
    answer = caller.devrev.answer(HttpRequest(method, f"/{operation}", headers=HEADERS))

    assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_a_post_with_a_query_is_refused(caller: Caller) -> None:
    answer = caller.devrev.answer(HttpRequest("POST", "/uoms.list", "limit=5", HEADERS, b"{}"))

    assert content(answer)["message"] == "a query goes with GET only"


def test_a_budget_is_shared_by_all_operations(caller: Caller) -> None:
    caller.switches.calls_per_window = 2

    statuses = [caller.ask(each).status for each in ("uoms.list", "uoms.count", "uoms.list")]

    assert statuses == [200, 200, 429]


def test_each_token_has_a_budget_of_its_own(caller: Caller) -> None:
    caller.switches.calls_per_window = 1
    caller.devrev.tokens.add("other")
    caller.ask("uoms.list")

    assert list_with(caller, authorization="Bearer other")[0] == 200


def test_a_budget_is_one_of_five_minutes(caller: Caller) -> None:
    caller.switches.calls_per_window = 1
    caller.ask("uoms.list")
    caller.clock.advance(299.5)
    early = caller.ask("uoms.list").status
    caller.clock.advance(0.5)

    assert (early, caller.ask("uoms.list").status) == (429, 200)


def test_a_throttled_call_is_told_when_the_budget_has_room_again(caller: Caller) -> None:
    caller.switches.calls_per_window = 1
    caller.ask("uoms.list")
    caller.clock.advance(100.5)

    answer = caller.ask("uoms.list")

    assert answer.headers["retry-after"] == "200"


def test_a_throttled_create_creates_nothing(caller: Caller) -> None:
    caller.switches.calls_per_window = 0

    caller.ask("uoms.create", LITRES)

    assert len(caller.devrev.uoms) == 0


@pytest.mark.parametrize(
    ("form", "header", "in_body"),
    [
        ("both", "30", 30),
        ("seconds", "30", None),
        ("fraction", "29.500", None),
        ("date", "Thu, 01 Jan 2026 00:00:30 GMT", None),
        ("body", None, 30),
        ("none", None, None),
    ],
)
def test_a_throttled_answer_has_the_wait_where_the_switch_says(
    caller: Caller, form: Any, header: str | None, in_body: int | None
) -> None:
    caller.switches.throttle_form = form
    caller.switches.faults = [Fault("throttled", after_s=29.5)]

    answer = caller.ask("uoms.list")

    assert (answer.headers.get("retry-after"), content(answer).get("retry_after")) == (header, in_body)


def test_a_date_to_retry_after_moves_with_the_clock(caller: Caller) -> None:
    caller.switches.throttle_form = "date"
    caller.switches.faults = [Fault("throttled", after_s=60)]
    caller.clock.advance(86_400)

    answer = caller.ask("uoms.list")

    assert parsedate_to_datetime(answer.headers["retry-after"]) - caller.clock.now() == timedelta(seconds=60)


def test_a_call_is_recorded_with_what_came_of_it(caller: Caller) -> None:
    caller.create("litres")

    now, now_s = caller.clock.now(), caller.clock.monotonic()
    assert caller.devrev.calls.all() == [Call(now, now_s, "uoms.create", TOKEN, 201, "litres")]


def test_a_refused_call_is_recorded_with_the_words(caller: Caller) -> None:
    caller.ask("uoms.get", {"id": "x"})

    [call] = caller.devrev.calls.all()
    assert (call.status, call.words) == (400, "id: 'x' is not the DON of a UOM")


def test_a_call_that_names_a_uom_by_id_is_recorded_by_its_metric_name(caller: Caller) -> None:
    uom = caller.create("litres")

    caller.ask("uoms.delete", {"id": uom["id"]})

    assert caller.devrev.calls.all()[-1].name == "litres"


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"metric_name": "a\\n"}', b'{"metric_name": 1}', b'{"id": []}'])
def test_what_is_no_metric_name_is_not_recorded_as_one(caller: Caller, body: bytes) -> None:
    caller.send("uoms.create", body)

    assert caller.devrev.calls.all()[0].name == ""


def test_a_call_to_an_unknown_path_is_recorded_without_an_operation(caller: Caller) -> None:
    caller.ask("works.create")

    assert [(call.operation, call.status) for call in caller.devrev.calls.all()] == [("", 404)]


def test_a_record_does_not_show_the_token(caller: Caller) -> None:
    caller.ask("uoms.list")

    assert TOKEN not in repr(caller.devrev.calls.all())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["litres", "PROD-1", "sum", "number", "after", "2026-01-01T00:00:00Z", "p1", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = sorted(
    {
        *CREATE.required,
        *CREATE.optional,
        *UPDATE.optional,
        *LIST.optional,
        *POINT.required,
        *POINT.optional,
        *("account_ref", "add", "aggregation_type", "data_points", "key", "metrics", "remove", "type", "user_ref"),
    }
)
NEAR = st.recursive(
    JSON | st.just("don:core:dvrv-us-1:devo/0:uom/1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)


@given(operation=st.sampled_from(OPERATIONS), body=NEAR)
def test_any_json_is_answered_as_good_or_as_bad(operation: str, body: Any) -> None:
    caller = caller_on(ManualClock())
    caller.create()

    assert caller.ask(operation, body).status in {200, 204, 400, 404}


GOOD: dict[str, dict[str, Any]] = {
    "metrics.devrev.ingest": {
        "metrics": [
            {
                "account_ref": "ACC-1",
                "name": "litres",
                "org_ref": "o",
                "user_ref": "u",
                "data_points": [
                    {
                        "id": "p1",
                        "timestamp": "2026-01-01T00:00:00Z",
                        "value": 1.5,
                        "dimensions": [{"key": "site", "value": "n"}],
                    }
                ],
            }
        ]
    },
    "uoms.create": {**LITRES, "metric_name": "other", "part_id": "FEAT-1", "description": "d"},
    "uoms.update": {
        "id": "don:core:dvrv-us-1:devo/0:uom/1",
        "dimensions": {"add": ["x"], "remove": ["site"]},
        "is_enabled": False,
        "unit": "u",
    },
    "uoms.list": {"metric_names": ["litres"], "limit": 5, "mode": "before", "sort_by": ["name:desc"]},
}


@given(data=st.data(), operation=st.sampled_from(sorted(GOOD)))
def test_a_good_request_with_anything_in_one_place_is_answered_as_good_or_as_bad(
    data: st.DataObject, operation: str
) -> None:
    caller = caller_on(ManualClock())
    caller.create()
    body = json.loads(json.dumps(GOOD[operation]))
    node: Any = body
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not node[key] or not isinstance(node[key], dict | list) or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(JSON)

    assert caller.ask(operation, body).status in {200, 201, 400, 404}


@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.sampled_from([f"/{each}" for each in OPERATIONS]) | st.text(max_size=20),
    query=st.text(max_size=30) | st.sampled_from(["ids=%", "cursor=%00", "limit=99999999999", "&&=&="]),
    body=st.binary(max_size=60),
)
def test_any_request_is_answered(method: str, path: str, query: str, body: bytes) -> None:
    caller = caller_on(ManualClock())

    answer = caller.devrev.answer(HttpRequest(method, path, query, HEADERS, body))

    assert answer.status in {200, 400, 404, 405}
