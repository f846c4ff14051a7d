from __future__ import annotations

import http.client
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from thingmeter.sandbox.agent_process import AgentProcess
from thingmeter.sandbox.cloud import Sandbox

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "agent"), "PYTHONWARNINGS": "error"}


@contextmanager
def command(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the command until the block ends, and whatever it has started."""
    line = [sys.executable, "-m", "thingmeter", "sandbox", "--dir", str(folder), *arguments]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=folder.parent
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def lines_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Return the lines up to the one that holds ``words``."""
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        found.append(line.rstrip("\n"))
        if words in line:
            return found
    assert process.stderr is not None
    raise AssertionError(f"{words!r} did not come; {found}; {process.stderr.read()}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_sandbox_with_exit_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with command(folder=tmp_path / "box") as process:
        lines_until(process, "verdict")

        process.send_signal(number)

        assert (process.wait(20), process.stderr and process.stderr.read()) == (0, "")


def test_the_sandbox_says_where_things_are(tmp_path: Path) -> None:
    with command("--thing", "pump-7", folder=tmp_path / "box") as process:
        lines = lines_until(process, "verdict")

    subjects = [line.split("  ")[0] for line in lines[:8]]
    assert subjects == [
        "folder",
        "broker",
        "control plane",
        "credentials",
        "DevRev",
        "certificates",
        "configuration",
        "watch status",
    ]


def test_each_thing_gets_a_configuration(tmp_path: Path) -> None:
    with command("--thing", "pump-7", "pump-8", folder=tmp_path / "box") as process:
        lines_until(process, "verdict")

    assert sorted(path.name for path in (tmp_path / "box").glob("*.toml")) == ["pump-8.toml", "thingmeter.toml"]


def test_a_second_sandbox_on_the_same_folder_ends_with_one_clear_line(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box"), command(folder=tmp_path / "box") as process:
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors.count("\n"), "already runs" in errors) == (1, 1, True)


@pytest.mark.parametrize("name", ["operator", "a b", "x" * 65, ""])
def test_a_name_that_no_thing_can_have_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with command("--thing", name, folder=tmp_path / "box") as process:
        process.communicate(timeout=20)

    assert process.returncode == 2


def test_an_agent_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    (folder / "thingmeter.toml").write_text("[nonsense]\n")

    with command("--agent", folder=folder) as process:
        lines = lines_until(process, "The sandbox goes on")
        process.send_signal(signal.SIGINT)
        code = process.wait(20)

    assert (code, any("nonsense" in line for line in lines)) == (1, True)


@pytest.mark.parametrize("package", ["cryptography", "aiohttp"])
def test_without_a_package_that_it_needs_the_extra_is_named(tmp_path: Path, package: str) -> None:
    without = f"import sys; sys.modules['{package}'] = None; from thingmeter.cli import main; main(sys.argv[1:])"
    line = [sys.executable, "-c", without, "sandbox", "--dir", str(tmp_path)]

    done = subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, check=False)

    assert (done.returncode, f'"{package}": pip install thingmeter[sandbox]' in done.stderr) == (1, True)


def test_a_call_of_an_https_service_has_a_line(tmp_path: Path) -> None:
    with command("--thing", "pump-7", folder=tmp_path / "box") as process:
        lines = lines_until(process, "verdict")
        (address,) = (line.split()[1].rstrip(",") for line in lines if line.startswith("credentials "))
        context = ssl.create_default_context(cafile=str(tmp_path / "box/ca/ca.pem"))
        things = tmp_path / "box/things"
        context.load_cert_chain(things / "pump-7.pem", things / "pump-7.key")
        made = http.client.HTTPSConnection(address, context=context, timeout=10)
        made.request("GET", "/role-aliases/thingmeter/credentials")
        made.getresponse().read()
        made.close()

        line = lines_until(process, "AssumeRole")[-1]

    assert line.endswith("  pump-7    AssumeRoleWithCertificate thingmeter -> 200")


def test_an_agent_s_log_is_read_from_its_end(tmp_path: Path) -> None:
    ended: list[int] = []
    agent = AgentProcess(tmp_path / "missing.toml", tmp_path / "agent.log", lambda _agent, code: ended.append(code))

    agent.stop()

    assert len(agent.last_lines()) <= 20


@pytest.mark.long
def test_reports_of_a_real_agent_are_accepted(tmp_path: Path) -> None:
    with command("--agent", "--thing", "pump-7", folder=tmp_path / "box") as process:
        lines = [lines_until(process, " cbor ")[-1] for _ in range(2)]
        process.send_signal(signal.SIGINT)

        assert ["  accepted  " in line for line in lines] == [True, True]
        assert process.wait(20) == 0


@pytest.mark.long
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv of util-linux is missing")
def test_no_agent_is_left_when_the_sandbox_is_killed(tmp_path: Path) -> None:
    with command("--agent", "--thing", "pump-7", folder=tmp_path / "box") as process:
        (line,) = (line for line in lines_until(process, " cbor ") if line.startswith("agent "))
        agent = os.pidfd_open(int(line.split()[2].rstrip(",")))

        process.kill()

        ended, _, _ = select.select([agent], [], [], 20)
        os.close(agent)
        assert ended == [agent]
