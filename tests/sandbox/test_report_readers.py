from __future__ import annotations

import contextlib
import json
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.sandbox.defender.cbor_reader import read_cbor
from thingmeter.sandbox.defender.json_reader import read_json
from thingmeter.sandbox.defender.rules import check_report
from thingmeter.sandbox.errors import Undecodable

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_any_bytes_as_cbor_give_a_tree_or_undecodable(payload: bytes) -> None:
    with contextlib.suppress(Undecodable):
        check_report(read_cbor(payload))


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_any_bytes_as_json_give_a_tree_or_undecodable(payload: bytes) -> None:
    with contextlib.suppress(Undecodable):
        check_report(read_json(payload))


@given(TREES)
def test_cbor_reads_what_an_independent_writer_wrote(tree: object) -> None:
    assert read_cbor(cbor2.dumps(tree)) == tree


@given(TREES)
def test_json_reads_what_an_independent_writer_wrote(tree: object) -> None:
    assert read_json(json.dumps(tree).encode()) == tree


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_keeps_its_shortest_digits(number: float) -> None:
    assert read_cbor(cbor2.dumps(number)) == Decimal(repr(number))


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        pytest.param("bf616101ff", "definite-length", id="a map without a length"),
        pytest.param("9f01ff", "definite-length", id="a list without a length"),
        pytest.param("7f6161ff", "definite-length", id="a text without a length"),
        pytest.param("c11a514b67b0", "tag", id="a time"),
        pytest.param("c24101", "tag", id="a big number"),
        pytest.param("a10102", "text-key", id="a key that is a number"),
        pytest.param("a2616101616102", "duplicate-key", id="a key twice"),
        pytest.param("4101", "type", id="bytes"),
        pytest.param("f7", "type", id="undefined"),
        pytest.param("f97e00", "finite", id="NaN"),
        pytest.param("f97c00", "finite", id="infinity"),
        pytest.param("61ff", "parse", id="not UTF-8"),
        pytest.param("0101", "parse", id="bytes behind"),
        pytest.param("1901", "parse", id="cut short"),
        pytest.param("1c", "parse", id="a reserved code"),
        pytest.param("9affffffff", "parse", id="a list longer than the report"),
        pytest.param("", "parse", id="nothing"),
        pytest.param("81" * 40 + "01", "parse", id="nested too deeply"),
    ],
)
def test_cbor_that_device_defender_is_not_known_to_take_breaks_a_rule(payload: str, rule: str) -> None:
    with pytest.raises(Undecodable) as caught:
        read_cbor(bytes.fromhex(payload))

    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        pytest.param(b'{"a": 1, "a": 2}', "duplicate-key", id="a key twice"),
        pytest.param(b"NaN", "finite", id="NaN"),
        pytest.param(b"[-Infinity]", "finite", id="infinity"),
        pytest.param(b"\xff", "parse", id="not UTF-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), "parse", id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf{}", "parse", id="a byte order mark"),
        pytest.param(b"{} {}", "parse", id="bytes behind"),
        pytest.param(b"", "parse", id="nothing"),
        pytest.param(b"[" * 100_000, "parse", id="nested too deeply"),
        pytest.param(b"1" * 5000, "parse", id="a number of 5000 digits"),
        pytest.param(b"1e99999999999999999999", "parse", id="a number out of all bounds"),
    ],
)
def test_json_that_two_readers_could_take_in_two_ways_breaks_a_rule(payload: bytes, rule: str) -> None:
    with pytest.raises(Undecodable) as caught:
        read_json(payload)

    assert caught.value.rule == rule
