"""The MQTT 5 packets that a broker exchanges with its clients, as plain data. Source: OASIS MQTT 5.0, chapter 3."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias


class Reason(IntEnum):
    """The reason codes that the sandbox's broker sends. Source: OASIS MQTT 5.0, 2.4."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    NOT_AUTHORIZED = 0x87
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1


@dataclass(frozen=True, slots=True)
class Message:
    """What is published on a topic."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Connect:
    """CONNECT. ``receive_maximum`` and ``maximum_packet_bytes`` are what the client takes; 0 seconds: no keep-alive."""

    client_id: str
    keep_alive_s: int
    session_expiry_s: int = 0
    receive_maximum: int = 65535
    maximum_packet_bytes: int = 268_435_455
    authentication_method: str = ""
    will: Message | None = None


@dataclass(frozen=True, slots=True)
class ConnAck:
    """CONNACK. Where ``reason`` is an error the limits are not sent."""

    reason: int
    receive_maximum: int = 100
    maximum_packet_bytes: int = 149_504
    server_keep_alive_s: int | None = None
    reason_string: str = ""


@dataclass(frozen=True, slots=True)
class Publish:
    """PUBLISH. ``packet_id`` is 0 for QoS 0; ``topic_alias`` is 0 when there is none."""

    message: Message
    packet_id: int = 0
    topic_alias: int = 0
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class PubAck:
    """PUBACK."""

    packet_id: int
    reason: int = Reason.SUCCESS
    reason_string: str = ""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE: topic filters with the QoS asked for and whether retained messages are wanted."""

    packet_id: int
    filters: tuple[tuple[str, int, bool], ...]
    has_identifier: bool = False


@dataclass(frozen=True, slots=True)
class SubAck:
    """SUBACK: one granted QoS or error for each filter."""

    packet_id: int
    reasons: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnsubAck:
    """UNSUBACK."""

    packet_id: int
    reasons: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PingReq:
    """PINGREQ."""


@dataclass(frozen=True, slots=True)
class PingResp:
    """PINGRESP."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """DISCONNECT."""

    reason: int = Reason.SUCCESS
    reason_string: str = ""


FromClient: TypeAlias = Connect | Publish | PubAck | Subscribe | Unsubscribe | PingReq | Disconnect
FromBroker: TypeAlias = ConnAck | Publish | PubAck | SubAck | UnsubAck | PingResp | Disconnect
