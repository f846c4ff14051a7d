from __future__ import annotations

import errno
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.sockets.keys import (
    CLOSE,
    ESTABLISHED,
    INTERRUPTED,
    LISTEN,
    MULTI,
    done,
    failure,
    has_netlink,
    key,
    message,
    record,
    scripted_kernel,
)
from thingmeter.collectors.sockets import sock_diag
from thingmeter.collectors.sockets.key import KeysByState
from thingmeter.collectors.sockets.sock_diag import SockDiag

A = key("192.0.2.1", 1000, "198.51.100.1", 443)
B = key("192.0.2.1", 1001, "198.51.100.1", 443)
C = key("0.0.0.0", 22)

needs_netlink = pytest.mark.skipif(not has_netlink(), reason="netlink cannot be used here")

Answer = Callable[..., KeysByState]


@pytest.fixture
def answer() -> Iterator[Answer]:
    """A dump of which the kernel's answer is given, one datagram an argument."""
    opened: list[socket.socket] = []

    def dump(*datagrams: bytes, buffer: bytearray | None = None) -> KeysByState:
        ours, kernel = scripted_kernel(datagrams)
        opened.extend((ours, kernel))
        conversation = SockDiag(ours, bytearray(4096) if buffer is None else buffer)
        return conversation.dump(socket.IPPROTO_TCP, socket.AF_INET, (ESTABLISHED, LISTEN))

    yield dump
    for one in opened:
        one.close()


def test_sockets_of_several_datagrams_are_found(answer: Answer) -> None:
    found = answer(record(A) + record(B), record(C), done())

    assert found == {ESTABLISHED: {A, B, C}}


def test_sockets_are_found_by_their_state(answer: Answer) -> None:
    found = answer(record(C, LISTEN) + record(A), done())

    assert found == {LISTEN: {C}, ESTABLISHED: {A}}


def test_messages_of_different_lengths_share_a_datagram(answer: Answer) -> None:
    found = answer(record(A, attributes=bytes(36)) + record(B) + record(C, attributes=bytes(8)), done())

    assert found == {ESTABLISHED: {A, B, C}}


def test_a_message_whose_length_is_no_multiple_of_four_is_found(answer: Answer) -> None:
    found = answer(record(A, attributes=bytes(5)) + record(B, attributes=bytes(5)), done())

    assert found == {ESTABLISHED: {A, B}}


def test_a_dump_may_end_in_the_datagram_of_its_last_socket(answer: Answer) -> None:
    found = answer(record(A) + record(B) + done())

    assert found == {ESTABLISHED: {A, B}}


def test_a_message_of_another_kind_is_passed_over(answer: Answer) -> None:
    found = answer(record(A) + message(1, b"") + record(B), done())

    assert found == {ESTABLISHED: {A, B}}


def test_a_socket_that_comes_twice_is_one(answer: Answer) -> None:
    found = answer(record(A), record(A), done())

    assert found == {ESTABLISHED: {A}}


def test_no_sockets_are_an_empty_answer(answer: Answer) -> None:
    found = answer(done())

    assert found == {}


def test_the_kernels_refusal_is_raised_as_its_own_error(answer: Answer) -> None:
    with pytest.raises(PermissionError):
        answer(failure(errno.EPERM))


def test_a_missing_module_is_raised_as_enoent(answer: Answer) -> None:
    with pytest.raises(FileNotFoundError):
        answer(failure(errno.ENOENT))


def test_an_error_at_the_end_of_a_dump_is_raised(answer: Answer) -> None:
    with pytest.raises(OSError, match="memory"):
        answer(record(A), done(code=-errno.ENOMEM))


def test_an_interrupted_dump_is_made_again(answer: Answer) -> None:
    found = answer(record(A, flags=MULTI | INTERRUPTED), done(), record(B), done())

    assert found == {ESTABLISHED: {B}}


def test_an_interruption_that_only_the_end_tells_counts_as_well(answer: Answer) -> None:
    found = answer(record(A), done(flags=MULTI | INTERRUPTED), record(B), done())

    assert found == {ESTABLISHED: {B}}


def test_the_last_of_three_interrupted_dumps_is_taken(answer: Answer) -> None:
    interrupted = done(flags=MULTI | INTERRUPTED)

    found = answer(record(A), interrupted, record(B), interrupted, record(C), interrupted, record(A), done())

    assert found == {ESTABLISHED: {C}}


def test_a_datagram_that_does_not_fit_is_asked_for_again_with_room_for_it(answer: Answer) -> None:
    large = record(A) + record(B) + record(C)

    found = answer(large, done(), large, done(), buffer=bytearray(200))

    assert found == {ESTABLISHED: {A, B, C}}


def test_a_larger_buffer_is_kept_for_the_next_conversation(answer: Answer) -> None:
    large = record(A) + record(B) + record(C)
    buffer = bytearray(200)
    answer(large, done(), large, done(), buffer=buffer)

    found = answer(large, done(), buffer=buffer)

    assert found == {ESTABLISHED: {A, B, C}}


def test_datagrams_that_never_fit_are_an_error(answer: Answer) -> None:
    datagrams = [part for size in (200, 300, 400) for part in (bytes(size), done())]

    with pytest.raises(OSError, match="Message too long"):
        answer(*datagrams, buffer=bytearray(100))


def test_a_kernel_that_does_not_answer_is_an_error(answer: Answer) -> None:
    with pytest.raises(BlockingIOError):
        answer(record(A))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"short",
        record(A)[:-4],
        struct.pack("=IHHII", 15, 20, 2, 1, 0),
        struct.pack("=IHHII", 0, 20, 2, 1, 0),
        message(20, bytes(8)),
        record(A) + b"rest",
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error(answer: Answer, datagram: bytes) -> None:
    with pytest.raises(OSError, match="cannot be read"):
        answer(datagram, done())


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused_with_an_oserror(datagram: bytes) -> None:
    with suppress(OSError):
        sock_diag._read(memoryview(datagram), defaultdict(set))


@given(st.lists(st.tuples(st.sampled_from((ESTABLISHED, LISTEN, CLOSE)), st.sampled_from((0, 5, 8, 36)))))
def test_every_socket_is_found_whatever_the_mixture(mixture: list[tuple[int, int]]) -> None:
    records = [
        record(key("192.0.2.1", port), state, attributes=bytes(size)) for port, (state, size) in enumerate(mixture)
    ]
    found: defaultdict[int, set[bytes]] = defaultdict(set)

    sock_diag._read(memoryview(b"".join(records) + done()), found)

    assert sum(map(len, found.values())) == len(mixture)


def test_the_request_asks_for_one_protocol_one_family_and_the_states() -> None:
    ours, kernel = scripted_kernel([done()])
    with ours, kernel:
        SockDiag(ours, bytearray(4096)).dump(socket.IPPROTO_UDP, socket.AF_INET6, (CLOSE,))

        request = kernel.recv(4096)

    assert request == struct.pack("=IHHII", 72, 20, 0x301, 1, 0) + bytes([10, 17, 0, 0]) + struct.pack("=I48x", 1 << 7)


@needs_netlink
def test_a_real_kernel_finds_a_real_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, SockDiag.open(bytearray(32768)) as conversation:
        found = conversation.dump(socket.IPPROTO_TCP, socket.AF_INET, (LISTEN,))

        assert key("127.0.0.1", listener.getsockname()[1]) in found[LISTEN]


@needs_netlink
def test_a_real_kernel_gives_no_states_that_were_not_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)), SockDiag.open(bytearray(32768)) as conversation:
        found = conversation.dump(socket.IPPROTO_TCP, socket.AF_INET, (ESTABLISHED,))

    assert set(found) <= {ESTABLISHED}


@needs_netlink
def test_a_real_kernel_says_enoent_for_a_protocol_without_a_module_and_goes_on() -> None:
    with socket.create_server(("127.0.0.1", 0)), SockDiag.open(bytearray(32768)) as conversation:
        with pytest.raises(FileNotFoundError):
            conversation.dump(254, socket.AF_INET, (LISTEN,))

        assert conversation.dump(socket.IPPROTO_TCP, socket.AF_INET, (LISTEN,))[LISTEN]


@needs_netlink
def test_a_real_conversation_cannot_hang() -> None:
    with SockDiag.open(bytearray(32768)) as conversation:
        timeout = conversation._kernel.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)

    assert struct.unpack("@ll", timeout) == (sock_diag.RECEIVE_TIMEOUT_S, 0)
