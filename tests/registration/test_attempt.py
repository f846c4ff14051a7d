"""The attempt: ``python -m thingmeter.registration.attempt`` as a process, with registrars by hand and real ones."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from thingmeter.clock import SystemClock
from thingmeter.errors import Throttled, Unreachable
from thingmeter.plans import Outcome, Step
from thingmeter.registration.attempt import REGISTRARS, make
from thingmeter.registration.child import Attempts, Job
from thingmeter.registration.lines import End, from_line

AGENT = Path(__file__).parents[2] / "agent"
PATIENCE_S = 30
MAIN = (sys.executable, "-P", "-m", "thingmeter.registration.attempt")
REGISTRAR = """
from thingmeter.errors import Denied, Throttled, Unanswered
from thingmeter.plans import Outcome, Plan, Step

def connect(account, *, gap_s):
    CONNECT
    return Registrar(account, gap_s)

def definitions(items):
    return tuple(items)

class Registrar:
    def __init__(self, account, gap_s):
        self.account, self.gap_s = account, gap_s

    def plan(self, definitions, known):
        PLAN
        return Plan(tuple(Step(one["name"], "unchanged" if one["name"] in known else "create") for one in definitions))

    def apply(self, plan):
        for step in plan.steps:
            APPLY
            yield Outcome(step.name, step.action, "registered")
"""


@dataclass(frozen=True)
class Spoken:
    """What a process said, and what it printed beside that."""

    lines: list[Step | Outcome | End | None]
    stderr: str
    code: int = field(compare=False)


def registrar(folder: Path, **code: str) -> tuple[str, ...]:
    """Write a registrar that runs ``code`` in connect, plan or apply; return the command that uses it."""
    text = REGISTRAR
    for place in ("connect", "plan", "apply"):
        text = text.replace(place.upper(), code.get(place, "pass"))
    (folder / "by_hand.py").write_text(text)
    use = "from thingmeter.registration import attempt; attempt.main({'devrev': 'by_hand'})"
    path = f"import sys; sys.path[:0] = {[str(folder), str(AGENT)]!r}; "
    return (sys.executable, "-c", path + use)


def job(**changes: Any) -> dict[str, Any]:
    plain = {"service": "devrev", "account": {}, "known": [], "apply": True, "gap_s": 0}
    return {**plain, "definitions": [{"name": "cpu"}, {"name": "disk"}], **changes}


def run(command: tuple[str, ...], request: bytes) -> Spoken:
    """Run an attempt to its end, its stdin open as long."""
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(AGENT)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(request)
        process.stdin.flush()
        said = [from_line(line) for line in process.stdout]
        return Spoken(said, process.stderr.read().decode(), process.wait(PATIENCE_S))


def attempt(command: tuple[str, ...], **changes: Any) -> Spoken:
    return run(command, json.dumps(job(**changes)).encode() + b"\n")


def test_says_every_step_then_every_outcome_then_the_end(tmp_path: Path) -> None:
    spoken = attempt(registrar(tmp_path), known=["disk"])

    assert spoken.lines == [
        Step("cpu", "create"),
        Step("disk", "unchanged"),
        Outcome("cpu", "create", "registered"),
        Outcome("disk", "unchanged", "registered"),
        End("done"),
    ]


def test_a_plan_alone_is_not_carried_out(tmp_path: Path) -> None:
    spoken = attempt(registrar(tmp_path, apply="raise AssertionError"), apply=False)

    assert spoken.lines == [Step("cpu", "create"), Step("disk", "create"), End("done")]


@pytest.mark.parametrize(
    ("raised", "end"),
    [
        ('raise Throttled("slow down", after_s=30)', End("throttled", "slow down", 30)),
        ('raise Denied("no rights")', End("denied", "no rights")),
        ('raise Unanswered("timeout")', End("unreachable", "timeout")),
        ('raise KeyError("region")', End("failed", "KeyError: 'region'")),
    ],
)
@pytest.mark.parametrize("place", ["connect", "plan", "apply"])
def test_what_a_registrar_raises_is_the_end(tmp_path: Path, place: str, raised: str, end: End) -> None:
    assert attempt(registrar(tmp_path, **{place: raised})).lines[-1] == end


def test_what_nobody_foresaw_leaves_a_traceback_on_stderr(tmp_path: Path) -> None:
    assert "in plan" in attempt(registrar(tmp_path, plan="1 / 0")).stderr


def test_what_a_library_prints_does_not_mix_with_the_lines(tmp_path: Path) -> None:
    spoken = attempt(registrar(tmp_path, plan="print('hello'); __import__('os').write(1, b'world')"))

    assert None not in spoken.lines
    assert "world" in spoken.stderr


def test_ends_though_a_thread_of_a_library_does_not(tmp_path: Path) -> None:
    forever = "import threading; threading.Thread(target=threading.Event().wait).start()"

    assert attempt(registrar(tmp_path, plan=forever)).lines[-1] == End("done")


def test_runs_behind_everything_else_on_the_device(tmp_path: Path) -> None:
    nice = "raise Denied(str(__import__('os').nice(0)) + ' ' + open('/proc/self/oom_score_adj').read().strip())"

    spoken = attempt(registrar(tmp_path, plan=nice))

    assert spoken.lines == [End("denied", f"{min(os.nice(0) + 10, 19)} 800")]


def test_ends_with_its_stdin(tmp_path: Path) -> None:
    command = registrar(tmp_path, plan="import time; time.sleep(600)")

    process = subprocess.run(
        command, input=json.dumps(job()).encode() + b"\n", capture_output=True, timeout=PATIENCE_S, check=False
    )

    assert (process.returncode, process.stdout) == (1, b"")


@pytest.mark.parametrize("service", ["topic", "os"])
def test_a_service_without_registrar_is_not_imported(service: str) -> None:
    spoken = attempt(MAIN, service=service)

    assert spoken.lines == [End("failed", f"KeyError: '{service}'")]


def test_a_line_that_is_no_job_fails() -> None:
    (end,) = run(MAIN, b"hello\n").lines

    assert isinstance(end, End)
    assert (end.kind, end.message.partition(":")[0]) == ("failed", "JSONDecodeError")


def test_a_wait_that_was_asked_for_comes_through_both_processes(tmp_path: Path) -> None:
    command = registrar(tmp_path, apply='raise Throttled("slow down", after_s=30)')
    attempts = Attempts(Job("devrev", {}, [{"name": "cpu"}]), SystemClock(), program=command)

    with pytest.raises(Throttled) as raised:
        list(attempts.apply(()))

    assert raised.value.after_s == 30


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield an address at which nothing listens, and which no proxy is asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"https://127.0.0.1:{bound.getsockname()[1]}"


def test_a_devrev_that_is_not_there_is_unreachable(tmp_path: Path, nobody: str) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("secret")
    token_file.chmod(0o600)
    account = {"endpoint_url": nobody, "token_file": str(token_file), "scheme": "Bearer", "ca_file": ""}
    litres = {
        "metric_name": "litres",
        "display_name": "Litres",
        "product_id": "PROD-1",
        "unit_name": "litre",
        "unit_type": "number",
        "aggregation_type": "sum",
    }

    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:"):
        Attempts(Job("devrev", account, [litres], 0), SystemClock()).plan(())


@pytest.mark.needs_aws
def test_a_control_plane_that_is_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch, nobody: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    account = {"thing": "pump-7", "region": "eu-west-1", "endpoint_url": nobody}

    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:"):
        Attempts(Job("defender", account, [{"name": "cpu", "type": "number"}], 0), SystemClock()).plan(())


def test_the_daemons_libraries_are_not_loaded_for_an_attempt() -> None:
    heavy = "{'sqlite3', 'apscheduler', 'psutil', 'paho', 'asyncio', 'cbor2', 'aiohttp', 'boto3'}"
    modules = ", ".join(REGISTRARS.values())
    code = f"import sys, thingmeter.registration.attempt, {modules}; print({heavy} & set(sys.modules))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )

    assert loaded.stdout == "set()\n"


def test_the_registrars_libraries_are_not_loaded_in_the_daemon() -> None:
    heavy = "{'awscrt', 'urllib3', 'botocore', 'requests', 'thingmeter.registration.attempt'}"
    parent_side = "thingmeter.registration.rounds, thingmeter.registration.child"
    code = f"import sys, {parent_side}; print({heavy} & set(sys.modules))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )

    assert loaded.stdout == "set()\n"


def test_a_job_without_an_account_says_what_it_lacks() -> None:
    with pytest.raises(LookupError, match="account"):
        make({"service": "devrev"}, REGISTRARS, lambda _: None)
