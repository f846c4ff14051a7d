"""The commands as their users run them: what they print, where, and how they end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config.device import SMALLEST, Device, device_in
from end_to_end import defender_rules
from end_to_end.agent import CUSTOM_METRICS, command, environment, run
from thingmeter.sandbox.authority import Authority

CONFIG = Path(__file__).parents[1] / "config"
CONFIGURATION = 78

ONCE = f"""{SMALLEST}
[defender]
format = "%s"
names = "%s"
{CUSTOM_METRICS}
[collectors.cpu]
[collectors.sockets]
[collectors.network]
"""


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return device_in(tmp_path)


@pytest.fixture(params=["run", "check", "once"])
def mistaken(request: pytest.FixtureRequest, device: Device) -> subprocess.CompletedProcess[bytes]:
    """Return the outcome of a command with a configuration of thirty mistakes."""
    device.write("group-readable.pem", "PEM", mode=0o640)
    device.write(device.file.name, (CONFIG / "thirty_mistakes.toml").read_bytes())
    return run(str(request.param), "-c", str(device.file), HOME="/srv/pump")


def test_thirty_mistakes_end_a_command_with_the_exit_code_of_configuration(
    mistaken: subprocess.CompletedProcess[bytes],
) -> None:
    assert mistaken.returncode == CONFIGURATION


def test_each_of_thirty_mistakes_is_one_line_on_stderr_and_nothing_else_is_printed(
    mistaken: subprocess.CompletedProcess[bytes], device: Device
) -> None:
    expected = (CONFIG / "thirty_mistakes.txt").read_text().splitlines()

    said = mistaken.stderr.decode().replace(f"{device.folder}/", "").replace(str(device.folder), "FOLDER")
    assert said.splitlines() == expected
    assert mistaken.stdout == b""


@pytest.mark.parametrize("name", ["run", "check", "once"])
def test_a_file_that_is_not_there_ends_with_the_exit_code_of_configuration(name: str, tmp_path: Path) -> None:
    outcome = run(name, "-c", str(tmp_path / "missing.toml"))

    assert (outcome.returncode, b"Traceback" in outcome.stderr) == (CONFIGURATION, False)


@pytest.mark.parametrize("arguments", [("run", "--nonsense"), ("nonsense",), ("once", "--json", "--raw"), ()])
def test_a_wrong_command_line_ends_with_2(arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)

    assert (outcome.returncode, outcome.stdout) == (2, b"")
    assert outcome.stderr.startswith(b"usage: thingmeter")


@pytest.fixture
def samples(device: Device) -> dict[str, Any]:
    """Return what ``once --json`` prints."""
    device.write(device.file.name, ONCE % ("json", "long"))
    outcome = run("once", "--json", "-c", str(device.file))
    assert outcome.returncode == 0, outcome.stderr
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document


def test_once_prints_samples_and_messages_in_the_promised_shape(samples: dict[str, Any]) -> None:
    assert samples.keys() == {"samples", "messages"}
    assert {frozenset(sample) for sample in samples["samples"]} == {
        frozenset({"metric", "value", "unit", "dimensions", "at"})
    }
    (message,) = samples["messages"]
    assert message.keys() == {"destination", "topic", "format", "bytes", "payload"}


def test_what_once_prints_is_what_device_defender_takes(samples: dict[str, Any]) -> None:
    (message,) = samples["messages"]

    assert defender_rules.problems(message["payload"]) == []


def test_once_measures_twice_so_that_there_are_network_stats(samples: dict[str, Any]) -> None:
    (message,) = samples["messages"]

    assert message["payload"]["metrics"]["network_stats"].keys() == {
        "bytes_in",
        "bytes_out",
        "packets_in",
        "packets_out",
    }


@pytest.mark.parametrize(("format", "names"), [("json", "short"), ("cbor", "long"), ("cbor", "short")])
def test_the_raw_bytes_of_once_are_what_device_defender_takes(device: Device, format: str, names: str) -> None:
    device.write(device.file.name, ONCE % (format, names))

    outcome = run("once", "--raw", "-c", str(device.file))

    assert defender_rules.problems(defender_rules.read(outcome.stdout, format)) == []


def test_once_for_people_ends_with_the_report(device: Device) -> None:
    device.write(device.file.name, ONCE % ("cbor", "long"))

    outcome = run("once", "-c", str(device.file))

    assert b"bytes of cbor to $aws/things/pump-7/defender/metrics/cbor" in outcome.stdout


def test_once_writes_nothing(device: Device) -> None:
    device.write(device.file.name, ONCE % ("cbor", "long"))
    before = sorted(device.folder.rglob("*"))

    run("once", "-c", str(device.file), XDG_STATE_HOME=str(device.folder), STATE_DIRECTORY=str(device.folder))

    assert sorted(device.folder.rglob("*")) == before


def test_check_prints_a_schema_that_an_editor_can_use() -> None:
    outcome = run("check", "--schema")

    schema = json.loads(outcome.stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"thing", "mqtt", "defender", "outbox", "collectors"} <= schema["properties"].keys()


def test_check_of_a_good_configuration_ends_with_0(device: Device) -> None:
    device.write(device.file.name, ONCE % ("cbor", "long"))
    authority = Authority.open(device.folder / "authority")
    issued = authority.issue("pump-7", device.folder / "issued")
    for name, source in (
        ("ca.pem", authority.ca_file),
        ("certificate.pem", issued.certificate_file),
        ("private-key.pem", issued.private_key_file),
    ):
        device.write(name, source.read_bytes())

    assert run("check", "-c", str(device.file)).returncode == 0


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    ("options", "said"),
    [("size=16k", "the disk is full"), ("size=1m,ro", "Read-only file system")],
    ids=["full disk", "read-only disk"],
)
def test_a_disk_that_cannot_be_written_ends_the_agent_with_one_clear_line(
    device: Device, options: str, said: str
) -> None:
    state = device.folder / "state"
    state.mkdir()
    device.write(device.file.name, f'[thing]\nname = "pump-7"\n[outbox]\npath = "{state}/outbox.db"\n')
    mount = f'mount -t tmpfs -o {options} tmpfs "{state}" && exec "$@"'

    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    outcome = subprocess.run(
        [*unshare, *command("run", "-c", str(device.file))],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert outcome.returncode == 1
    assert outcome.stderr.splitlines() == [f"{state}/outbox.db: {said}"]
