"""``thingmeter check`` on real files: what only certificates, collectors and mappings can tell, all at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thingmeter.cli import CONFIGURATION, parser, run_command
from thingmeter.sandbox.authority import Authority

BEGINNING = """\
[thing]
name = "pump-7"
[mqtt]
host = "broker.example"
[mqtt.tls]
ca_file = "ca.pem"
certificate_file = "certificate.pem"
private_key_file = "private-key.pem"
[outbox]
path = "outbox.db"
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A folder with the certificate and key of a thing, and a good configuration."""
    authority = Authority.open(tmp_path / "authority")
    install(tmp_path, authority)
    (tmp_path / "thingmeter.toml").write_text(BEGINNING)
    return tmp_path


def install(folder: Path, authority: Authority, **dates: datetime) -> None:
    issued = authority.issue("pump-7", folder / "issued", **dates)  # type: ignore[arg-type]
    (folder / "ca.pem").write_bytes(authority.ca_file.read_bytes())
    (folder / "certificate.pem").write_bytes(issued.certificate_file.read_bytes())
    write_key(folder, issued.private_key_file)


def write_key(folder: Path, source: Path) -> None:
    (folder / "private-key.pem").write_bytes(source.read_bytes())
    (folder / "private-key.pem").chmod(0o600)


def check(device: Path) -> int:
    return run_command(parser().parse_args(["check", "-c", str(device / "thingmeter.toml")]))


def test_a_good_configuration_is_good(device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(device) == 0
    assert capsys.readouterr().out.startswith(f"{device}/thingmeter.toml: good\n")


def test_the_key_of_another_certificate_is_told(device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Authority.open(device / "authority").issue("other", device / "issued")
    write_key(device, other.private_key_file)

    assert check(device) == CONFIGURATION
    assert "is not the key of the certificate" in capsys.readouterr().err


def test_a_certificate_that_has_expired_is_told_with_its_date(device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    end = datetime.now(UTC) - timedelta(days=1)
    install(device, Authority.open(device / "authority"), not_before=end - timedelta(days=9), not_after=end)

    assert check(device) == CONFIGURATION
    assert f"expired on {end:%Y-%m-%d}" in capsys.readouterr().err


def test_an_authority_that_is_none_is_told(device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (device / "ca.pem").write_text("not a certificate")

    assert check(device) == CONFIGURATION
    assert "ca_file) holds no usable certificate" in capsys.readouterr().err


def test_mistakes_in_files_and_mappings_are_told_together(device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (device / "ca.pem").write_text("not a certificate")
    (device / "thingmeter.toml").write_text(
        f'{BEGINNING}[defender]\n[[defender.custom_metric]]\nname = "m"\ntype = "number"\nfrom = "cpu.usage"\n'
    )

    assert check(device) == CONFIGURATION
    assert len(capsys.readouterr().err.splitlines()) == 2
