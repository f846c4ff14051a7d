"""Publishes payloads to one MQTT topic, QoS 1, and says of each failure what it means for the payload.

A PUBACK below 0x80 is acceptance, also when nobody has subscribed: the broker, or for Basic Ingest the rules engine,
has the payload. A topic that is refused is the fault of no payload: all are kept until the topic or the policy is
changed.
"""

from __future__ import annotations

from collections.abc import Callable

from thingmeter.destinations.abandonable import AbandonableCall
from thingmeter.errors import Denied, Rejected, Unanswered, Unreachable
from thingmeter.mqtt import reasons, topics
from thingmeter.mqtt.session import Session

MAXIMUM_BYTES = 131_072  # of a payload: AWS IoT Core
TOPIC_NAME_INVALID = 0x90


def _nothing() -> None:
    return None


class Publisher:
    """One payload in flight at a time.

    Args:
        session: the agent's connection.
        topic: where payloads go.
        setting: the name of the topic's setting, for people.
    """

    def __init__(self, session: Session, topic: str, setting: str) -> None:
        self._session = session
        self._topic = topic
        self._setting = setting
        self._call = AbandonableCall()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._session.state().connected_since is not None

    def send(self, payload: bytes, *, timeout_s: float, about_to: Callable[[], None] = _nothing) -> None:
        """Return once the broker has acknowledged; blocks at most about ``timeout_s``.

        ``about_to`` is called when nothing stands in the way of the publish any more.

        Raises:
            Rejected: the payload can never pass; a smaller one may.
            Denied: not authorized, or the topic cannot be used.
            Throttled: the broker's quota is exceeded.
            Unanswered: published, and not acknowledged.
            Unreachable: certainly not published.
        """
        if problem := topics.name_problem(self._topic):
            raise Denied(f"{self._setting} {problem}")
        if len(payload) > MAXIMUM_BYTES:
            raise Rejected(f"{len(payload)} bytes, AWS IoT Core takes {MAXIMUM_BYTES}")
        if not self.is_connected:
            raise Unreachable(self._session.state().last_error or "mqtt: not connected yet")
        about_to()
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
