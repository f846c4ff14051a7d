"""The report's four encodings: golden bytes, one structure behind them, and never more than a payload holds."""

import json
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thingmeter.destinations.defender.report import (
    LONG_NAMES,
    MAXIMUM_BYTES,
    SHORT_NAMES,
    CustomMetric,
    Report,
    encode,
    is_reportable,
    number,
)
from thingmeter.metrics import Connection, Listener

GOLDEN = Path(__file__).parents[1] / "golden"
V4, V6 = ip_address("198.51.100.7"), ip_address("2001:db8::7")
FULL = Report(
    report_id=1_767_225_600,
    network_stats={"bytes_in": 29_358_693_495, "bytes_out": 26_485_035, "packets_in": 10_013, "packets_out": 9_382},
    listening_tcp_ports=(Listener(22, ip_address("0.0.0.0")), Listener(631, ip_address("127.0.0.1"), "lo")),
    listening_tcp_ports_total=2,
    listening_udp_ports=(),
    listening_udp_ports_total=0,
    tcp_connections=(Connection(V4, 443, ip_address("192.0.2.10"), 49_988, "eth0"), Connection(V6, 8883, V6, 50_000)),
    tcp_connections_total=120,
    custom_metrics={
        "cpu_usage": CustomMetric("number", 3),
        "load": CustomMetric("number-list", (0.5, 1, 0.25)),
        "listeners": CustomMetric("string-list", ("tcp:0.0.0.0:22",)),
        "peers": CustomMetric("ip-address-list", ()),
    },
)
ENCODINGS = [(format, names) for format in ("json", "cbor") for names in ("long", "short")]


def decode(payload: bytes, format: str) -> Any:
    return json.loads(payload) if format == "json" else cbor2.loads(payload, allow_indefinite=False)


def with_long_names(part: Any, names: Mapping[str, str]) -> Any:
    """Rename the fields, but neither the custom metrics' names nor what stands in them."""
    if isinstance(part, list):
        return [with_long_names(item, names) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        names[key]: value if names[key] == "custom_metrics" else with_long_names(value, names)
        for key, value in part.items()
    }


def normal(payload: bytes, format: str, names: str) -> Any:
    words = LONG_NAMES if names == "long" else SHORT_NAMES
    return with_long_names(decode(payload, format), {spelling: name for name, spelling in words.items()})


@pytest.mark.parametrize(("format", "names"), ENCODINGS)
def test_a_full_report_is_the_golden_bytes(format: Any, names: Any) -> None:
    payload = encode(FULL, format=format, names=names)

    assert payload == (GOLDEN / f"report-{names}.{format}").read_bytes()


@pytest.mark.parametrize("format", ["json", "cbor"])
@pytest.mark.parametrize("names", ["long", "short"])
def test_a_number_is_a_list_of_one_map_with_one_value(format: Any, names: Any) -> None:
    report = Report(report_id=1, custom_metrics={"cpu_usage": CustomMetric("number", 3)})

    document = decode(encode(report, format=format, names=names), format)

    assert document["custom_metrics" if names == "long" else "cmet"] == {"cpu_usage": [{"number": 3}]}


@pytest.mark.parametrize(("format", "names"), ENCODINGS)
def test_unknown_is_left_out(format: Any, names: Any) -> None:
    report = Report(report_id=1, listening_tcp_ports=())

    document = normal(encode(report, format=format, names=names), format, names)

    assert document == {
        "header": {"report_id": 1, "version": "1.0"},
        "metrics": {"listening_tcp_ports": {"ports": [], "total": 0}},
    }


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
ports = st.integers(1, 65535)
interfaces = st.one_of(st.none(), st.sampled_from(["lo", "eth0"]))
numbers = st.one_of(st.integers(-(10**25), 10**25), st.floats(allow_nan=False, allow_infinity=False))
texts = st.from_regex(r"[A-Za-z0-9:_\-/.]{1,40}", fullmatch=True)
custom_metrics = st.one_of(
    st.builds(CustomMetric, st.just("number"), numbers),
    st.builds(CustomMetric, st.just("number-list"), st.lists(numbers).map(tuple)),
    st.builds(CustomMetric, st.just("string-list"), st.lists(texts).map(tuple)),
    st.builds(CustomMetric, st.just("ip-address-list"), st.lists(addresses.map(str)).map(tuple)),
)
listeners = st.lists(st.builds(Listener, ports, addresses, interfaces)).map(tuple)
reports = st.builds(
    Report,
    report_id=st.integers(1, 2**53),
    network_stats=st.one_of(
        st.none(), st.dictionaries(st.sampled_from(["bytes_in", "bytes_out"]), st.integers(0, 10**18), min_size=1)
    ),
    listening_tcp_ports=st.one_of(st.none(), listeners),
    listening_tcp_ports_total=st.integers(0, 10**6),
    listening_udp_ports=st.one_of(st.none(), listeners),
    listening_udp_ports_total=st.integers(0, 10**6),
    tcp_connections=st.one_of(
        st.none(), st.lists(st.builds(Connection, addresses, ports, addresses, ports, interfaces)).map(tuple)
    ),
    tcp_connections_total=st.integers(0, 10**6),
    custom_metrics=st.one_of(st.none(), st.dictionaries(texts, custom_metrics, max_size=5)),
)


@given(reports)
def test_the_four_encodings_decode_to_one_structure(report: Report) -> None:
    first, *others = [normal(encode(report, format=f, names=n), f, n) for f, n in ENCODINGS]  # type: ignore[arg-type]

    assert all(other == first for other in others)


@given(reports)
def test_cbor_holds_no_tags_and_no_indefinite_lengths(report: Report) -> None:
    tags: list[object] = []
    payload = encode(report, format="cbor", names="short")

    cbor2.loads(payload, allow_indefinite=False, tag_hook=lambda _, tag: tags.append(tag), semantic_decoders={})

    assert tags == []


@pytest.mark.parametrize(("format", "names"), ENCODINGS)
def test_a_report_that_is_too_long_loses_the_ends_of_its_lists_and_keeps_its_totals(format: Any, names: Any) -> None:
    many = tuple(Connection(V6, port, V6, port, "eth0") for port in range(1, 20_001))
    report = replace(FULL, tcp_connections=many, tcp_connections_total=20_000)

    payload = encode(report, format=format, names=names)

    established = normal(payload, format, names)["metrics"]["tcp_connections"]["established_connections"]
    assert len(payload) <= MAXIMUM_BYTES
    assert established["total"] == 20_000
    assert established["connections"][0] == {
        "remote_addr": "[2001:db8::7]:1",
        "local_port": 1,
        "local_interface": "eth0",
    }
    assert payload == encode(report, format=format, names=names)


def test_a_value_that_alone_is_too_long_is_left_out_and_the_rest_stays() -> None:
    report = replace(FULL, custom_metrics={"a": CustomMetric("string-list", ("x" * 200_000,)), **FULL.custom_metrics})  # type: ignore[dict-item]

    custom = json.loads(encode(report, format="json", names="long"))["custom_metrics"]

    assert "a" not in custom
    assert custom["cpu_usage"] == [{"number": 3}]


@given(numbers)
@example(37_582_743_656_038_453)  # its nearest float of 15 digits has more of them as an integer
@example(2**63 - 1)
def test_a_number_has_at_most_fifteen_significant_digits(value: float) -> None:
    digits = json.dumps(number(value)).lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")

    assert len(digits) <= 15


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_an_integer_of_fifteen_digits_stays_as_it_is(value: int) -> None:
    assert number(value) == value
    assert isinstance(number(value), int)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 10**400])
def test_what_json_lacks_is_not_reportable(value: float) -> None:
    assert not is_reportable(value)
