from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.wire import connect_packet, frame, publish_packet, subscribe_packet, text
from thingmeter.sandbox.codec import decode, encode
from thingmeter.sandbox.errors import MalformedPacket
from thingmeter.sandbox.frames import read_frame
from thingmeter.sandbox.packets import (
    ConnAck,
    Connect,
    Disconnect,
    FromClient,
    Message,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)

USER_PROPERTY = b"\x26\0\x01a\0\x01b"


async def _read(content: bytes, maximum_bytes: int) -> tuple[int, bytes]:
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    return await read_frame(reader, maximum_bytes)


def unframe(content: bytes, maximum_bytes: int = 1_000_000) -> tuple[int, bytes]:
    return asyncio.run(_read(content, maximum_bytes))


def decoded(content: bytes) -> FromClient:
    return decode(*unframe(content))


@given(st.integers(0, 255), st.binary(max_size=200))
def test_any_bytes_give_a_packet_or_a_malformed_packet(first_byte: int, body: bytes) -> None:
    with contextlib.suppress(MalformedPacket):
        decode(first_byte, body)


VALID = (
    connect_packet("pump-7", will=("status/pump-7", b"offline")),
    publish_packet("a/b", b"payload", properties=bytes([len(USER_PROPERTY)]) + USER_PROPERTY),
    subscribe_packet("a/b", "c/#"),
    frame(0xA2, b"\0\x01\0" + text("a/b")),
    frame(0x40, b"\0\x01\x10\0"),
    frame(0xE0, b"\x04\0"),
)


@given(st.sampled_from(VALID), st.data())
def test_a_valid_packet_with_one_byte_changed_never_raises_another_error(packet: bytes, data: st.DataObject) -> None:
    changed = bytearray(packet[2:])
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))

    with contextlib.suppress(MalformedPacket):
        decode(packet[0], bytes(changed))


@given(st.sampled_from(VALID), st.integers(0, 60))
def test_a_valid_packet_cut_short_never_raises_another_error(packet: bytes, length: int) -> None:
    with contextlib.suppress(MalformedPacket):
        decode(packet[0], packet[2 : 2 + length])


@given(st.binary(max_size=12))
def test_any_bytes_give_a_frame_a_malformed_packet_or_the_end(content: bytes) -> None:
    with contextlib.suppress(MalformedPacket, asyncio.IncompleteReadError):
        unframe(content, 8)


def test_connect_is_decoded_with_its_will() -> None:
    packet = decoded(connect_packet("pump-7", keep_alive_s=30, will=("status/pump-7", b"offline")))

    assert packet == Connect("pump-7", 30, will=Message("status/pump-7", b"offline"))


def test_connect_is_decoded_with_its_properties() -> None:
    properties = b"\x08\x11\0\0\0\x05\x21\0\x02"
    body = text("MQTT") + b"\x05\x02\0\x3c" + properties + text("pump-7")

    packet = decode(0x10, body)

    assert packet == Connect("pump-7", 60, session_expiry_s=5, receive_maximum=2)


def test_user_name_and_password_are_skipped() -> None:
    body = text("MQTT") + b"\x05\xc2\0\x3c\0" + text("pump-7") + text("?SDK=x") + text("secret")

    assert decode(0x10, body) == Connect("pump-7", 60)


def test_publish_is_decoded() -> None:
    packet = decoded(publish_packet("a/b", b"payload", packet_id=7, flags=0x0B))

    assert packet == Publish(Message("a/b", b"payload", 1, retain=True), 7, duplicate=True)


def test_topic_alias_is_decoded() -> None:
    packet = decoded(publish_packet("a/b", b"", properties=b"\x03\x23\0\x05"))

    assert packet == Publish(Message("a/b", b"", 1), 1, topic_alias=5)


def test_subscribe_is_decoded() -> None:
    assert decoded(subscribe_packet("a/#", "b")) == Subscribe(1, (("a/#", 1, True), ("b", 1, True)))


def test_subscription_identifier_is_noticed() -> None:
    packet = decoded(subscribe_packet("a", properties=b"\x02\x0b\x05"))

    assert isinstance(packet, Subscribe)
    assert packet.has_identifier


def test_unsubscribe_is_decoded() -> None:
    assert decoded(frame(0xA2, b"\0\x01\0" + text("a"))) == Unsubscribe(1, ("a",))


def test_puback_without_a_reason_means_success() -> None:
    assert decoded(frame(0x40, b"\0\x01")) == PubAck(1)


def test_ping_is_decoded() -> None:
    assert decoded(frame(0xC0)) == PingReq()


def test_disconnect_without_a_reason_means_success() -> None:
    assert decoded(frame(0xE0)) == Disconnect()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(frame(0x10, text("MQTT") + b"\x04\x02\0\x3c" + text("a")), 0x01, id="MQTT 3.1.1"),
        pytest.param(frame(0x10, text("MQTT") + b"\x06\x02\0\x3c\0" + text("a")), 0x84, id="MQTT 6"),
        pytest.param(frame(0x10, text("HTTP") + b"\x05\x02\0\x3c\0" + text("a")), 0x84, id="another protocol"),
        pytest.param(frame(0x10, text("MQTT") + b"\x05\x03\0\x3c\0" + text("a")), 0x81, id="reserved connect flag"),
        pytest.param(frame(0x10, text("MQTT") + b"\x05\x22\0\x3c\0" + text("a")), 0x81, id="will flags without a will"),
        pytest.param(frame(0x10, text("MQTT") + b"\x05\x02\0\x3c\0" + text("a") + b"x"), 0x81, id="bytes behind"),
        pytest.param(frame(0x12, text("MQTT") + b"\x05\x02\0\x3c\0" + text("a")), 0x81, id="flags of CONNECT"),
        pytest.param(publish_packet("a", b"", flags=0x06), 0x81, id="QoS 3"),
        pytest.param(publish_packet("a", b"", packet_id=0), 0x82, id="packet identifier 0"),
        pytest.param(publish_packet("a\0b", b""), 0x81, id="U+0000"),
        pytest.param(frame(0x30, b"\0\x01\xff\0"), 0x81, id="not UTF-8"),
        pytest.param(publish_packet("a", b"", properties=b"\x03\x21\0\x05"), 0x81, id="a property of another packet"),
        pytest.param(publish_packet("a", b"", properties=b"\x02\x23\0"), 0x81, id="a property past its end"),
        pytest.param(publish_packet("a", b"", properties=b"\xff\xff\xff\xff\x01"), 0x81, id="length of five bytes"),
        pytest.param(publish_packet("a", bytes(9000), properties=b"\xa8\x46"), 0x95, id="9000 bytes of properties"),
        pytest.param(frame(0x82, b"\0\x01\0"), 0x82, id="SUBSCRIBE without a filter"),
        pytest.param(frame(0x82, b"\0\x01\0" + text("a") + b"\x03"), 0x81, id="subscription of QoS 3"),
        pytest.param(frame(0x80, b"\0\x01\0" + text("a") + b"\x01"), 0x81, id="flags of SUBSCRIBE"),
        pytest.param(frame(0xA2, b"\0\x01\0"), 0x82, id="UNSUBSCRIBE without a filter"),
        pytest.param(frame(0xF0, b"\0\0"), 0x82, id="AUTH"),
        pytest.param(frame(0x62, b"\0\x01"), 0x82, id="PUBREL"),
    ],
)
def test_a_packet_that_breaks_the_protocol_is_refused_with_a_reason(content: bytes, reason: int) -> None:
    with pytest.raises(MalformedPacket) as caught:
        decoded(content)

    assert caught.value.reason == reason


def test_a_packet_above_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedPacket) as caught:
        unframe(b"\x30\xff\xff\x7f", 1000)

    assert caught.value.reason == 0x95


def test_a_length_of_five_bytes_is_no_length() -> None:
    with pytest.raises(MalformedPacket, match="length"):
        unframe(b"\x30\xff\xff\xff\xff\x01")


def test_connack_tells_what_the_broker_offers() -> None:
    encoded = encode(ConnAck(0, server_keep_alive_s=30))

    assert encoded == bytes.fromhex(
        "20 20 00 00 1d  11 00000000  13 001e  21 0064  22 0000  24 01  25 01  27 00024800  28 01  29 00  2a 00"
    )


def test_connack_of_a_refusal_carries_its_reason_in_words() -> None:
    assert encode(ConnAck(0x87, reason_string="no")) == b"\x20\x08\x00\x87\x05\x1f\0\x02no"


def test_packets_to_clients_are_encoded() -> None:
    encoded = [
        encode(Publish(Message("a", b"x", 1, retain=True), 2)),
        encode(Publish(Message("a", b"x"))),
        encode(PubAck(2, 0x10)),
        encode(SubAck(2, (1, 0x87))),
        encode(UnsubAck(2, (0, 0x11))),
        encode(PingResp()),
        encode(Disconnect(0x8E)),
    ]

    assert [each.hex() for each in encoded] == [
        "330700016100020078",
        "3005000161" + "0078",
        "40040002" + "1000",
        "9005000200" + "0187",
        "b005000200" + "0011",
        "d000",
        "e0028e00",
    ]
