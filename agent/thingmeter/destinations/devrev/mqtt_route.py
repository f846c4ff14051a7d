"""Publishes requests to an MQTT topic, from where something in the cloud that holds DevRev's token posts them on.

The payload is the very body that would be posted. Once the broker has it, keeping it is the cloud's affair; ids in the
records let DevRev tell a copy that came by a second attempt.
"""

from __future__ import annotations

import math

from thingmeter.destinations.publisher import Publisher
from thingmeter.mqtt.session import Session


class MqttUsageTransport:
    """One request in flight at a time; a ``protocols.Transport``."""

    def __init__(self, session: Session, topic: str) -> None:
        self._publisher = Publisher(session, topic, "[devrev] topic")

    def hold_s(self) -> float:
        """Return 0 while there is a connection, else infinity: until ``Delivery.wake``."""
        return 0 if self._publisher.is_connected else math.inf

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # ids stand in the payload
        """Return once the broker has acknowledged; blocks and raises as ``Publisher.send`` does."""
        self._publisher.send(payload, timeout_s=timeout_s)

    def close(self) -> None:
        """End the ``send`` in progress, if there is one."""
        self._publisher.close()
