"""From samples to a report: what feeds what, what is unknown, what is none, and what the service would not keep."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from thingmeter.config.settings import CustomMetric, Defender
from thingmeter.destinations.defender import mapping
from thingmeter.destinations.defender.mapping import collectors_of, is_empty, mistake_in, report_of, rules_of
from thingmeter.metrics import Connection, DataPoint, Listener, Metric

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE, PEER = ip_address("192.0.2.1"), ip_address("198.51.100.7")
KNOWN = {
    "cpu.usage_percent": Metric("cpu.usage_percent", "%"),
    "network.received_bytes": Metric("network.received_bytes", "By", kind="counter", dimensions=("interface",)),
    "sockets.remote_address": Metric("sockets.remote_address", "1", type="address"),
    "sockets.local_listener": Metric("sockets.local_listener", "1", type="text"),
}


def point(name: str, value: Any) -> DataPoint:
    return DataPoint(name, value, NOW, NOW, NOW)


def custom(type: Any, value: Any, refused: list[str] | None = None) -> Any:  # noqa: A002
    metric = CustomMetric(name="m", type=type, from_="a.b", aggregate="last")
    settings = Defender(blocks=(), custom_metric=(metric,))
    refuse = (refused if refused is not None else []).append
    report = report_of(settings, [point(mapping.CUSTOM + "m", value)], 1, refuse)
    return report.custom_metrics and report.custom_metrics["m"].value


def test_every_block_and_custom_metric_has_its_rule() -> None:
    metric = CustomMetric(
        name="eth0_in", type="number", from_="network.received_bytes", aggregate="increase", where={"interface": "eth0"}
    )

    names = {rule.name for rule in rules_of(Defender(custom_metric=(metric,)))}

    assert {"bytes_in", "bytes_out", "packets_in", "packets_out", "tcp_connections", "custom:eth0_in"} <= names


def test_the_blocks_name_the_collectors_they_are_made_of() -> None:
    assert collectors_of(Defender(blocks=("network_stats", "tcp_connections"))) == {"network", "sockets"}
    assert collectors_of(Defender(blocks=())) == set()


def test_a_list_is_cut_at_its_maximum_and_keeps_its_true_total() -> None:
    peers = tuple(Connection(PEER, port, HERE, 1, "eth0") for port in range(1, 6))
    points = [point("tcp_connections", peers), point("tcp_connections total", 70)]

    report = report_of(Defender(maximum_connections=3), points, 1, print)

    assert report.tcp_connections == peers[:3]
    assert report.tcp_connections_total == 70


def test_none_listening_is_an_empty_list_and_unknown_is_none() -> None:
    report = report_of(Defender(), [point("listening_udp_ports", ())], 1, print)

    assert report.listening_udp_ports == ()
    assert report.listening_tcp_ports is None


def test_a_block_is_left_out_when_its_source_gives_no_list() -> None:
    report = report_of(Defender(), [point("listening_tcp_ports", 3)], 1, print)

    assert report.listening_tcp_ports is None


def test_a_report_of_nothing_known_is_empty() -> None:
    assert is_empty(report_of(Defender(), [], 1, print))
    assert not is_empty(report_of(Defender(), [point("listening_tcp_ports", (Listener(22, HERE),))], 1, print))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused(value: float) -> None:
    refused: list[str] = []

    assert custom("number", value, refused) is None
    assert refused == ["m"]


def test_strings_that_the_service_would_drop_are_refused_and_the_others_stay() -> None:
    refused: list[str] = []

    assert custom("string-list", ("a b", "eth0/1", "ü"), refused) == ("eth0/1",)
    assert refused == ["m", "m"]


def test_a_list_of_which_nothing_is_kept_is_unknown_and_not_none() -> None:
    assert custom("string-list", ("a b",)) is None
    assert custom("string-list", ()) == ()


def test_addresses_are_text_and_have_no_zone() -> None:
    assert custom("ip-address-list", (ip_address("fe80::1%eth0"), PEER)) == ("198.51.100.7",)


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (CustomMetric(name="m", type="number", from_="cpu.usage_percnt"), "did you mean cpu.usage_percent?"),
        (CustomMetric(name="m", type="number", from_="memory.used_percent"), "no collector memory runs"),
        (CustomMetric(name="m", type="number", from_="sockets.local_listener"), "number takes number"),
        (CustomMetric(name="m", type="ip-address-list", from_="sockets.local_listener"), "takes address"),
        (CustomMetric(name="m", type="number", from_="cpu.usage_percent", aggregate="increase"), "takes a counter"),
        (
            CustomMetric(name="m", type="number", from_="network.received_bytes", where={"iface": "eth0"}),
            "its dimensions: interface",
        ),
    ],
)
def test_a_mapping_that_can_never_have_a_value_is_told(metric: CustomMetric, told: str) -> None:
    assert told in mistake_in(metric, KNOWN)


@pytest.mark.parametrize(
    "metric",
    [
        CustomMetric(name="m", type="number", from_="cpu.usage_percent", aggregate="mean"),
        CustomMetric(name="m", type="string-list", from_="sockets.remote_address"),
        CustomMetric(name="m", type="number", from_="fed_by_emit"),
    ],
)
def test_a_mapping_that_fits_has_no_mistake(metric: CustomMetric) -> None:
    assert mistake_in(metric, KNOWN) == ""
