"""Publishes requests to an MQTT topic, from where something in the cloud that holds DevRev's token posts them on.

The payload is the very body that would be posted. A PUBACK below 0x80 says that the broker has it, and from there on
keeping it is the cloud's affair; ids in the records let DevRev tell a copy that came by a second attempt.
"""

from __future__ import annotations

import math

from thingmeter.destinations.abandonable import AbandonableCall
from thingmeter.destinations.devrev.sizing import MAXIMUM_MQTT_BYTES
from thingmeter.errors import Denied, Rejected, Unanswered, Unreachable
from thingmeter.mqtt import reasons, topics
from thingmeter.mqtt.session import Session

TOPIC_NAME_INVALID = 0x90


class MqttUsageTransport:
    """One request in flight at a time; a ``protocols.Transport``."""

    def __init__(self, session: Session, topic: str) -> None:
        self._session = session
        self._topic = topic
        self._call = AbandonableCall()

    def hold_s(self) -> float:
        """Return 0 while there is a connection, else infinity: until ``Delivery.wake``."""
        return 0 if self._session.state().connected_since else math.inf

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # ids stand in the payload
        """Return once the broker has acknowledged; blocks at most about ``timeout_s``.

        Raises:
            Rejected: the payload can never pass; a smaller one may.
            Denied: not authorized, or the topic cannot be used.
            Throttled: the broker's quota is exceeded.
            Unanswered: published, and not acknowledged.
            Unreachable: certainly not published.
        """
        if problem := topics.name_problem(self._topic):
            raise Denied(f"[devrev] topic {problem}")
        if len(payload) > MAXIMUM_MQTT_BYTES:
            raise Rejected(f"{len(payload)} bytes, AWS IoT Core takes {MAXIMUM_MQTT_BYTES}")
        if self._session.state().connected_since is None:
            raise Unreachable(self._session.state().last_error or "mqtt: not connected yet")
        self._call.run(lambda: self._publish(payload, timeout_s), timeout_s=timeout_s)

    def close(self) -> None:
        """End the ``send`` in progress, if there is one."""
        self._call.close()

    def _publish(self, payload: bytes, timeout_s: float) -> None:
        try:
            self._session.publish(self._topic, payload, timeout_s=timeout_s)
        except Denied:
            raise
        except Unreachable as error:  # it may be the acknowledgement that was lost
            raise Unanswered(str(error)) from error
        except Rejected as error:
            if reasons.describe(TOPIC_NAME_INVALID) in str(error):  # the fault of no record
                raise Denied(str(error)) from error
            raise
