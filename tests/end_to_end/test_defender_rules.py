from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from end_to_end import defender_rules

Report = dict[str, Any]

SOUND: Report = {
    "header": {"report_id": 1_790_000_000, "version": "1.0"},
    "metrics": {
        "tcp_connections": {
            "established_connections": {
                "connections": [{"remote_addr": "[2001:db8::1]:443", "local_port": 40_000, "local_interface": "eth0"}],
                "total": 7,
            }
        },
        "listening_tcp_ports": {"ports": [{"port": 22}], "total": 1},
        "listening_udp_ports": {"ports": [], "total": 0},
        "network_stats": {"bytes_in": 1, "bytes_out": 0, "packets_in": 1, "packets_out": 0},
    },
    "custom_metrics": {
        "a": [{"number": 1.5}],
        "b": [{"number_list": [1, 2]}],
        "c": [{"string_list": ["tcp/0.0.0.0/22"]}],
        "d": [{"ip_list": ["10.0.0.1", "::1"]}],
    },
}


def changed(change: Callable[[Report], object]) -> Report:
    report: Report = json.loads(json.dumps(SOUND))
    change(report)
    return report


WRONG: dict[str, Callable[[Report], object]] = {
    "an id of 0": lambda r: r["header"].update(report_id=0),
    "an id that is text": lambda r: r["header"].update(report_id="7"),
    "another version": lambda r: r["header"].update(version=1.0),
    "no version": lambda r: r["header"].pop("version"),
    "no block at all": lambda r: (r.pop("metrics"), r.pop("custom_metrics")),
    "an unknown block": lambda r: r["metrics"].update(disk={}),
    "a null": lambda r: r["metrics"].update(network_stats=None),
    "a negative delta": lambda r: r["metrics"]["network_stats"].update(bytes_in=-1),
    "a total below the list": lambda r: r["metrics"]["listening_tcp_ports"].update(total=0),
    "a port of 0": lambda r: r["metrics"]["listening_tcp_ports"]["ports"][0].update(port=0),
    "no remote address": lambda r: _connection(r).pop("remote_addr"),
    "a remote address without port": lambda r: _connection(r).update(remote_addr="10.0.0.1"),
    "IPv6 without brackets": lambda r: _connection(r).update(remote_addr="2001:db8::1:443"),
    "a bare map": lambda r: r["custom_metrics"].update(a={"number": 1}),
    "two values": lambda r: r["custom_metrics"].update(a=[{"number": 1}, {"number": 2}]),
    "two types": lambda r: r["custom_metrics"].update(a=[{"number": 1, "number_list": [1]}]),
    "a boolean": lambda r: r["custom_metrics"].update(a=[{"number": True}]),
    "16 digits": lambda r: r["custom_metrics"].update(a=[{"number": 0.1234567890123456}]),
    "a blank in a string": lambda r: r["custom_metrics"].update(c=[{"string_list": ["a b"]}]),
    "an address with a zone": lambda r: r["custom_metrics"].update(d=[{"ip_list": ["fe80::1%eth0"]}]),
    "a reserved name": lambda r: r["custom_metrics"].update({"aws:x": [{"number": 1}]}),
}


def _connection(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = report["metrics"]["tcp_connections"]["established_connections"]["connections"][0]
    return found


def spelled_short(item: Any) -> Any:
    if isinstance(item, list):
        return [spelled_short(member) for member in item]
    if isinstance(item, dict):
        return {
            defender_rules.SHORT.get(key, key): value if key == "custom_metrics" else spelled_short(value)
            for key, value in item.items()
        }
    return item


@pytest.mark.parametrize("report", [SOUND, spelled_short(SOUND)], ids=["long", "short"])
@pytest.mark.parametrize("encoding", ["json", "cbor"])
def test_a_sound_report_has_no_problem(report: Report, encoding: str) -> None:
    payload = json.dumps(report).encode() if encoding == "json" else cbor2.dumps(report)

    assert defender_rules.problems(defender_rules.read(payload, encoding)) == []


@pytest.mark.parametrize("encoding", ["json", "cbor"])
def test_both_spellings_read_as_one_report(encoding: str) -> None:
    encode = json.dumps if encoding == "json" else cbor2.dumps
    long, short = encode(SOUND), encode(spelled_short(SOUND))

    read = [defender_rules.read(p.encode() if isinstance(p, str) else p, encoding) for p in (long, short)]

    assert read == [SOUND, SOUND]


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_report_has_a_problem(change: Callable[[Report], object]) -> None:
    assert defender_rules.problems(changed(change))


@pytest.mark.parametrize(
    ("payload", "encoding"),
    [
        (b'{"header": {"report_id": 1, "report_id": 2}}', "json"),
        (b'{"header": NaN}', "json"),
        (b"\xff", "json"),
        (b'{"hed": {"report_id": 1}}', "json"),
        (b"[]", "json"),
        (b'{"header": "' + b"x" * 131_072 + b'"}', "json"),
        (b"\xbf\xff", "cbor"),  # a map of indefinite length
        (b"\xa1\x01\x02", "cbor"),  # a key that is a number
        (b"\xa1\x61a\xc1\x00", "cbor"),  # a tag
        (b"\xa1\x61a\x18\x01", "cbor"),  # 1 in two bytes
        (b"\xa1\x61a", "cbor"),
        (b"\xa0\x00", "cbor"),
    ],
)
def test_what_is_no_map_in_its_format_is_refused(payload: bytes, encoding: str) -> None:
    with pytest.raises(defender_rules.Refused):
        defender_rules.read(payload, encoding)
