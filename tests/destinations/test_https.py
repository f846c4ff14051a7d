"""HTTPS: what went out is told apart from what did not, every failure has its words, nothing lasts for ever."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from destinations.https_peers import PATIENCE_S, Street, answer, answers, read_request, tunnel, until_closed
from thingmeter.destinations.https import MAXIMUM_ANSWER_BYTES, Answer, Https, Request
from thingmeter.errors import Denied, Unanswered, Unreachable
from thingmeter.sandbox.authority import Authority

SECRET = "s3cret-token"


@pytest.fixture
def https(street: Street) -> Iterator[Https]:
    made = Https(ca_file=street.ca_file, timeout_s=10)
    yield made
    made.close()


def hasty(street: Street) -> Https:
    return Https(ca_file=street.ca_file, timeout_s=1)


def post(url: str, body: bytes = b"{}") -> Request:
    return Request("POST", f"{url}/path?secret={SECRET}", {"authorization": SECRET}, body)


def failed(https: Https, url: str) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        https.exchange(post(url))
    https.close()
    return caught.value


def hang_up(sock: socket.socket) -> None:
    sock.recv(65536)


def wait_for(event: threading.Event) -> None:
    event.wait(PATIENCE_S)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# The exchange itself


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


# Connections


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


# Failures before anything went out


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


# Certificates


def test_an_expired_certificate_is_unreachable(street: Street, https: Https) -> None:
    old = street.authority.issue("old", street.folder, hosts=["127.0.0.1"], not_after=datetime(2020, 1, 2, tzinfo=UTC))
    peer = street.server(answers(answer(200)), credentials=old)

    error = failed(https, peer.url)

    assert type(error) is Unreachable
    assert str(error) == f"{peer.place} shows a certificate that has expired"


def test_a_certificate_of_the_future_makes_one_think_of_the_clock(street: Street, https: Https) -> None:
    new = street.authority.issue("new", street.folder, hosts=["127.0.0.1"], not_before=datetime(2090, 1, 1, tzinfo=UTC))
    peer = street.server(answers(answer(200)), credentials=new)

    error = failed(https, peer.url)

    assert type(error) is Unreachable
    assert str(error).endswith("shows a certificate that is not yet valid: is this machine's clock right?")


def test_a_certificate_of_another_host_is_unreachable(street: Street, https: Https) -> None:
    other = street.authority.issue("other", street.folder, hosts=["other.example.com"])
    peer = street.server(answers(answer(200)), credentials=other)

    error = failed(https, peer.url)

    assert type(error) is Unreachable
    assert str(error).startswith(f"{peer.place} shows a certificate for another host: ")


def test_a_certificate_of_another_authority_is_unreachable(street: Street, https: Https, tmp_path: Path) -> None:
    stranger = Authority.open(tmp_path / "stranger").issue("stranger", tmp_path, hosts=["127.0.0.1"])
    peer = street.server(answers(answer(200)), credentials=stranger)

    error = failed(https, peer.url)

    assert type(error) is Unreachable
    assert str(error).startswith(f"{peer.place} shows a certificate of no authority in {street.ca_file}: ")


def test_without_ca_file_the_system_decides(street: Street) -> None:
    peer = street.server(answers(answer(200)))

    error = failed(Https(timeout_s=10), peer.url)

    assert "of no authority that this machine trusts" in str(error)


def test_a_ca_file_stands_in_place_of_the_systems_authorities(
    street: Street, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    systems = Authority.open(tmp_path / "system")
    monkeypatch.setenv("SSL_CERT_FILE", str(systems.ca_file))
    credentials = systems.issue("trusted", tmp_path, hosts=["127.0.0.1"])
    peer = street.server(answers(answer(200)), credentials=credentials)

    statuses = [Https(timeout_s=10).exchange(post(peer.url)).status]
    error = failed(Https(ca_file=street.ca_file, timeout_s=10), peer.url)

    assert statuses == [200]
    assert "of no authority in" in str(error)


def test_our_certificate_is_shown_to_who_asks_for_it(street: Street) -> None:
    seen: list[object] = []

    def script(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        seen.append((sock.getpeercert() or {}).get("subject"))
        answers(answer(200))(sock)

    peer = street.server(script, mutual=True)
    ours = street.authority.issue("pump-7", street.folder)
    files = {"certificate_file": str(ours.certificate_file), "private_key_file": str(ours.private_key_file)}
    https = Https(ca_file=street.ca_file, **files, timeout_s=10)

    https.exchange(post(peer.url))
    https.close()

    assert seen == [((("commonName", "pump-7"),),)]


def test_a_refused_certificate_of_ours_is_denied(street: Street, tmp_path: Path) -> None:
    peer = street.server(answers(answer(200)), mutual=True)
    ours = Authority.open(tmp_path / "stranger").issue("pump-7", street.folder)
    files = {"certificate_file": str(ours.certificate_file), "private_key_file": str(ours.private_key_file)}

    error = failed(Https(ca_file=street.ca_file, **files, timeout_s=10), peer.url)

    assert type(error) is Denied
    assert str(error).startswith(f"{peer.place} refuses our certificate {ours.certificate_file} (")


def test_no_certificate_where_one_is_asked_for_is_denied(street: Street, https: Https) -> None:
    peer = street.server(answers(answer(200)), mutual=True)

    error = failed(https, peer.url)

    assert type(error) is Denied
    assert str(error) == f"{peer.place} refuses us without a certificate (certificate required)"


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\xfe"])
def test_a_file_that_cannot_be_used_is_denied_with_its_path(street: Street, content: bytes | None) -> None:
    file = street.folder / "file.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(Denied, match=str(file)):
        Https(ca_file=str(file)).exchange(post("https://127.0.0.1"))


def test_a_renewed_file_is_picked_up_after_a_failure(street: Street, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(Authority.open(tmp_path / "stranger").ca_file.read_bytes())
    peer = street.server(answers(answer(200)))
    https = Https(ca_file=str(file), timeout_s=10)
    with pytest.raises(Unreachable):
        https.exchange(post(peer.url))

    file.write_bytes(street.authority.ca_file.read_bytes())
    got = https.exchange(post(peer.url))
    https.close()

    assert got.status == 200


# Failures after something went out


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


# Proxies


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


def test_a_proxy_may_itself_speak_tls(street: Street, https: Https, monkeypatch: pytest.MonkeyPatch) -> None:
    connects: list[bytes] = []
    peer = street.server(answers(answer(200, b"behind")))
    proxy = street.server(proxy_script(connects, peer.port))
    monkeypatch.setenv("SSL_CERT_FILE", street.ca_file)  # the way to the proxy is a matter of the system
    monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy.place}")

    assert https.exchange(post(peer.url)) == Answer(200, {"content-length": "6"}, b"behind")
