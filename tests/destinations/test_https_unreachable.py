"""A request that nobody has taken is Unreachable, with the cause in words."""

from __future__ import annotations

import socket

import pytest

from destinations.asking import SECRET, closed_port, failed, hasty
from destinations.https_peers import Street, answer, until_closed
from thingmeter.destinations.https import Https, Request
from thingmeter.errors import Unreachable


def hang_up(sock: socket.socket) -> None:
    sock.recv(65536)


def test_a_refused_connection_is_unreachable(https: Https) -> None:
    port = closed_port()

    error = failed(https, f"https://127.0.0.1:{port}")

    assert type(error) is Unreachable
    assert str(error) == f"127.0.0.1:{port}: refused the connection, nothing listens there"


def test_an_unknown_host_is_unreachable(https: Https) -> None:
    error = failed(https, "https://nowhere.invalid")

    assert type(error) is Unreachable
    assert str(error).startswith("nowhere.invalid:443: cannot be resolved: ")


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "a..b"])
def test_a_host_that_can_be_none_is_unreachable(https: Https, host: str) -> None:
    assert type(failed(https, f"https://{host}")) is Unreachable


@pytest.mark.parametrize("url", ["http://127.0.0.1", "ftp://a", "https://", "https://a:99999", "https://[::1", "x", ""])
def test_a_url_that_is_none_is_unreachable(https: Https, url: str) -> None:
    with pytest.raises(Unreachable, match="URL of a service"):
        https.exchange(Request("GET", url))


def test_a_header_that_cannot_be_sent_is_unreachable_and_not_shown(street: Street, https: Https) -> None:
    peer = street.server(until_closed)

    with pytest.raises(Unreachable) as caught:
        https.exchange(Request("GET", peer.url, {"authorization": f"{SECRET}\n"}))

    assert type(caught.value) is Unreachable
    assert SECRET not in str(caught.value)


def test_a_connect_without_answer_is_unreachable(street: Street) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        place = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:  # they fill the backlog, so that the next one gets no answer
            sock.setblocking(False)
            sock.connect_ex(place)
        error = failed(hasty(street), f"https://127.0.0.1:{place[1]}")
        for sock in waiting:
            sock.close()

    assert type(error) is Unreachable
    assert str(error) == f"127.0.0.1:{place[1]}: gave no whole answer within 1 s"


def test_a_handshake_without_answer_is_unreachable(street: Street) -> None:
    peer = street.plain(until_closed)

    error = failed(hasty(street), peer.url)

    assert type(error) is Unreachable
    assert str(error) == f"{peer.place} gave no whole answer within 1 s"


def test_a_connection_closed_in_the_handshake_is_unreachable(street: Street, https: Https) -> None:
    peer = street.plain(hang_up)

    error = failed(https, peer.url)

    assert type(error) is Unreachable
    assert str(error) == f"{peer.place} closed the connection before TLS stood"


def test_a_server_without_tls_is_unreachable(street: Street, https: Https) -> None:
    peer = street.plain(lambda sock: sock.sendall(answer(400)))

    error = failed(https, peer.url)

    assert type(error) is Unreachable
    assert str(error) == f"{peer.place} does not speak TLS"


def test_a_server_with_old_tls_only_is_unreachable(street: Street, https: Https) -> None:
    hello_of_tls_1_1 = bytes.fromhex("1503020002 0246")  # the alert protocol_version, as such a server sends it
    peer = street.plain(lambda sock: sock.sendall(hello_of_tls_1_1))

    error = failed(https, peer.url)

    assert type(error) is Unreachable
    assert str(error) == f"{peer.place} offers no TLS 1.2 or later"
