"""Certificates: the server's is always checked, ours is shown to who asks for it."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from destinations.asking import failed, post
from destinations.https_peers import Street, answer, answers
from thingmeter.destinations.https import Https
from thingmeter.errors import Denied, Unreachable
from thingmeter.sandbox.authority import Authority


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
