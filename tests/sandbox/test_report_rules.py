from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thingmeter.sandbox.defender.breach import RULES
from thingmeter.sandbox.defender.payload import judge_payload
from thingmeter.sandbox.defender.rules import check_report

HEADER = {"report_id": 1530304554, "version": "1.0"}
METRICS: dict[str, Any] = {
    "listening_tcp_ports": {"ports": [{"interface": "eth0", "port": 24800}, {"port": 22}], "total": 3},
    "listening_udp_ports": {"ports": [], "total": 0},
    "network_stats": {"bytes_in": 29358693495, "bytes_out": 26485035, "packets_in": 10, "packets_out": 0},
    "tcp_connections": {
        "established_connections": {
            "connections": [
                {"local_interface": "eth0", "local_port": 80, "remote_addr": "192.168.0.1:8000"},
                {"remote_addr": "[2001:db8::1]:443"},
            ],
            "total": 2,
        }
    },
}
CUSTOM: dict[str, Any] = {
    "cpu:usage-1_x": [{"number": 12.5}],
    "load": [{"number_list": [1, 2.5, -3]}],
    "listeners": [{"string_list": ["tcp/0.0.0.0/22", "a:b_c-d.e"]}],
    "peers": [{"ip_list": ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"]}],
    "nobody": [{"ip_list": []}],
}
GOOD: dict[str, Any] = {"header": HEADER, "metrics": METRICS, "custom_metrics": CUSTOM}
SHORT: dict[str, Any] = {
    "hed": {"rid": 1530304554, "v": "1.0"},
    "met": {
        "tp": {"pts": [{"if": "eth0", "pt": 24800}, {"pt": 22}], "t": 3},
        "up": {"pts": [], "t": 0},
        "ns": {"bi": 29358693495, "bo": 26485035, "pi": 10, "po": 0},
        "tc": {"ec": {"cs": [{"li": "eth0", "lp": 80, "rad": "192.168.0.1:8000"}], "t": 2}},
    },
    "cmet": CUSTOM,
}


def rules_broken(report: Any) -> set[str]:
    return {breach.rule for breach in judge_payload(json.dumps(report).encode(), "json")[1]}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the good report with the value at ``path`` replaced, or removed when it is ``...``."""
    report = deepcopy(GOOD)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    node: Any = report
    for key in parents:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return report


@pytest.mark.parametrize("report", [GOOD, SHORT, {"header": HEADER, "metrics": METRICS}], ids=["long", "short", "bare"])
def test_a_good_report_breaks_no_rule(report: dict[str, Any]) -> None:
    assert rules_broken(report) == set()


CONNECTION = "metrics/tcp_connections/established_connections/connections/0"
TCP = "metrics/listening_tcp_ports"


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("header", ..., "required"),
        ("header", [], "type"),
        ("header/report_id", ..., "required"),
        ("header/report_id", 0, "report-id"),
        ("header/report_id", -1, "report-id"),
        ("header/report_id", "1", "report-id"),
        ("header/report_id", 1.5, "report-id"),
        ("header/report_id", True, "report-id"),
        ("header/report_id", 1234567890123456, "digits"),
        ("header/version", ..., "required"),
        ("header/version", 1.0, "version"),
        ("header/version", "1", "version"),
        ("header/time", 1, "unknown-field"),
        ("extra", {}, "unknown-field"),
        ("metrics", None, "type"),
        ("metrics", [], "type"),
        ("metrics/extra", 1, "unknown-field"),
        (f"{TCP}/ports", {}, "type"),
        (f"{TCP}/ports", None, "type"),
        (f"{TCP}/ports/0/port", ..., "required"),
        (f"{TCP}/ports/0/port", 0, "port"),
        (f"{TCP}/ports/0/port", 65536, "port"),
        (f"{TCP}/ports/0/port", "22", "type"),
        (f"{TCP}/ports/0/port", 22.0, "type"),
        (f"{TCP}/ports/0/interface", "", "interface"),
        (f"{TCP}/ports/0/interface", None, "type"),
        (f"{TCP}/total", -1, "total"),
        (f"{TCP}/total", 1, "total"),
        (f"{TCP}/total", None, "type"),
        (f"{CONNECTION}/remote_addr", ..., "required"),
        (f"{CONNECTION}/remote_addr", "192.168.0.1", "address"),
        (f"{CONNECTION}/remote_addr", "192.168.0.256:1", "address"),
        (f"{CONNECTION}/remote_addr", "2001:db8::1:443", "address"),
        (f"{CONNECTION}/remote_addr", "[10.0.0.1]:443", "address"),
        (f"{CONNECTION}/remote_addr", "[fe80::1%eth0]:443", "address"),
        (f"{CONNECTION}/remote_addr", "10.0.0.1:0", "port"),
        (f"{CONNECTION}/remote_addr", "10.0.0.1:65536", "port"),
        (f"{CONNECTION}/remote_addr", "10.0.0.1:080", "address"),
        (f"{CONNECTION}/remote_addr", 1, "type"),
        (f"{CONNECTION}/local_port", -1, "port"),
        (f"{CONNECTION}/state", "x", "unknown-field"),
        ("metrics/network_stats/bytes_in", -1, "delta"),
        ("metrics/network_stats/bytes_in", 1.5, "type"),
        ("metrics/network_stats/bytes_in", None, "type"),
        ("metrics/network_stats/bytes_in", True, "type"),
        ("metrics/ns", {"bi": 1}, "spelling"),
        ("hed", HEADER, "spelling"),
        ("header/rid", 1, "spelling"),
        ("custom_metrics", [], "type"),
        ("custom_metrics/load", {"number": 3}, "custom-list"),
        ("custom_metrics/load", [], "custom-list"),
        ("custom_metrics/load", [{"number": 3}, {"number": 4}], "custom-list"),
        ("custom_metrics/load", [3], "custom-list"),
        ("custom_metrics/load", 3, "custom-list"),
        ("custom_metrics/load", [{}], "custom-type"),
        ("custom_metrics/load", [{"number": 3, "number_list": [3]}], "custom-type"),
        ("custom_metrics/load", [{"text": "x"}], "custom-type"),
        ("custom_metrics/load", [{"number-list": [1]}], "custom-type"),
        ("custom_metrics/load", [{"number": "3"}], "type"),
        ("custom_metrics/load", [{"number": True}], "type"),
        ("custom_metrics/load", [{"number": None}], "type"),
        ("custom_metrics/load", [{"number": [3]}], "type"),
        ("custom_metrics/load", [{"number": 0.30000000000000004}], "digits"),
        ("custom_metrics/load", [{"number": 1234567890123456}], "digits"),
        ("custom_metrics/load", [{"number_list": 3}], "type"),
        ("custom_metrics/load", [{"number_list": [1, False]}], "type"),
        ("custom_metrics/load", [{"string_list": "a"}], "type"),
        ("custom_metrics/load", [{"string_list": [1]}], "type"),
        ("custom_metrics/load", [{"string_list": ["a b"]}], "characters"),
        ("custom_metrics/load", [{"string_list": ["\u00e9"]}], "characters"),
        ("custom_metrics/load", [{"string_list": ["a\n"]}], "characters"),
        ("custom_metrics/load", [{"ip_list": ["10.0.0.0/8"]}], "ip"),
        ("custom_metrics/load", [{"ip_list": ["fe80::1%eth0"]}], "ip"),
        ("custom_metrics/load", [{"ip_list": ["10.0.0.1:80"]}], "ip"),
        ("custom_metrics/load", [{"ip_list": ["host"]}], "ip"),
        ("custom_metrics/load", [{"ip_list": [1]}], "type"),
        ("custom_metrics/aws:load", [{"number": 3}], "metric-name"),
        ("custom_metrics/a b", [{"number": 3}], "metric-name"),
        (f"custom_metrics/{'x' * 129}", [{"number": 3}], "metric-name"),
    ],
)
def test_a_report_that_is_wrong_in_one_way_breaks_one_rule(path: str, value: Any, rule: str) -> None:
    assert rules_broken(changed(path, value)) == {rule}


@pytest.mark.parametrize("report", [[], 1, "x", None])
def test_a_report_is_a_map(report: Any) -> None:
    assert rules_broken(report) == {"type"}


@pytest.mark.parametrize("report", [{"header": HEADER}, {"header": HEADER, "metrics": {}, "custom_metrics": {}}])
def test_a_report_holds_something(report: Any) -> None:
    assert rules_broken(report) == {"content"}


def test_a_number_beyond_a_double_is_refused() -> None:
    report: Any = {"header": HEADER, "custom_metrics": {"a": [{"number": Decimal("1e400")}]}}

    assert [breach.rule for breach in check_report(report)] == ["finite"]


def test_zeros_at_either_end_are_not_significant() -> None:
    assert rules_broken(changed("custom_metrics/load", [{"number_list": [10**20, 0.00000000000000012]}])) == set()


def test_a_breach_says_where_and_how_and_why() -> None:
    payload = json.dumps(changed("custom_metrics/load", {"number": 3})).encode()

    _, [breach] = judge_payload(payload, "json")

    assert (str(breach), breach.source) == (
        "custom_metrics.load: a map is not a list of exactly one map",
        "S2: a list of exactly one map",
    )


def test_every_rule_is_tested_in_this_folder() -> None:
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert [rule for rule in RULES if f'"{rule}"' not in tests] == []
