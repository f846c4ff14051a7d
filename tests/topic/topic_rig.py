"""The transport of samples with the sandbox's broker, as the contract of every transport wants it."""

from __future__ import annotations

from pathlib import Path

from contracts.transports import THING, OverMqtt, Trouble
from thingmeter.clock import SystemClock
from thingmeter.destinations.topic.sample import encode
from thingmeter.destinations.topic.transport import TopicTransport
from thingmeter.sandbox.cloud import Sandbox
from topic.samples import AT, USAGE_PERCENT

TOPIC = f"telemetry/{THING}"


class TopicRig(OverMqtt):
    """Samples on an MQTT topic."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        super().__init__(sandbox, folder)
        self.transport: TopicTransport = TopicTransport(self.session, TOPIC, SystemClock())
        self._padding = 0

    def message(self, number: int) -> tuple[str, bytes]:
        return str(number), encode(USAGE_PERCENT.sample(number), AT, THING) + b" " * self._padding

    def make(self, trouble: Trouble) -> None:
        if trouble == "denied":
            self.transport = TopicTransport(self.session, "telemetry/another", SystemClock())
        elif trouble == "rejected":
            self._padding = 131_072
        else:
            super().make(trouble)

    def received(self, count: int) -> list[bytes]:
        def is_sample(kind: str, topic: str) -> bool:
            return kind == "published" and topic == TOPIC

        events = self.sandbox.events.wait(count, where=lambda event: is_sample(event.kind, event.detail))
        return [event.payload for event in events]
