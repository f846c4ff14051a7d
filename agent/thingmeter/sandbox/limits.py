"""What AWS IoT Core allows on a connection, as the sandbox's broker enforces it.

Source: docs.aws.amazon.com/general/latest/gr/iot-core.html (message broker and protocol limits and quotas).
"""

from __future__ import annotations

from dataclasses import dataclass

PAYLOAD_BYTES = 131_072


@dataclass(frozen=True, slots=True)
class Limits:
    """The broker's limits; the defaults are those of AWS IoT Core.

    Attributes:
        payload_bytes: of one PUBLISH.
        packet_bytes: of a whole packet, announced in CONNACK; a larger one is refused unread.
        topic_bytes: of a topic or a filter.
        topic_slashes: in a topic or a filter.
        filters: in one SUBSCRIBE.
        subscriptions: of one connection.
        receive_maximum: QoS 1 messages from a client without a PUBACK.
        minimum_keep_alive_s: a shorter keep-alive is raised to it.
        maximum_keep_alive_s: a longer keep-alive, or none, is lowered to it.
        connect_interval_s: between two connects of one client id.
        connect_timeout_s: from the open socket to the end of the CONNECT packet.
        retained: messages kept; more are not.
        waiting: packets waiting for a slow client before it is dropped, and QoS 1 messages above its receive maximum.
    """

    payload_bytes: int = PAYLOAD_BYTES
    packet_bytes: int = 149_504
    topic_bytes: int = 256
    topic_slashes: int = 7
    filters: int = 8
    subscriptions: int = 50
    receive_maximum: int = 100
    minimum_keep_alive_s: int = 30
    maximum_keep_alive_s: int = 1200
    connect_interval_s: float = 1.0
    connect_timeout_s: float = 10.0
    retained: int = 1000
    waiting: int = 1000

    def keep_alive_s(self, asked_s: int) -> int:
        """Return the keep-alive that the broker grants; 0 asks for none."""
        return min(max(asked_s or self.maximum_keep_alive_s, self.minimum_keep_alive_s), self.maximum_keep_alive_s)

    def fits(self, topic: str) -> bool:
        """Return whether a topic or a filter is within its bounds."""
        return 0 < len(topic.encode()) <= self.topic_bytes and topic.count("/") <= self.topic_slashes
