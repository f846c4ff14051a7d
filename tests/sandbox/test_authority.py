from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thingmeter.sandbox.authority import Authority

NOW = datetime.now(UTC)


def verify(authority: Authority, certificate: Path, purpose: str) -> str:
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        str(authority.ca_file),
        str(certificate),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_openssl_takes_a_server_certificate_strictly(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)

    server = authority.issue("server", tmp_path, hosts=["localhost", "127.0.0.1"])

    assert verify(authority, server.certificate_file, "sslserver").endswith(": OK\n")


def test_openssl_takes_a_thing_s_certificate_strictly(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)

    thing = authority.issue("pump-7", tmp_path)

    assert verify(authority, thing.certificate_file, "sslclient").endswith(": OK\n")


def test_a_thing_s_certificate_is_not_for_servers(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)

    thing = authority.issue("pump-7", tmp_path)

    assert "error" in verify(authority, thing.certificate_file, "sslserver")


@pytest.mark.parametrize(
    ("validity", "words"),
    [
        ({"not_after": NOW - timedelta(days=2)}, "certificate has expired"),
        ({"not_before": NOW + timedelta(days=2)}, "certificate is not yet valid"),
    ],
)
def test_a_certificate_is_valid_only_when_it_was_asked_to_be(
    tmp_path: Path, validity: dict[str, datetime], words: str
) -> None:
    authority = Authority.open(tmp_path)

    thing = authority.issue("pump-7", tmp_path, **validity)  # type: ignore[arg-type]

    assert words in verify(authority, thing.certificate_file, "sslclient")


def test_private_keys_are_their_owner_s_alone(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)

    thing = authority.issue("pump-7", tmp_path)

    modes = {key.stat().st_mode & 0o777 for key in (tmp_path / "ca.key", thing.private_key_file)}
    assert modes == {0o600}


def test_an_authority_is_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    before = Authority.open(tmp_path).ca_file.read_bytes()

    after = Authority.open(tmp_path).ca_file.read_bytes()

    assert before == after


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_damaged_authority_is_made_anew(tmp_path: Path, name: str, content: bytes) -> None:
    Authority.open(tmp_path)
    (tmp_path / name).write_bytes(content)

    authority = Authority.open(tmp_path)

    thing = authority.ensure("pump-7", tmp_path)
    assert verify(authority, thing.certificate_file, "sslclient").endswith(": OK\n")


def test_ensure_keeps_credentials_that_can_be_used(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    before = authority.ensure("server", tmp_path, hosts=["localhost"]).certificate_file.read_bytes()

    after = authority.ensure("server", tmp_path, hosts=["localhost"]).certificate_file.read_bytes()

    assert before == after


def test_ensure_replaces_an_expired_certificate(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    authority.issue("pump-7", tmp_path, not_after=NOW - timedelta(days=2))

    thing = authority.ensure("pump-7", tmp_path)

    assert verify(authority, thing.certificate_file, "sslclient").endswith(": OK\n")


def test_ensure_replaces_a_certificate_for_other_hosts(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    before = authority.ensure("server", tmp_path, hosts=["localhost"]).certificate_file.read_bytes()

    after = authority.ensure("server", tmp_path, hosts=["127.0.0.1"]).certificate_file.read_bytes()

    assert before != after


def test_ensure_replaces_a_certificate_of_another_authority(tmp_path: Path) -> None:
    authority, other = Authority.open(tmp_path / "one"), Authority.open(tmp_path / "other")
    other.issue("pump-7", tmp_path)

    thing = authority.ensure("pump-7", tmp_path)

    assert verify(authority, thing.certificate_file, "sslclient").endswith(": OK\n")


def test_ensure_replaces_a_certificate_without_its_key(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    thing = authority.issue("pump-7", tmp_path)
    other = authority.issue("pump-8", tmp_path)
    before = thing.certificate_file.read_bytes()
    other.private_key_file.replace(thing.private_key_file)

    authority.ensure("pump-7", tmp_path)

    assert before != thing.certificate_file.read_bytes()


@pytest.mark.parametrize("name", ["", "..", "a/b", "x" * 65])
def test_a_name_that_no_certificate_can_have_is_refused(tmp_path: Path, name: str) -> None:
    authority = Authority.open(tmp_path)

    with pytest.raises(ValueError, match=r"name|64"):
        authority.issue(name, tmp_path)
