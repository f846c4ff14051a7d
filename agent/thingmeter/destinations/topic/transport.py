"""Publishes samples to an MQTT topic, QoS 1.

A PUBACK below 0x80 says that the broker, or for Basic Ingest the rules engine, has the sample; also when nobody has
subscribed. A topic that is refused is the fault of no sample: all are kept until the topic or the policy is changed.
"""

from __future__ import annotations

import math

from thingmeter.destinations.abandonable import AbandonableCall
from thingmeter.destinations.topic.pace import Pace
from thingmeter.errors import Denied, Rejected, Unanswered, Unreachable
from thingmeter.mqtt import reasons, topics
from thingmeter.mqtt.session import Session
from thingmeter.protocols import Clock

MAXIMUM_BYTES = 131_072  # of a payload: AWS IoT Core
TOPIC_NAME_INVALID = 0x90


class TopicTransport:
    """One sample in flight at a time; a ``protocols.Transport``.

    Args:
        session: the agent's connection.
        topic: where samples go, its {thing} replaced.
        clock: paces the publishes.
    """

    def __init__(self, session: Session, topic: str, clock: Clock) -> None:
        self._session = session
        self._topic = topic
        self._topic_bytes = len(topic.encode("utf-8", "replace"))
        self._pace = Pace(clock)
        self._call = AbandonableCall()

    def hold_s(self) -> float:
        """Return the seconds until a sample may be published; infinity without a connection: ``Delivery.wake``."""
        return self._pace.wait_s() if self._session.state().connected_since else math.inf

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # a topic has no keys
        """Return once the broker has acknowledged; blocks at most about ``timeout_s``, and not for the pace.

        Raises:
            Rejected: the payload can never pass.
            Denied: not authorized, or the topic cannot be used.
            Throttled: the broker's quota is exceeded.
            Unanswered: published, and not acknowledged.
            Unreachable: certainly not published.
        """
        if problem := topics.name_problem(self._topic):
            raise Denied(f"[topic] template {problem}")
        if len(payload) > MAXIMUM_BYTES:
            raise Rejected(f"{len(payload)} bytes, AWS IoT Core takes {MAXIMUM_BYTES}")
        if self._session.state().connected_since is None:
            raise Unreachable(self._session.state().last_error or "mqtt: not connected yet")
        self._pace.publishing(self._topic_bytes + len(payload))
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
            if reasons.describe(TOPIC_NAME_INVALID) in str(error):
                raise Denied(str(error)) from error
            raise
