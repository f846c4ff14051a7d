"""HTTPS: a request goes out as it is, its answer comes back whole, connections are kept, no socket is lost."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from destinations.asking import post
from destinations.https_peers import Street, answer, answers, read_request
from thingmeter.destinations.https import MAXIMUM_ANSWER_BYTES, Https, Request
from thingmeter.errors import Unanswered, Unreachable


def test_an_answer_comes_back_whole(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(201, b'{"a": 1}', "X-Thing: pump", "Content-Type: text/plain")))

    got = https.exchange(post(peer.url))

    assert (got.status, got.body, got.headers["x-thing"]) == (201, b'{"a": 1}', "pump")


def test_the_request_goes_out_as_it_is(street: Street, https: Https) -> None:
    seen: list[bytes] = []

    def script(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(answer(200))

    peer = street.server(script)
    https.exchange(Request("PATCH", f"{peer.url}/custom-metric/a%3Ab?x=%2F", {"x-a": "b"}, b"body"))

    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PATCH /custom-metric/a%3Ab?x=%2F HTTP/1.1\r\n")
    assert b"x-a: b" in head
    assert f"host: {peer.place}".encode() in head.lower()
    assert body == b"body"


@pytest.mark.parametrize("status", [204, 301, 302, 307, 400, 404, 429, 500, 503])
def test_every_status_is_an_answer_and_no_redirect_is_followed(street: Street, https: Https, status: int) -> None:
    elsewhere = street.server(answers(answer(200)))
    peer = street.server(answers(answer(status, b"", f"Location: {elsewhere.url}/", "Retry-After: 0")))

    got = https.exchange(post(peer.url))

    assert (got.status, peer.connections, elsewhere.connections) == (status, 1, 0)


def test_of_a_header_that_came_twice_the_last_one_counts(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(200, b"", "X-A: 1", "x-a: 2")))

    assert https.exchange(post(peer.url)).headers["x-a"] == "2"


def test_a_chunked_answer_comes_back_whole(street: Street, https: Https) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    peer = street.server(answers(chunked))

    assert https.exchange(post(peer.url)).body == b"abcde"


def test_an_answer_of_the_largest_size_comes_back(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(200, bytes(MAXIMUM_ANSWER_BYTES))))

    assert len(https.exchange(post(peer.url)).body) == MAXIMUM_ANSWER_BYTES


def test_a_larger_answer_is_no_answer(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(200, bytes(MAXIMUM_ANSWER_BYTES + 1))))

    with pytest.raises(Unanswered, match=f"{peer.place} answered more than 1,048,576 bytes"):
        https.exchange(post(peer.url))


def test_an_answer_without_end_is_no_answer(street: Street, https: Https) -> None:
    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sock.sendall(bytes(65536))

    peer = street.server(script)

    with pytest.raises(Unanswered, match="more than"):
        https.exchange(post(peer.url))


def test_a_connection_is_kept_for_the_next_exchange(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(200, b"1"), answer(200, b"2")))

    bodies = [https.exchange(post(peer.url)).body for _ in range(2)]

    assert (bodies, peer.connections) == ([b"1", b"2"], 1)


def test_a_kept_connection_that_the_server_has_closed_is_not_used(street: Street, https: Https) -> None:
    closed = threading.Event()

    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer(200))
        sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    peer = street.server(script)
    https.exchange(post(peer.url))
    closed.wait(10)

    assert (https.exchange(post(peer.url)).status, peer.connections) == (200, 2)


def test_a_connection_that_was_idle_for_long_is_not_used(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(200), answer(200)))
    https.exchange(post(peer.url))
    https._used_at -= 31

    https.exchange(post(peer.url))

    assert peer.connections == 2


def test_a_closed_client_can_be_used_again(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(200)))
    https.exchange(post(peer.url))
    https.close()

    assert https.exchange(post(peer.url)).status == 200


@pytest.mark.parametrize(
    "script",
    [
        answers(answer(200)),
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        answers(b"nonsense\r\n\r\n"),
        answers(),
        answers(answer(200, bytes(MAXIMUM_ANSWER_BYTES + 1))),
    ],
)
def test_no_socket_is_left_behind(street: Street, https: Https, script: Callable[[socket.socket], None]) -> None:
    before = sockets()
    peer = street.server(script)
    for _ in range(5):
        with contextlib.suppress(Unreachable):
            https.exchange(post(peer.url))
    https.close()
    peer.close()
    gc.collect()

    assert sockets() <= before


def sockets() -> int:
    """Return how many sockets this process has; of a listener and its client both ends are in it."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(link.readlink()).startswith("socket:")
    return found
