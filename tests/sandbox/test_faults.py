from __future__ import annotations

from typing import Any

import pytest

from sandbox.wire import (
    CONNACK,
    DISCONNECT,
    PINGRESP,
    PUBACK,
    connect_packet,
    connected,
    frame,
    open_wire,
    publish_packet,
)
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.faults import Faults

STATUS = "status/pump-7"
PING = frame(0xC0)


def test_faults_end_when_none_remain() -> None:
    faults = Faults(puback="missing", remaining=2)

    assert [faults.take_puback() for _ in range(3)] == ["missing", "missing", "once"]


def test_what_goes_well_uses_up_no_fault() -> None:
    faults = Faults(puback="missing", remaining=1)

    faults.take_answer()

    assert faults.remaining == 1


def test_a_connect_can_be_refused_with_any_reason(sandbox: Sandbox) -> None:
    sandbox.faults.at_connect, sandbox.faults.connack_reason = "refuse", 0x89

    with open_wire(sandbox) as wire:
        assert wire.ask(connect_packet("pump-7"), CONNACK).reason == 0x89


def test_a_connection_can_be_closed_after_connect(sandbox: Sandbox) -> None:
    sandbox.faults.at_connect = "close"

    with open_wire(sandbox) as wire:
        wire.send(connect_packet("pump-7"))

        assert wire.read() is None


def test_a_connection_can_be_closed_after_connack(sandbox: Sandbox) -> None:
    sandbox.faults.at_connect = "accept and close"

    with connected(sandbox) as wire:
        assert wire.read() is None


def test_a_connect_can_be_answered_with_garbage(sandbox: Sandbox) -> None:
    sandbox.faults.at_connect, sandbox.faults.garbage = "garbage", b"\xff\xfe"

    with open_wire(sandbox) as wire:
        wire.send(connect_packet("pump-7"))

        assert wire.sock.recv(2) == b"\xff\xfe"


def test_a_connect_can_be_left_unanswered(sandbox: Sandbox) -> None:
    sandbox.faults.at_connect = "silence"

    with open_wire(sandbox) as wire:
        wire.send(connect_packet("pump-7"))
        wire.sock.settimeout(0.2)

        with pytest.raises(TimeoutError):
            wire.sock.recv(1)


def test_connects_can_be_limited(sandbox: Sandbox) -> None:
    sandbox.faults.maximum_connects = 1

    with connected(sandbox), open_wire(sandbox) as wire:
        assert wire.ask(connect_packet("pump-7"), CONNACK).reason == 0x97


def test_a_connection_can_have_a_lifetime(sandbox: Sandbox) -> None:
    sandbox.faults.connection_lifetime_s = 0.1

    with connected(sandbox) as wire:
        assert wire.expect(DISCONNECT).reason == 0xA0


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        ("once", [b"\0\x01\x10\0"]),
        ("missing", []),
        ("twice", [b"\0\x01\x10\0"] * 2),
        ("wrong id", [b"\0\x02\x10\0"]),
        ("refused", [b"\0\x01\x97\0"]),
        ("close after", [b"\0\x01\x10\0"]),
        ("close before", []),
    ],
)
def test_pubacks_can_go_wrong(sandbox: Sandbox, fault: Any, answers: list[bytes]) -> None:
    sandbox.faults.puback = fault

    with connected(sandbox) as wire:
        wire.send(publish_packet(STATUS, b"") + PING)
        received = []
        while (packet := wire.read()) and packet.type != PINGRESP:
            received.append(packet.body)

        assert received == answers


def test_a_puback_can_come_late(sandbox: Sandbox) -> None:
    sandbox.faults.puback, sandbox.faults.puback_delay_s = "late", 0.1

    with connected(sandbox) as wire:
        wire.send(publish_packet(STATUS, b"") + PING)

        assert [packet.type for packet in (wire.read(), wire.read()) if packet] == [PINGRESP, PUBACK]


def test_a_puback_can_be_garbage(sandbox: Sandbox) -> None:
    sandbox.faults.puback, sandbox.faults.garbage = "garbage", b"\xff\xfe"

    with connected(sandbox) as wire:
        wire.send(publish_packet(STATUS, b""))

        assert wire.sock.recv(2) == b"\xff\xfe"


def test_more_than_a_hundred_messages_without_a_puback_end_the_connection(sandbox: Sandbox) -> None:
    sandbox.faults.puback = "missing"

    with connected(sandbox) as wire:
        wire.send(b"".join(publish_packet(STATUS, b"", packet_id=number) for number in range(1, 102)))

        assert wire.expect(DISCONNECT).reason == 0x93


def test_a_denied_publish_can_end_the_connection(sandbox: Sandbox) -> None:
    sandbox.faults.denied_publish = "disconnect"

    with connected(sandbox) as wire:
        assert wire.ask(publish_packet("status/pump-8", b""), DISCONNECT).reason == 0x87


def test_a_half_open_connection_answers_nothing_until_it_is_whole_again(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        sandbox.faults.half_open = True
        wire.send(PING)
        wire.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            wire.sock.recv(1)
        wire.sock.settimeout(10)

        sandbox.faults.half_open = False

        assert wire.expect(PINGRESP).type == PINGRESP


def test_bytes_can_trickle(sandbox: Sandbox) -> None:
    sandbox.faults.byte_delay_s = 0.001

    with connected(sandbox) as wire:
        assert wire.ask(PING + PING, PINGRESP).type == PINGRESP
        assert wire.expect(PINGRESP).type == PINGRESP


def test_a_connection_can_be_taken_over_at_any_time(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        sandbox.disconnect("pump-7")

        assert wire.expect(DISCONNECT).reason == 0x8E


def test_the_broker_can_go_down_and_come_up_on_the_same_port(sandbox: Sandbox) -> None:
    port = sandbox.port
    with connected(sandbox) as wire:
        sandbox.broker_down()
        cut = wire.read()
    sandbox.broker_up()

    with connected(sandbox):
        assert (cut, sandbox.port) == (None, port)


def test_the_broker_can_go_down_politely(sandbox: Sandbox) -> None:
    with connected(sandbox) as wire:
        sandbox.broker_down(politely=True)

        assert wire.expect(DISCONNECT).reason == 0x8B


def test_a_broker_that_is_down_refuses_connections(sandbox: Sandbox) -> None:
    sandbox.broker_down()

    with pytest.raises(ConnectionRefusedError), open_wire(sandbox):
        pass
