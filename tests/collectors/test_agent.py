from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from thingmeter.collectors.agent import MAXIMUM_EVENTS, AgentCollector
from thingmeter.health import Health
from thingmeter.metrics import Value


@dataclass(frozen=True)
class FixedDepth:
    """How much waits."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class FixedOutbox:
    """An outbox in which nothing happens."""

    waiting: FixedDepth = FixedDepth(0, 0)
    became: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.waiting.rows

    def depth(self) -> FixedDepth:
        return self.waiting

    def counts(self) -> Mapping[str, int]:
        return self.became


def readings(collector: AgentCollector) -> dict[str, Value]:
    return {sample.metric.name: sample.value for sample in collector.collect() if not sample.dimensions}


def events(collector: AgentCollector) -> dict[str, Value]:
    return {sample.dimensions[0][1]: sample.value for sample in collector.collect() if sample.dimensions}


def number(value: Value) -> float:
    assert isinstance(value, int | float)
    return value


@pytest.mark.parametrize("name", ["cpu_seconds", "resident_bytes", "unique_bytes", "threads", "open_files"])
def test_a_running_agent_uses_some_of_everything(name: str) -> None:
    agent = readings(AgentCollector(health=Health()))

    assert number(agent[name]) > 0


def test_processor_time_does_not_go_down() -> None:
    collector = AgentCollector(health=Health())

    first, second = readings(collector), readings(collector)

    assert number(first["cpu_seconds"]) <= number(second["cpu_seconds"])


def test_unique_memory_is_part_of_the_resident() -> None:
    agent = readings(AgentCollector(health=Health()))

    assert number(agent["unique_bytes"]) < number(agent["resident_bytes"])


def test_a_socket_is_an_open_file() -> None:
    collector = AgentCollector(health=Health())
    before = readings(collector)

    with socket.socket():
        during = readings(collector)

    assert number(during["open_files"]) == number(before["open_files"]) + 1


def test_each_thread_is_counted() -> None:
    collector = AgentCollector(health=Health())
    before = readings(collector)
    end = threading.Event()
    thread = threading.Thread(target=end.wait, args=(60,), name="counted")
    thread.start()

    during = readings(collector)
    end.set()
    thread.join(60)

    assert number(during["threads"]) == number(before["threads"]) + 1


def test_failed_collects_are_zero_before_the_first() -> None:
    agent = readings(AgentCollector(health=Health()))

    assert agent["collector_failures"] == 0


def test_failed_collects_are_those_that_health_counted() -> None:
    health = Health()
    health.count("collector_failures", 4)

    agent = readings(AgentCollector(health=health))

    assert agent["collector_failures"] == 4


def test_each_kind_of_event_has_its_count() -> None:
    health = Health()
    health.count("samples_refused", 3)
    health.count("answers_late")

    counted = events(AgentCollector(health=health))

    assert counted == {"answers_late": 1, "samples_refused": 3}


def test_kinds_of_events_are_bounded() -> None:
    health = Health()
    for kind in range(MAXIMUM_EVENTS + 10):
        health.count(f"kind_{kind:03}")

    counted = events(AgentCollector(health=health))

    assert len(counted) == MAXIMUM_EVENTS


def test_without_an_outbox_nothing_is_said_of_messages() -> None:
    agent = readings(AgentCollector(health=Health()))

    assert not any(name.startswith(("outbox_", "messages_")) for name in agent)


@pytest.mark.parametrize(
    ("name", "value"),
    [("outbox_rows", 12), ("outbox_bytes", 34_567), ("messages_dropped", 5), ("messages_set_aside", 2)],
)
def test_the_outbox_tells_of_its_messages(name: str, value: int) -> None:
    outbox = FixedOutbox(FixedDepth(12, 34_567), {"dropped": 5, "set_aside": 2, "delivered": 99})

    agent = readings(AgentCollector(health=Health(), outbox=outbox))

    assert agent[name] == value


def test_an_empty_outbox_is_still_an_outbox() -> None:
    agent = readings(AgentCollector(health=Health(), outbox=FixedOutbox()))

    assert agent["outbox_rows"] == 0
