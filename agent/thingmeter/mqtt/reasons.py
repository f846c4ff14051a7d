"""MQTT 5 reason codes: in words, and as the outcome of a publish (pure). Source: MQTT 5.0, section 2.4."""

from __future__ import annotations

from thingmeter.errors import DeliveryError, Denied, Rejected, Throttled, Unreachable
from thingmeter.mqtt.client import Answer, Lost

REFUSED_FROM = 0x80  # a code below is success; 0x10 says that nobody has subscribed
BAD_CREDENTIALS = 0x86
NOT_AUTHORIZED = 0x87
TAKEN_OVER = 0x8E
QUOTA_EXCEEDED = 0x97

WORDS = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version: the broker does not speak MQTT 5",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x93: "receive maximum exceeded",
    0x94: "topic alias invalid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}

DENIED = frozenset({0x85, BAD_CREDENTIALS, NOT_AUTHORIZED, 0x8A, 0x8C})  # stay so until a policy or certificate changes
REJECTED = frozenset({0x90, 0x95, 0x99})  # the same bytes can never pass
THROTTLED = frozenset({0x96, QUOTA_EXCEEDED})
THROTTLED_S = 60.0  # the codes carry no time; AWS IoT's quotas are per second, so a minute is ample

MAXIMUM_WORDS = 200


def describe(code: int, words: str = "") -> str:
    """Return ``code`` in words and in hex, followed by what the broker said itself, if anything."""
    text = f"{WORDS.get(code, 'unknown reason')} (0x{code:02X})"
    return f"{text}: {clean(words)}" if words else text


def clean(words: str) -> str:
    """Return a peer's words fit for a log: control characters escaped, cut to 200 characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words[:MAXIMUM_WORDS])


def refusal(answer: Answer, topic: str) -> DeliveryError | None:
    """Return the error that a PUBACK amounts to; None when the broker has the message."""
    if answer.code < REFUSED_FROM:
        return None
    return _error(answer.code, f"mqtt: publish to {topic} refused: {describe(answer.code, answer.words)}")


def loss(lost: Lost, topic: str) -> DeliveryError:
    """Return the error that the end of the connection amounts to for a message in flight.

    A DISCONNECT says nothing about which message it is for: "not authorized" is taken as the answer to every one
    (Denied can be sent again), the rest only by a message that was alone in flight.
    """
    message = f"mqtt: connection lost before {topic} was acknowledged: {lost}"
    if lost.code is not None and (lost.alone or lost.code == NOT_AUTHORIZED):
        return _error(lost.code, message)
    return Unreachable(message)


def _error(code: int, message: str) -> DeliveryError:
    if code in DENIED:
        return Denied(message)
    if code in REJECTED:
        return Rejected(message)
    if code in THROTTLED:
        return Throttled(message, after_s=THROTTLED_S)
    return Unreachable(message)
