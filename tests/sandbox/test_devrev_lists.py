from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.devrev_caller import LITRES, Caller, caller_on, content
from thingmeter.testing import ManualClock


@pytest.fixture
def caller(clock: ManualClock) -> Caller:
    return caller_on(clock)


def names(caller: Caller, **body: Any) -> list[str]:
    """Return the metric names in one page."""
    return [uom["metric_name"] for uom in content(caller.ask("uoms.list", body))["uoms"]]


def turned(caller: Caller, cursor: str = "next_cursor", **body: Any) -> list[list[str]]:
    """Return the metric names of every page, one list for each."""
    pages = []
    while True:
        page = content(caller.ask("uoms.list", body))
        pages.append([uom["metric_name"] for uom in page["uoms"]])
        if cursor not in page:
            return pages
        body["cursor"] = page[cursor]


def four_uoms(caller: Caller) -> None:
    """Create UOMs of which each has something that no other has."""
    caller.create("a", product_id="PROD-1")
    caller.create("b", product_id="PROD-2", part_id="FEAT-3")
    caller.create("c", aggregation_detail={"aggregation_type": "maximum"})
    caller.create("d", unit={"name": "on", "type": "boolean"})


def test_an_empty_organisation_has_an_empty_list(caller: Caller) -> None:
    assert content(caller.ask("uoms.list")) == {"uoms": []}


def test_a_list_has_each_uom_as_get_has_it(caller: Caller) -> None:
    uom = caller.create()

    assert content(caller.ask("uoms.list")) == {"uoms": [uom]}


FILTERS = [
    ({"metric_names": ["b", "d", "z"]}, ["b", "d"]),
    ({"metric_names": ["B"]}, ["b"]),
    ({"metric_names": []}, ["a", "b", "c", "d"]),
    ({"product_ids": ["PROD-2"]}, ["b"]),
    ({"product_ids": ["don:core:dvrv-us-1:devo/0:product/2"]}, ["b"]),
    ({"part_ids": ["FEAT-3"]}, ["b"]),
    ({"part_ids": ["PROD-1"]}, []),
    ({"aggregation_types": ["maximum"]}, ["c"]),
    ({"unit_types": ["boolean"]}, ["d"]),
    ({"ids": ["don:core:dvrv-us-1:devo/0:uom/1", "don:core:dvrv-us-1:devo/0:uom/3"]}, ["a", "c"]),
    ({"metric_names": ["a", "b"], "product_ids": ["PROD-2"]}, ["b"]),
]


@pytest.mark.parametrize(("narrowed", "expected"), FILTERS)
def test_a_list_is_narrowed_by_a_filter(caller: Caller, narrowed: Any, expected: list[str]) -> None:
    four_uoms(caller)

    assert names(caller, **narrowed) == expected


@pytest.mark.parametrize(("narrowed", "expected"), FILTERS)
def test_a_query_narrows_as_a_body_does(caller: Caller, narrowed: Any, expected: list[str]) -> None:
    four_uoms(caller)
    query = urlencode({key: ",".join(values) for key, values in narrowed.items()})

    answer = content(caller.read("uoms.list", query))

    assert [uom["metric_name"] for uom in answer["uoms"]] == expected


@pytest.mark.parametrize(("narrowed", "expected"), FILTERS)
def test_a_count_counts_what_a_list_shows(caller: Caller, narrowed: Any, expected: list[str]) -> None:
    four_uoms(caller)

    assert content(caller.ask("uoms.count", narrowed)) == {"count": len(expected)}


def test_a_query_counts_as_a_body_does(caller: Caller) -> None:
    four_uoms(caller)

    assert content(caller.read("uoms.count", "metric_names=a,b")) == {"count": 2}


def test_a_filter_may_match_the_case_of_metric_names(caller: Caller) -> None:
    caller.switches.filter_ignores_case = False
    four_uoms(caller)

    assert names(caller, metric_names=["A", "b"]) == ["b"]


def test_a_page_has_fifty_uoms_unless_told_otherwise(caller: Caller) -> None:
    for index in range(51):
        caller.create(f"m{index}")

    assert list(map(len, turned(caller))) == [50, 1]


def test_a_limit_above_the_maximum_is_lowered_to_it(caller: Caller) -> None:
    caller.switches.maximum_page = 2
    four_uoms(caller)

    assert turned(caller, limit=1000) == [["a", "b"], ["c", "d"]]


def test_pages_turn_backward_from_the_end(caller: Caller) -> None:
    four_uoms(caller)

    assert turned(caller, "prev_cursor", mode="before", limit=3) == [["b", "c", "d"], ["a"]]


def test_a_page_in_the_middle_has_both_cursors(caller: Caller) -> None:
    four_uoms(caller)
    first = content(caller.ask("uoms.list", {"limit": 1}))

    second = content(caller.ask("uoms.list", {"limit": 1, "cursor": first["next_cursor"]}))

    assert second.keys() == {"uoms", "next_cursor", "prev_cursor"}


def test_the_cursors_of_the_edges_are_missing(caller: Caller) -> None:
    four_uoms(caller)

    assert content(caller.ask("uoms.list", {"limit": 4})).keys() == {"uoms"}


def test_a_cursor_holds_when_its_uom_is_deleted(caller: Caller) -> None:
    four_uoms(caller)
    page = content(caller.ask("uoms.list", {"limit": 2}))
    caller.ask("uoms.delete", {"id": page["uoms"][1]["id"]})

    assert names(caller, cursor=page["next_cursor"]) == ["c", "d"]


def test_a_cursor_goes_on_behind_uoms_that_are_created_meanwhile(caller: Caller) -> None:
    four_uoms(caller)
    page = content(caller.ask("uoms.list", {"limit": 3}))
    caller.create("e")

    assert names(caller, cursor=page["next_cursor"]) == ["d", "e"]


@given(count=st.integers(0, 7), limit=st.integers(1, 8), backward=st.booleans())
def test_pages_show_every_uom_once(count: int, limit: int, *, backward: bool) -> None:
    caller = caller_on(ManualClock())
    for index in range(count):
        caller.create(f"m{index}")

    pages = turned(
        caller,
        "prev_cursor" if backward else "next_cursor",
        limit=limit,
        mode="before" if backward else "after",
    )

    shown = [name for page in (reversed(pages) if backward else pages) for name in page]
    assert shown == [f"m{index}" for index in range(count)]


@pytest.mark.parametrize(
    ("sort_by", "expected"),
    [
        (["created_date:desc"], "dcba"),
        (["metric_name"], "abcd"),
        (["metric_name:desc"], "dcba"),
        (["name:asc"], "bdac"),
        (["name:desc", "metric_name:desc"], "cadb"),
    ],
)
def test_a_list_is_sorted_as_asked(caller: Caller, sort_by: list[str], expected: str) -> None:
    for metric_name, name in [("a", "2"), ("b", "1"), ("c", "2"), ("d", "1")]:
        caller.create(metric_name, name=name)
        caller.clock.advance(1)

    assert "".join(names(caller, sort_by=sort_by)) == expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"metric_names": "a"}, "unexpected_json_type"),
        ({"metric_names": [1]}, "unexpected_json_type"),
        ({"metric_names": None}, "unexpected_json_type"),
        ({"metric_names": [""]}, "invalid_field"),
        ({"metric_name": "a"}, "bad_request"),
        ({"product_ids": ["pumps"]}, "invalid_id"),
        ({"aggregation_types": ["mean"]}, "invalid_enum_value"),
        ({"unit_types": ["text"]}, "invalid_enum_value"),
        ({"ids": ["UOM-1"]}, "invalid_id"),
        ({"limit": 0}, "invalid_field"),
        ({"limit": 2**31}, "invalid_field"),
        ({"limit": "5"}, "unexpected_json_type"),
        ({"limit": 5.5}, "unexpected_json_type"),
        ({"limit": True}, "unexpected_json_type"),
        ({"cursor": ""}, "invalid_field"),
        ({"cursor": "2"}, "invalid_field"),
        ({"cursor": "dW9tLzk5"}, "invalid_field"),
        ({"cursor": "ü"}, "invalid_field"),
        ({"cursor": 1}, "unexpected_json_type"),
        ({"mode": "behind"}, "invalid_enum_value"),
        ({"sort_by": ["colour:asc"]}, "invalid_field"),
        ({"sort_by": ["name:up"]}, "invalid_field"),
    ],
)
def test_a_list_that_breaks_a_rule_is_a_bad_request_of_its_type(caller: Caller, body: Any, kind: str) -> None:
    answer = caller.ask("uoms.list", body)

    assert (answer.status, content(answer)["type"]) == (400, kind)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("metric_names=a&metric_names=b", "bad_request"),
        ("metric_names=", "none"),
        ("limit=1", "none"),
        ("limit=one", "unexpected_json_type"),
        ("limit=-1", "invalid_field"),
        ("cursor=%FF", "parse_error"),
        ("page=2", "bad_request"),
        ("mode=before&limit=2", "none"),
    ],
)
def test_a_query_is_judged_as_strictly_as_a_body(caller: Caller, query: str, kind: str) -> None:
    answer = content(caller.read("uoms.list", query))

    assert answer.get("type", "none") == kind


def test_a_new_uom_stands_in_no_list_before_its_time(caller: Caller) -> None:
    caller.switches.visible_after_s = 5
    caller.create("a")
    caller.clock.advance(4.5)

    assert names(caller) == []


def test_a_new_uom_stands_in_lists_from_its_time_on(caller: Caller) -> None:
    caller.switches.visible_after_s = 5
    caller.create("a")
    caller.clock.advance(5)

    assert names(caller) == ["a"]


def test_a_new_uom_stands_in_no_count_before_its_time(caller: Caller) -> None:
    caller.switches.visible_after_s = 5
    caller.create("a")

    assert content(caller.ask("uoms.count")) == {"count": 0}


def test_a_new_uom_may_stand_in_the_third_list_only(caller: Caller) -> None:
    caller.switches.visible_after_lists = 2
    caller.create("a")

    assert [names(caller) for _ in range(3)] == [[], [], ["a"]]


def test_a_uom_that_no_list_shows_yet_is_a_duplicate_nevertheless(caller: Caller) -> None:
    caller.switches.visible_after_s = 5
    caller.create("litres")

    assert caller.ask("uoms.create", LITRES).status == 409


def test_a_list_may_omit_members(caller: Caller) -> None:
    caller.switches.list_omits = {"dimensions", "product"}
    uom = caller.create()

    answer = content(caller.ask("uoms.list"))

    assert answer["uoms"][0].keys() == uom.keys() - {"dimensions", "product"}


def test_the_first_page_may_be_empty_and_the_next_one_not(caller: Caller) -> None:
    caller.switches.page_fault = "empty"
    four_uoms(caller)

    assert turned(caller) == [[], ["a", "b", "c", "d"]]


def test_every_page_may_have_the_same_cursor(caller: Caller) -> None:
    caller.switches.page_fault = "endless"
    four_uoms(caller)
    first = content(caller.ask("uoms.list"))

    assert content(caller.ask("uoms.list", {"cursor": first["next_cursor"]})) == first
