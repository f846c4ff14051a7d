"""A request that went out without a whole answer is Unanswered, and no peer holds an exchange for ever."""

from __future__ import annotations

import socket
import threading

import pytest

from destinations.asking import SECRET, failed, hasty
from destinations.https_peers import PATIENCE_S, Street, answer, answers, read_request, until_closed
from thingmeter.destinations.https import Https, Request
from thingmeter.errors import Unanswered


def wait_for(event: threading.Event) -> None:
    event.wait(PATIENCE_S)


def test_a_connection_closed_without_an_answer_is_unanswered(street: Street, https: Https) -> None:
    def script(sock: socket.socket) -> None:
        read_request(sock)

    peer = street.server(script)

    error = failed(https, peer.url)

    assert type(error) is Unanswered
    assert str(error) == f"{peer.place} closed the connection without an answer"
    assert peer.connections == 1


def test_a_reset_connection_is_unanswered(street: Street, https: Https) -> None:
    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    error = failed(https, street.server(script).url)

    assert type(error) is Unanswered


def test_an_answer_cut_short_is_unanswered(street: Street, https: Https) -> None:
    peer = street.server(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))

    error = failed(https, peer.url)

    assert type(error) is Unanswered
    assert str(error) == f"{peer.place} closed the connection in the middle of its answer"


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n",
    ],
)
def test_what_is_no_answer_of_http_is_unanswered(street: Street, https: Https, said: bytes) -> None:
    error = failed(https, street.server(answers(said)).url)

    assert type(error) is Unanswered


def test_silence_after_the_request_is_unanswered(street: Street) -> None:
    peer = street.server(until_closed)

    error = failed(hasty(street), peer.url)

    assert type(error) is Unanswered
    assert str(error) == f"{peer.place} gave no whole answer within 1 s"


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_peer_that_drips_does_not_hold_an_exchange(street: Street, before: bytes) -> None:
    over = threading.Event()

    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(before)
        while not over.wait(0.02):
            sock.sendall(b"H")

    error = failed(hasty(street), street.server(script).url)
    over.set()

    assert type(error) is Unanswered
    assert "within 1 s" in str(error)


def test_a_peer_that_does_not_read_does_not_hold_an_exchange(street: Street) -> None:
    over = threading.Event()
    peer = street.server(lambda _: wait_for(over))

    with pytest.raises(Unanswered, match=r"within 1 s"):
        hasty(street).exchange(Request("POST", peer.url, {}, bytes(32 * 1024 * 1024)))
    over.set()


def test_no_failure_shows_a_query_or_a_header(street: Street, https: Https) -> None:
    messages = [
        str(failed(https, street.server(answers(said)).url)) for said in (b"", b"x\r\n\r\n", answer(200, b"1")[:-1])
    ]

    assert not [message for message in messages if SECRET in message or "\n" in message]
