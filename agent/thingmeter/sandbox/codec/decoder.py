"""Bytes to packets. Any bytes give a packet or a MalformedPacket, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from paho.mqtt.packettypes import PacketTypes

from thingmeter.sandbox.codec.reader import Reader
from thingmeter.sandbox.errors import MalformedPacket
from thingmeter.sandbox.packets import (
    Connect,
    Disconnect,
    FromClient,
    Message,
    PingReq,
    PubAck,
    Publish,
    Reason,
    Subscribe,
    Unsubscribe,
)

MQTT_5 = 5
MQTT_3_LEVELS = (3, 4)
CONNACK_MQTT_3_REFUSED = b"\x20\x02\x00\x01"  # unacceptable protocol version, in the words of MQTT 3.1.1
WILL_QOS_SHIFT = 3
MAXIMUM_QOS_BITS = 2


def decode(first_byte: int, body: bytes) -> FromClient:
    """Return the packet whose fixed header begins with ``first_byte`` and whose remaining bytes are ``body``.

    Raises:
        MalformedPacket: not a packet that a client may send; ``reason`` says what to refuse it with.
    """
    packet_type, flags = first_byte >> 4, first_byte & 0x0F
    decoder = _DECODERS.get(packet_type)
    if decoder is None:
        raise MalformedPacket(f"packet type {packet_type} is not for a broker", reason=Reason.PROTOCOL_ERROR)
    reader = Reader(body)
    packet = decoder(flags, reader)
    reader.expect_end()
    return packet


def _decode_connect(flags: int, reader: Reader) -> Connect:
    _expect_flags(flags, 0)
    name, level = reader.text(), reader.byte()
    if name not in {"MQTT", "MQIsdp"}:
        raise MalformedPacket("the protocol name is not MQTT", reason=Reason.UNSUPPORTED_PROTOCOL_VERSION)
    if level != MQTT_5:
        raise MalformedPacket(f"protocol level {level}", reason=_refused_level(level))
    connect_flags, keep_alive_s = reader.byte(), reader.number()
    if connect_flags & 0x01:
        raise MalformedPacket("the reserved connect flag is set")
    properties = reader.properties(PacketTypes.CONNECT)
    client_id = reader.text()
    will = _decode_will(connect_flags, reader)
    if connect_flags & 0x80:
        reader.text()  # the user name: certificates alone decide here, and awscrt puts its telemetry into it
    if connect_flags & 0x40:
        reader.binary()
    return Connect(
        client_id,
        keep_alive_s,
        session_expiry_s=getattr(properties, "SessionExpiryInterval", 0),
        receive_maximum=getattr(properties, "ReceiveMaximum", 65535),
        maximum_packet_bytes=getattr(properties, "MaximumPacketSize", 268_435_455),
        authentication_method=getattr(properties, "AuthenticationMethod", ""),
        will=will,
    )


def _refused_level(level: int) -> int:
    """Return 1, what an MQTT 3 client understands, or MQTT 5's own reason code for all others."""
    return 1 if level in MQTT_3_LEVELS else Reason.UNSUPPORTED_PROTOCOL_VERSION


def _decode_will(connect_flags: int, reader: Reader) -> Message | None:
    qos, retain = connect_flags >> WILL_QOS_SHIFT & 0x03, bool(connect_flags & 0x20)
    if not connect_flags & 0x04:
        if qos or retain:
            raise MalformedPacket("flags of a will without a will")
        return None
    if qos > MAXIMUM_QOS_BITS:
        raise MalformedPacket("a will of QoS 3")
    reader.properties(PacketTypes.WILLMESSAGE)
    topic = reader.text()
    return Message(topic, reader.binary(), qos, retain)


def _decode_publish(flags: int, reader: Reader) -> Publish:
    qos, retain = flags >> 1 & 0x03, bool(flags & 0x01)
    if qos > MAXIMUM_QOS_BITS:
        raise MalformedPacket("a PUBLISH of QoS 3")
    topic = reader.text()
    packet_id = reader.packet_id() if qos else 0
    properties = reader.properties(PacketTypes.PUBLISH)
    return Publish(
        Message(topic, reader.rest(), qos, retain),
        packet_id,
        topic_alias=getattr(properties, "TopicAlias", 0),
        duplicate=bool(flags & 0x08),
    )


def _decode_puback(flags: int, reader: Reader) -> PubAck:
    _expect_flags(flags, 0)
    packet_id = reader.packet_id()
    return PubAck(packet_id, _decode_reason(PacketTypes.PUBACK, reader))


def _decode_disconnect(flags: int, reader: Reader) -> Disconnect:
    _expect_flags(flags, 0)
    return Disconnect(_decode_reason(PacketTypes.DISCONNECT, reader))


def _decode_reason(packet_type: int, reader: Reader) -> int:
    """Return the reason code, which may be left out, and skip the properties, which may be left out too."""
    if reader.ended:
        return Reason.SUCCESS
    reason = reader.byte()
    if not reader.ended:
        reader.properties(packet_type)
    return reason


def _decode_subscribe(flags: int, reader: Reader) -> Subscribe:
    _expect_flags(flags, 0x02)
    packet_id = reader.packet_id()
    properties = reader.properties(PacketTypes.SUBSCRIBE)
    filters = []
    while not reader.ended:
        topic_filter, options = reader.text(), reader.byte()
        qos, retain_handling = options & 0x03, options >> 4 & 0x03
        if options & 0xC0 or qos > MAXIMUM_QOS_BITS or retain_handling > MAXIMUM_QOS_BITS:
            raise MalformedPacket(f"subscription options 0x{options:02X}")
        filters.append((topic_filter, qos, retain_handling != MAXIMUM_QOS_BITS))
    if not filters:
        raise MalformedPacket("a SUBSCRIBE without a filter", reason=Reason.PROTOCOL_ERROR)
    return Subscribe(packet_id, tuple(filters), has_identifier=hasattr(properties, "SubscriptionIdentifier"))


def _decode_unsubscribe(flags: int, reader: Reader) -> Unsubscribe:
    _expect_flags(flags, 0x02)
    packet_id = reader.packet_id()
    reader.properties(PacketTypes.UNSUBSCRIBE)
    filters = []
    while not reader.ended:
        filters.append(reader.text())
    if not filters:
        raise MalformedPacket("an UNSUBSCRIBE without a filter", reason=Reason.PROTOCOL_ERROR)
    return Unsubscribe(packet_id, tuple(filters))


def _decode_pingreq(flags: int, _reader: Reader) -> PingReq:
    _expect_flags(flags, 0)
    return PingReq()


def _expect_flags(flags: int, expected: int) -> None:
    if flags != expected:
        raise MalformedPacket(f"flags 0x{flags:X} in the fixed header instead of 0x{expected:X}")


_DECODERS: dict[int, Callable[[int, Reader], FromClient]] = {
    PacketTypes.CONNECT: _decode_connect,
    PacketTypes.PUBLISH: _decode_publish,
    PacketTypes.PUBACK: _decode_puback,
    PacketTypes.SUBSCRIBE: _decode_subscribe,
    PacketTypes.UNSUBSCRIBE: _decode_unsubscribe,
    PacketTypes.PINGREQ: _decode_pingreq,
    PacketTypes.DISCONNECT: _decode_disconnect,
}
