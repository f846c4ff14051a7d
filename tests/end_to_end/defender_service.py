"""A Device Defender of the tests: a client at the broker that holds each report against strict rules and answers it.

It keeps its session at the broker, so that what arrives while it is away is delivered when it is back.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cbor2
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from brokers import OBSERVER_NAME, PATIENCE_S, Mosquitto
from end_to_end import defender_rules

FILTER = "$aws/things/+/defender/metrics/+"
SESSION_S = 600
CLIENT_ID = "defender"
SAVING_S = 0.2  # a broker that keeps its sessions needs so long to write down what it knows
KEEPS_SESSIONS = """
persistence true
autosave_on_changes true
autosave_interval 1
persistence_location {folder}/
"""  # for a broker that is to end and come back: what is published to Device Defender meanwhile is not lost on it


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report as it came: when (monotonic), where, and all that is wrong with it."""

    thing: str
    topic: str
    payload: bytes
    at: float
    content: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def encoding(self) -> str:
        return self.topic.rpartition("/")[2]

    @property
    def report_id(self) -> int:
        return int(self.content["header"]["report_id"])

    @property
    def network_stats(self) -> dict[str, int] | None:
        stats: dict[str, int] | None = self.content.get("metrics", {}).get("network_stats")
        return stats


Answer = tuple[str, bytes]  # the last level of the topic, and the payload
Verdict = Callable[[Arrival], Sequence[Answer]]


def accept(arrival: Arrival) -> Sequence[Answer]:
    """Accept a sound report, reject any other with the reason."""
    if arrival.problems:
        return reject("InvalidPayload", "; ".join(arrival.problems))(arrival)
    answer = {"thingName": arrival.thing, "reportId": arrival.report_id, "status": "ACCEPTED", "timestamp": _now_ms()}
    return [("accepted", _encoded(answer, arrival))]


def reject(code: str, message: str = "Report rejected") -> Verdict:
    """Return what rejects any report with this code."""

    def verdict(arrival: Arrival) -> Sequence[Answer]:
        answer = {
            "thingName": arrival.thing,
            "reportId": arrival.report_id,
            "status": "REJECTED",
            "statusDetails": {"ErrorCode": code, "ErrorMessage": message},
            "timestamp": _now_ms(),
        }
        return [("rejected", _encoded(answer, arrival))]

    return verdict


def silence(_arrival: Arrival) -> Sequence[Answer]:
    """Never answer."""
    return []


def garbage_first(*payloads: bytes) -> Verdict:
    """Return what answers with these bytes on both topics, and then accepts."""
    noise = [(verdict, payload) for payload in payloads for verdict in ("rejected", "accepted")]
    return lambda arrival: [*noise, *accept(arrival)]


class DefenderService:
    """Device Defender for the things of one broker; every report is accepted unless a script says otherwise."""

    def __init__(self, broker: Mosquitto, *, client_id: str = CLIENT_ID) -> None:
        self._broker = broker
        self._changed = threading.Condition()
        self._arrivals: list[Arrival] = []
        self._scripts: defaultdict[str, deque[Verdict]] = defaultdict(deque)
        self._otherwise: dict[str, Verdict] = {}
        self._subscribed = 0
        self._own = broker.authority.ensure(OBSERVER_NAME, broker.folder / "things")
        self._client_id = client_id
        self._client: Client | None = None

    def start(self) -> None:
        """Connect and subscribe; also after the broker came back."""
        client = Client(CallbackAPIVersion.VERSION2, self._client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.tls_set(
            str(self._broker.authority.ca_file), str(self._own.certificate_file), str(self._own.private_key_file)
        )
        client.on_message = self._received
        client.on_connect = lambda client, *_: client.subscribe(FILTER, qos=1)
        client.on_subscribe = lambda *_: self._count_subscribed()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.SessionExpiryInterval = SESSION_S
        self._client = client
        client.connect(self._broker.host, self._broker.port, clean_start=False, properties=properties)
        before = self._subscribed
        client.loop_start()
        with self._changed:
            assert self._changed.wait_for(lambda: self._subscribed > before, PATIENCE_S), "not subscribed"

    def stop(self) -> None:
        """Go away; the broker keeps what comes meanwhile. Nothing happens when it is not there."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def script(self, thing: str, *verdicts: Verdict) -> None:
        """Give these verdicts to the thing's next reports, one each."""
        with self._changed:
            self._scripts[thing].extend(verdicts)

    def always(self, thing: str, verdict: Verdict) -> None:
        """Give this verdict to every report of the thing for which there is no other."""
        with self._changed:
            self._otherwise[thing] = verdict

    def reports(self, thing: str, count: int, timeout_s: float = PATIENCE_S) -> list[Arrival]:
        """Return the thing's first ``count`` reports; fail when they do not come."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._of(thing)) >= count, timeout_s)
            found = self._of(thing)
        assert len(found) >= count, f"{len(found)} of {count} reports of {thing} came"
        return found[:count]

    def wait_for(self, thing: str, wanted: Callable[[Arrival], bool], timeout_s: float = PATIENCE_S) -> Arrival:
        """Return the thing's first report that is wanted; fail when none comes."""
        with self._changed:
            self._changed.wait_for(lambda: any(map(wanted, self._of(thing))), timeout_s)
            found = self._of(thing)
        matching = [arrival for arrival in found if wanted(arrival)]
        assert matching, f"none of the {len(found)} reports of {thing} is what was waited for"
        return matching[0]

    def next_reports(self, thing: str, count: int) -> list[Arrival]:
        """Return the ``count`` reports of the thing that come from now on."""
        before = len(self.arrivals(thing))
        return self.reports(thing, before + count)[before:]

    def arrivals(self, thing: str) -> list[Arrival]:
        """Return what has come of the thing so far."""
        with self._changed:
            return self._of(thing)

    def answer(self, arrival: Arrival, verdict: Verdict) -> None:
        """Answer now a report that was left without."""
        client = self._client
        assert client is not None
        for kind, payload in verdict(arrival):
            client.publish(f"{arrival.topic}/{kind}", payload, qos=1)

    def _received(self, _client: Client, _context: object, message: MQTTMessage) -> None:
        arrival = judged(message.topic, bytes(message.payload), retained=message.retain)
        with self._changed:
            script = self._scripts[arrival.thing]
            verdict = script.popleft() if script else self._otherwise.get(arrival.thing, accept)
            self._arrivals.append(arrival)
            self._changed.notify_all()
        self.answer(arrival, verdict)

    def _count_subscribed(self) -> None:
        with self._changed:
            self._subscribed += 1
            self._changed.notify_all()

    def _of(self, thing: str) -> list[Arrival]:
        return [arrival for arrival in self._arrivals if arrival.thing == thing]


def wait_for_answers(broker: Mosquitto, thing: str, count: int) -> None:
    """Return when the thing has its first ``count`` answers, and the broker knows that the reports were received.

    Until its next report nothing of it is in flight anywhere, so that the broker can be ended without losing anything.
    """
    broker.log.wait_for(lambda line: f"Sending PUBLISH to {thing}" in line and "/accepted" in line, count)
    broker.log.wait_for(lambda line: f"Received PUBACK from {CLIENT_ID}" in line, count)
    broker.log.wait_for(lambda line: f"Received PUBACK from {thing}" in line, count)


@contextmanager
def defender_at(broker: Mosquitto) -> Iterator[DefenderService]:
    """Run a Device Defender at the broker."""
    service = DefenderService(broker)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def judged(topic: str, payload: bytes, *, retained: bool = False) -> Arrival:
    """Return the report as it arrived now, with everything that is wrong with it."""
    thing, encoding = topic.split("/")[2], topic.split("/")[5]
    now = time.monotonic()
    found = ["it is retained"] if retained else []
    if encoding not in {"json", "cbor"}:
        found.append(f"the topic ends in {encoding!r}")
    try:
        content = defender_rules.read(payload, encoding)
    except defender_rules.Refused as refused:
        content = {"header": {"report_id": 0}}
        return Arrival(thing, topic, payload, now, content, (*found, str(refused)))
    return Arrival(thing, topic, payload, now, content, (*found, *defender_rules.problems(content)))


def _encoded(answer: dict[str, Any], arrival: Arrival) -> bytes:
    return json.dumps(answer).encode() if arrival.encoding == "json" else cbor2.dumps(answer)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
