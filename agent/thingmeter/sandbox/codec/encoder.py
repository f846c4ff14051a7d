"""Packets from the broker to bytes."""

from __future__ import annotations

import struct
from typing import assert_never

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from thingmeter.sandbox.packets import (
    ConnAck,
    Disconnect,
    FromBroker,
    PingResp,
    PubAck,
    Publish,
    Reason,
    SubAck,
    UnsubAck,
)


def encode(packet: FromBroker) -> bytes:
    """Return the bytes of a packet from the broker."""
    match packet:
        case ConnAck():
            return _frame(0x20, bytes([0, packet.reason]) + _connack_properties(packet))
        case Publish(message=message):
            flags = packet.duplicate << 3 | message.qos << 1 | message.retain
            packet_id = struct.pack("!H", packet.packet_id) if message.qos else b""
            return _frame(0x30 | flags, _text(message.topic) + packet_id + b"\0" + message.payload)
        case PubAck():
            reason = _reason_and_string(PacketTypes.PUBACK, packet.reason, packet.reason_string)
            return _frame(0x40, struct.pack("!H", packet.packet_id) + reason)
        case SubAck():
            return _frame(0x90, struct.pack("!H", packet.packet_id) + b"\0" + bytes(packet.reasons))
        case UnsubAck():
            return _frame(0xB0, struct.pack("!H", packet.packet_id) + b"\0" + bytes(packet.reasons))
        case PingResp():
            return b"\xd0\x00"
        case Disconnect():
            return _frame(0xE0, _reason_and_string(PacketTypes.DISCONNECT, packet.reason, packet.reason_string))
    assert_never(packet)


def _connack_properties(packet: ConnAck) -> bytes:
    properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    if packet.reason_string:
        properties.ReasonString = packet.reason_string
    if packet.reason < Reason.UNSPECIFIED_ERROR:
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = packet.receive_maximum
        properties.MaximumQoS = 1
        properties.RetainAvailable = 1
        properties.MaximumPacketSize = packet.maximum_packet_bytes
        properties.TopicAliasMaximum = 0
        properties.WildcardSubscriptionAvailable = 1
        properties.SubscriptionIdentifierAvailable = 0
        properties.SharedSubscriptionAvailable = 0
        if packet.server_keep_alive_s is not None:
            properties.ServerKeepAlive = packet.server_keep_alive_s
    return bytes(properties.pack())  # type: ignore[no-untyped-call]


def _reason_and_string(packet_type: int, reason: int, reason_string: str) -> bytes:
    properties = Properties(packet_type)  # type: ignore[no-untyped-call]
    if reason_string:
        properties.ReasonString = reason_string
    return bytes([reason]) + bytes(properties.pack())  # type: ignore[no-untyped-call]


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("!H", len(encoded)) + encoded


def _frame(first_byte: int, body: bytes) -> bytes:
    length = VariableByteIntegers.encode(len(body))  # type: ignore[no-untyped-call]
    return bytes([first_byte]) + bytes(length) + body
