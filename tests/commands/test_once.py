"""How ``thingmeter once`` lays a report out for people."""

import json

from hypothesis import given
from hypothesis import strategies as st

from thingmeter.commands.once import PAGE_WIDTH, _laid_out

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=8) | st.dictionaries(st.text(max_size=9), children, max_size=8),
    max_leaves=40,
)


def test_what_fits_on_a_line_stands_on_one() -> None:
    assert _laid_out({"hed": {"rid": 1, "v": "1.0"}}) == '{"hed": {"rid": 1, "v": "1.0"}}'


def test_what_does_not_fit_has_a_line_a_member() -> None:
    long = ["x" * 60, "y" * 60]

    assert _laid_out({"a": long}).splitlines() == ["{", '  "a": [', f'    "{long[0]}",', f'    "{long[1]}"', "  ]", "}"]


@given(values)
def test_what_is_laid_out_is_the_same_json(value: object) -> None:
    assert json.loads(_laid_out(value)) == value


@given(st.lists(st.integers(0, 9999), min_size=60))
def test_no_line_of_short_members_is_longer_than_the_page(numbers: list[int]) -> None:
    assert max(map(len, _laid_out({"numbers": numbers}).splitlines())) <= PAGE_WIDTH
