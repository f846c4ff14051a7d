from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sandbox.wire import connected
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.errors import FolderInUse, PortTaken, SandboxError


def test_the_port_stays_the_same_over_restarts(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        before = sandbox.port

    with Sandbox(tmp_path) as sandbox:
        assert sandbox.port == before


def test_credentials_stay_valid_over_restarts(tmp_path: Path) -> None:
    with Sandbox(tmp_path, things=("pump-7",)) as sandbox:
        before = sandbox.credentials("pump-7").certificate_file.read_bytes()

    with Sandbox(tmp_path, things=("pump-7",)) as sandbox, connected(sandbox):
        assert sandbox.credentials("pump-7").certificate_file.read_bytes() == before


def test_a_second_sandbox_on_the_same_folder_is_told_so(tmp_path: Path) -> None:
    with Sandbox(tmp_path), pytest.raises(FolderInUse, match=r"already runs on .* \(process \d+\)"), Sandbox(tmp_path):
        pass


def test_a_folder_is_free_again_after_the_end(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.start()

    sandbox.stop()

    with Sandbox(tmp_path) as next_one:
        assert next_one.port


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.start()
    sandbox.stop()

    sandbox.stop()


def test_a_port_that_another_program_took_is_named(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        port = sandbox.port

    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken, match=f"port {port} .* remove .*json"):
        Sandbox(tmp_path).start()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"mqtt": "x"}', '{"mqtt": -1}', "{}"])
def test_a_damaged_file_of_ports_is_started_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)

    with Sandbox(tmp_path) as sandbox:
        assert sandbox.port


@pytest.mark.parametrize("name", ["aws-credentials", "devrev-token"])
def test_a_secret_is_its_owner_s_alone(tmp_path: Path, name: str) -> None:
    with Sandbox(tmp_path):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["aws-credentials", "devrev-token"])
def test_a_secret_stays_the_same_over_restarts(tmp_path: Path, name: str) -> None:
    with Sandbox(tmp_path):
        before = (tmp_path / name).read_bytes()

    with Sandbox(tmp_path):
        assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"[default]\n", b"x", b"\xff", b"[default]\naws_access_key_id = a\n"])
def test_a_damaged_access_key_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "aws-credentials").write_bytes(content)

    with Sandbox(tmp_path):
        assert b"aws_secret_access_key = " in (tmp_path / "aws-credentials").read_bytes()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff"])
def test_a_damaged_token_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "devrev-token").write_bytes(content)

    with Sandbox(tmp_path) as sandbox:
        assert sandbox.devrev.tokens == {(tmp_path / "devrev-token").read_text().strip()}


def test_a_sandbox_that_is_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="not started"):
        Sandbox(tmp_path).broker_down()


def test_the_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    Sandbox(tmp_path / "new")

    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
