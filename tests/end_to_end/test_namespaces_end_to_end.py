"""What is only exact on a machine of one's own: sums of traffic, and counts of very many sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from end_to_end import defender_rules
from end_to_end.namespace import run_scenario

pytestmark = [pytest.mark.needs_namespaces, pytest.mark.long]


@pytest.mark.needs_mosquitto
def test_over_an_outage_and_a_restart_every_byte_is_reported_once(tmp_path: Path) -> None:
    outcome = run_scenario("network_sums", "away_and_back", str(tmp_path))

    assert outcome["reported"] == outcome["kernel"]
    assert outcome["replaced"] >= 1
    assert outcome["delivered"] == outcome["reports"]


@pytest.mark.needs_mosquitto
def test_traffic_in_a_report_that_was_published_before_kill_9_is_not_reported_again(tmp_path: Path) -> None:
    outcome = run_scenario("network_sums", "killed_before_the_answer", str(tmp_path))

    assert outcome["reported"] == outcome["kernel"]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what was found on a machine with 10,000 sockets."""
    outcome: dict[str, Any] | None = run_scenario("ten_thousand_sockets", str(tmp_path_factory.mktemp("crowded")))
    if outcome is None:
        pytest.skip("this user may not open 10,200 files (ulimit -Hn)")
    report = defender_rules.read(bytes.fromhex(outcome["payload"]), "json")
    return {**outcome, "problems": defender_rules.problems(report), "metrics": report["metrics"]}


def test_a_report_on_10_000_sockets_is_what_device_defender_takes(crowded: dict[str, Any]) -> None:
    assert (crowded["sockets"], crowded["problems"]) == (10_000, [])


def test_the_total_of_listening_ports_is_the_kernels(crowded: dict[str, Any]) -> None:
    assert crowded["metrics"]["listening_tcp_ports"]["total"] == crowded["listening"]


def test_the_total_of_connections_is_the_kernels(crowded: dict[str, Any]) -> None:
    assert crowded["metrics"]["tcp_connections"]["established_connections"]["total"] == crowded["established"]


def test_long_lists_are_cut_but_not_to_nothing(crowded: dict[str, Any]) -> None:
    ports = crowded["metrics"]["listening_tcp_ports"]["ports"]
    connections = crowded["metrics"]["tcp_connections"]["established_connections"]["connections"]

    assert 0 < len(ports) <= 1000
    assert 0 < len(connections) <= 1000
