from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings

from config.toml_text import toml_texts
from thingmeter.config.lines import DEEPEST, TooDeepError, find_lines
from thingmeter.config.places import KeyPath


def paths_of(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    found = {path} if path else set()
    if isinstance(value, dict):
        return found.union(*(paths_of(inner, (*path, key)) for key, inner in value.items()))
    if isinstance(value, list):
        return found.union(*(paths_of(inner, (*path, index)) for index, inner in enumerate(value)))
    return found


def test_a_key_has_its_line() -> None:
    lines = find_lines("# a comment\n\nport = 8883\n")

    assert lines == {("port",): 3}


def test_a_table_has_the_line_of_its_header() -> None:
    lines = find_lines("[mqtt.tls]\n[mqtt]\nport = 1\n")

    assert lines == {("mqtt",): 2, ("mqtt", "tls"): 1, ("mqtt", "port"): 3}


def test_a_table_that_is_only_implied_has_the_first_line_that_implies_it() -> None:
    lines = find_lines("\n[a.b]\n[a.c]\n")

    assert lines["a",] == 2


def test_dotted_and_quoted_keys_are_taken_apart() -> None:
    lines = find_lines('a . "b.c" . \'d"e\' = 1\n"\\u0066" = 2\n')

    assert lines == {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", 'd"e'): 1, ("f",): 2}


def test_each_table_of_an_array_has_its_own_lines() -> None:
    lines = find_lines("[[m]]\nn = 1\n[[m]]\n\nn = 2\n[m.t]\nk = 1\n")

    assert (lines["m", 0, "n"], lines["m", 1, "n"], lines["m", 1, "t", "k"]) == (2, 5, 7)


def test_each_item_of_a_long_array_has_its_own_line() -> None:
    lines = find_lines("a = [\n  1, # one ]\n\n  '], [',\n  [2,\n 3],\n]\nb = 1\n")

    assert {path[1:]: line for path, line in lines.items() if path[0] == "a"} == {
        (): 1,
        (0,): 2,
        (1,): 4,
        (2,): 5,
        (2, 0): 5,
        (2, 1): 6,
    }


def test_what_stands_in_a_string_is_no_structure() -> None:
    text = 'a = """\n[x]\ny = 1 \\""" "" """""\nb = \'\'\'\n"""\nz = 1\'\'\'\'\nc = "# = \\" ["\nd = 1 # "\n'

    assert find_lines(text) == {("a",): 1, ("b",): 4, ("c",): 7, ("d",): 8}


def test_keys_of_an_inline_table_have_lines() -> None:
    lines = find_lines('t = { a.b = 1, "c" = [{ d = "}" }], e = 1979-05-27 07:32:00 }\nf = 1\n')

    assert lines == {
        ("t",): 1,
        ("t", "a"): 1,
        ("t", "a", "b"): 1,
        ("t", "c"): 1,
        ("t", "c", 0): 1,
        ("t", "c", 0, "d"): 1,
        ("t", "e"): 1,
        ("f",): 2,
    }


@pytest.mark.parametrize(
    "text",
    [
        f"a = {'[' * (DEEPEST + 1)}{']' * (DEEPEST + 1)}",
        ".".join("k" * (DEEPEST + 1)) + " = 1",
        f"[{'.'.join('k' * (DEEPEST + 1))}]",
    ],
)
def test_nesting_that_no_configuration_needs_is_refused(text: str) -> None:
    with pytest.raises(TooDeepError):
        find_lines(text)


@settings(deadline=None)
@given(toml_texts())
def test_exactly_what_tomllib_finds_has_a_line(text: str) -> None:
    lines = find_lines(text)

    assert set(lines) == paths_of(tomllib.loads(text))


@settings(deadline=None)
@given(toml_texts())
def test_a_line_is_that_on_which_the_key_is_written(text: str) -> None:
    written = text.split("\n")

    lines = find_lines(text)

    assert all(path[-1] in written[line - 1] for path, line in lines.items() if isinstance(path[-1], str))
