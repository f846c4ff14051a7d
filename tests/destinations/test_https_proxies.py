"""Proxies of the environment: the way through them, and their refusals in words."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Callable

import pytest

from destinations.asking import SECRET, closed_port, failed, hasty, post
from destinations.https_peers import Street, answer, answers, read_request, tunnel
from thingmeter.destinations.https import Answer, Https
from thingmeter.errors import Unreachable


def proxy_script(connects: list[bytes], port: int) -> Callable[[socket.socket], None]:
    def script(sock: socket.socket) -> None:
        connects.append(read_request(sock))
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tunnel(sock, port)

    return script


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_asked_for_a_tunnel(
    street: Street, https: Https, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    connects: list[bytes] = []
    peer = street.server(answers(answer(200, b"behind")))
    proxy = street.plain(proxy_script(connects, peer.port))
    monkeypatch.setenv(variable, f"http://{proxy.place}")

    got = https.exchange(post(f"https://localhost:{peer.port}"))

    assert got.body == b"behind"
    assert connects[0].startswith(f"CONNECT localhost:{peer.port} HTTP/1.".encode())
    assert SECRET.encode() not in connects[0]


def test_a_connection_through_a_proxy_is_kept(street: Street, https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    connects: list[bytes] = []
    peer = street.server(answers(answer(200), answer(200)))
    monkeypatch.setenv("HTTPS_PROXY", street.plain(proxy_script(connects, peer.port)).place)  # http:// is understood

    for _ in range(2):
        https.exchange(post(peer.url))

    assert len(connects) == 1


def test_user_and_password_go_to_the_proxy(street: Street, https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    connects: list[bytes] = []
    peer = street.server(answers(answer(200)))
    proxy = street.plain(proxy_script(connects, peer.port))
    monkeypatch.setenv("HTTPS_PROXY", f"http://us%40er:p%3Ass@{proxy.place}")

    https.exchange(post(peer.url))

    assert b"Basic " + b64encode(b"us@er:p:ss") in connects[0]


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "a.example, 127.0.0.1"])
def test_no_proxy_is_used_where_the_environment_exempts_the_host(
    street: Street, https: Https, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    peer = street.server(answers(answer(200)))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", exempt)

    assert https.exchange(post(peer.url)).status == 200


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(407), "answered 407 Said: user and password belong into its URL"),
        (answer(403, b"<html>"), "answered 403 Said"),
        (b"nonsense\r\n\r\n", "answered something else than HTTP"),
        (b"", "closed the connection before TLS stood"),
    ],
)
def test_a_proxy_that_refuses_is_named(
    street: Street, https: Https, monkeypatch: pytest.MonkeyPatch, said: bytes, words: str
) -> None:
    proxy = street.plain(answers(said))
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@{proxy.place}")

    error = failed(https, "https://api.example.com")

    assert type(error) is Unreachable
    assert str(error) == f"api.example.com:443: the proxy {proxy.place} (HTTPS_PROXY) {words}"


def test_a_proxy_that_is_not_there_is_named(https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")

    error = failed(https, "https://api.example.com")

    assert type(error) is Unreachable
    assert f"the proxy 127.0.0.1:{port} (HTTPS_PROXY) refused the connection" in str(error)


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nX-A: "])
def test_a_proxy_that_drips_does_not_hold_an_exchange(
    street: Street, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    over = threading.Event()

    def script(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(before)
        while not over.wait(0.02):
            sock.sendall(b"H")

    monkeypatch.setenv("HTTPS_PROXY", street.plain(script).place)
    error = failed(hasty(street), "https://api.example.com")
    over.set()

    assert type(error) is Unreachable
    assert "(HTTPS_PROXY) gave no whole answer within 1 s" in str(error)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://a:99999", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_unreachable(https: Https, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    assert "HTTPS_PROXY in the environment must look like" in str(failed(https, "https://api.example.com"))


def test_the_variable_with_a_proxy_that_cannot_be_used_is_named(https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")

    assert str(failed(https, "https://api.example.com")).startswith("ALL_PROXY in the environment must look like")


def test_the_variable_with_a_proxy_that_is_not_there_is_named(https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed_port()}")

    assert "(ALL_PROXY) refused the connection" in str(failed(https, "https://api.example.com"))


def test_a_good_proxy_for_https_goes_before_a_bad_one_for_all(
    street: Street, https: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = street.server(answers(answer(200, b"behind")))
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", street.plain(proxy_script([], peer.port)).place)

    assert https.exchange(post(peer.url)).body == b"behind"


def test_a_proxy_may_itself_speak_tls(street: Street, https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    connects: list[bytes] = []
    peer = street.server(answers(answer(200, b"behind")))
    proxy = street.server(proxy_script(connects, peer.port))
    monkeypatch.setenv("SSL_CERT_FILE", street.ca_file)  # the way to the proxy is a matter of the system
    monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy.place}")

    assert https.exchange(post(peer.url)) == Answer(200, {"content-length": "6"}, b"behind")
