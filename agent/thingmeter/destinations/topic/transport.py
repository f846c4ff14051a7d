"""Publishes samples to an MQTT topic, no more of them in a second than AWS IoT Core takes of a connection."""

from __future__ import annotations

import math

from thingmeter.destinations.publisher import Publisher
from thingmeter.destinations.topic.pace import Pace
from thingmeter.mqtt.session import Session
from thingmeter.protocols import Clock


class TopicTransport:
    """One sample in flight at a time; a ``protocols.Transport``.

    Args:
        session: the agent's connection.
        topic: where samples go, its {thing} replaced.
        clock: paces the publishes.
    """

    def __init__(self, session: Session, topic: str, clock: Clock) -> None:
        self._publisher = Publisher(session, topic, "[topic] template")
        self._topic_bytes = len(topic.encode("utf-8", "replace"))
        self._pace = Pace(clock)

    def hold_s(self) -> float:
        """Return the seconds until a sample may be published; infinity without a connection: ``Delivery.wake``."""
        return self._pace.wait_s() if self._publisher.is_connected else math.inf

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # a topic has no keys
        """Return once the broker has acknowledged; does not wait for the pace, else as ``Publisher.send``."""
        size = self._topic_bytes + len(payload)
        self._publisher.send(payload, timeout_s=timeout_s, about_to=lambda: self._pace.publishing(size))

    def close(self) -> None:
        """End the ``send`` in progress, if there is one."""
        self._publisher.close()
