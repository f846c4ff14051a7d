"""The child process: what it says is read, and whatever it does, it neither hangs nor harms its parent."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from registration.attempts_by_hand import DONE, HANG, OUTCOME, STEP, Program, program
from thingmeter.clock import SystemClock
from thingmeter.errors import Denied, Throttled, Unreachable
from thingmeter.plans import Outcome, Step
from thingmeter.registration.child import Attempts, Job
from thingmeter.testing import ManualClock

AGENT = Path(__file__).parents[2] / "agent"
REGISTERED = Outcome("cpu", "create", "registered")
JOB = Job("defender", MappingProxyType({"region": "eu-west-1"}), [MappingProxyType({"name": "cpu"})], 0.5)
PATIENCE_S = 20.0


def attempts_of(command: Program, limit_s: float = PATIENCE_S) -> Attempts:
    return Attempts(JOB, SystemClock(), program=command, limit_s=limit_s)


def end(kind: str, **more: object) -> str:
    return f"print({json.dumps({'end': kind, 'message': 'the words', **more})!r}, flush=True); "


class Peer:
    """A listening socket that a child connects to, to be seen ending."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self.connections: list[socket.socket] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def code(self) -> str:
        """Return code that connects to it: the connection ends with the last process that has it."""
        address = ("127.0.0.1", self.port)
        return f"import socket; held = socket.create_connection({address!r}); held.set_inheritable(True); "

    def accept(self) -> None:
        self.connections.append(self._listener.accept()[0])
        self.connections[-1].settimeout(PATIENCE_S)

    def is_left(self) -> bool:
        """Read until no process has the other end; raise TimeoutError when one keeps it."""
        with contextlib.suppress(ConnectionResetError):
            while self.connections[-1].recv(65_536):
                pass
        return True

    def close(self) -> None:
        for one in (self._listener, *self.connections):
            one.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Yield a peer for one child."""
    peer = Peer()
    yield peer
    peer.close()


def test_outcomes_come_as_they_are_said() -> None:
    outcomes = attempts_of(program(STEP, OUTCOME, DONE)).apply(())

    assert list(outcomes) == [REGISTERED]


def test_the_steps_of_a_plan_come_as_they_are_said() -> None:
    assert attempts_of(program(STEP, DONE)).plan(()) == [Step("cpu", "create")]


def test_the_job_goes_in_as_one_line() -> None:
    echo = 'print(json.dumps({"step": {"name": json.dumps(job), "action": "create", "reason": ""}})); '

    (step,) = attempts_of(program(echo, DONE)).plan({"disk", "cpu"})

    assert json.loads(step.name) == {
        "service": "defender",
        "account": {"region": "eu-west-1"},
        "definitions": [{"name": "cpu"}],
        "known": ["cpu", "disk"],
        "apply": False,
        "gap_s": 0.5,
    }


def test_a_job_larger_than_a_pipe_goes_in() -> None:
    job = Job("devrev", {}, [{"name": "x" * 400_000}])
    attempts = Attempts(job, SystemClock(), program=program(f"assert len(str(job)) > 400_000; {DONE}"))

    assert attempts.plan(()) == []


def test_an_outcome_is_there_before_the_attempt_ends() -> None:
    outcomes = attempts_of(program(OUTCOME, HANG)).apply(())

    assert next(outcomes) == REGISTERED


@pytest.mark.parametrize(
    ("kind", "error"),
    [("throttled", Throttled), ("denied", Denied), ("unreachable", Unreachable), ("failed", Unreachable)],
)
def test_the_end_of_an_attempt_is_raised(kind: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="the words") as raised:
        attempts_of(program(end(kind))).plan(())

    assert type(raised.value) is error


def test_throttled_carries_its_wait() -> None:
    with pytest.raises(Throttled) as raised:
        attempts_of(program(end("throttled", after_s=30.5))).plan(())

    assert raised.value.after_s == 30.5


def test_what_came_before_the_end_holds() -> None:
    outcomes = attempts_of(program(OUTCOME, end("unreachable"))).apply(())

    assert next(outcomes) == REGISTERED


@pytest.mark.parametrize(
    "garbage",
    ["print('hello'); ", "print('[' * 5000); ", r"os.write(1, b'\xff\xfe\x00\n'); ", "print('{\"end\": 7}'); "],
)
def test_a_line_that_is_none_of_ours_is_left_out(garbage: str) -> None:
    outcomes = attempts_of(program("sys.stdout.reconfigure(write_through=True); ", garbage, OUTCOME, DONE)).apply(())

    assert list(outcomes) == [REGISTERED]


def test_a_child_that_dies_is_unreachable_with_its_exit_code_and_last_words() -> None:
    with pytest.raises(Unreachable, match="exit code 3: out of luck"):
        attempts_of(program("print('first\\nout of luck', file=sys.stderr); sys.exit(3)")).plan(())


def test_what_a_dying_child_printed_is_logged_for_whoever_looks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(Unreachable, match="ZeroDivisionError"):
        attempts_of(program("1 / 0")).plan(())

    assert [record.levelno for record in caplog.records if "Traceback" in record.message] == [logging.DEBUG]


def test_a_child_killed_half_way_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="exit code -9"):
        list(attempts_of(program(OUTCOME, "os.kill(os.getpid(), 9)")).apply(()))


def test_a_child_that_cannot_be_started_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="No such file"):
        attempts_of(("/no/such/program",)).plan(())


def test_a_child_that_does_not_take_its_job_is_unreachable() -> None:
    job = Job("devrev", {}, [{"name": "x" * 400_000}])

    with pytest.raises(Unreachable, match="exit code 0"):
        Attempts(job, SystemClock(), program=(sys.executable, "-c", "")).plan(())


def test_a_child_that_prints_much_to_stderr_is_read_on() -> None:
    assert attempts_of(program("print('x' * 2_000_000, file=sys.stderr); ", DONE)).plan(()) == []


@pytest.mark.parametrize("babble", ["print('x' * 200_000); ", "print('\\n' * 200_000); "])
def test_a_child_that_prints_without_end_is_given_up(babble: str) -> None:
    with pytest.raises(Unreachable, match="what was not asked for"):
        attempts_of(program(babble, HANG)).plan(())


def test_a_hung_child_is_given_up() -> None:
    with pytest.raises(Unreachable, match="took longer than 0 s"):
        attempts_of(program(HANG), limit_s=0.3).plan(())


def test_a_child_that_does_not_read_is_given_up() -> None:
    job = Job("devrev", {}, [{"name": "x" * 400_000}])
    deaf = (sys.executable, "-c", "import time; time.sleep(600)")

    with pytest.raises(Unreachable, match="took longer"):
        Attempts(job, SystemClock(), program=deaf, limit_s=0.3).plan(())


def test_a_hung_child_is_killed(peer: Peer, clock: ManualClock) -> None:
    outcomes = Attempts(JOB, clock, program=program(peer.code(), OUTCOME, HANG)).apply(())
    next(outcomes)
    peer.accept()

    clock.advance(JOB.limit_s())

    with pytest.raises(Unreachable, match="took longer"):
        next(outcomes)
    assert peer.is_left()


def test_what_a_hung_child_started_is_killed_with_it(peer: Peer, clock: ManualClock) -> None:
    grandchild = "import subprocess; subprocess.Popen(['sleep', '600'], close_fds=False); "
    outcomes = Attempts(JOB, clock, program=program(peer.code(), grandchild, OUTCOME, HANG)).apply(())
    next(outcomes)
    peer.accept()

    clock.advance(JOB.limit_s())

    with pytest.raises(Unreachable, match="took longer"):
        next(outcomes)
    assert peer.is_left()


def test_a_child_that_nobody_reads_any_more_is_killed(peer: Peer) -> None:
    outcomes = attempts_of(program(peer.code(), OUTCOME, HANG)).apply(())
    next(outcomes)
    peer.accept()

    del outcomes

    assert peer.is_left()


def test_a_child_that_does_not_end_after_its_last_line_is_killed(peer: Peer) -> None:
    attempts_of(program(peer.code(), DONE, HANG)).plan(())
    peer.accept()

    assert peer.is_left()


def in_a_thread(run: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            run()
        except Unreachable as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    return thread, raised


def test_a_stop_ends_a_running_attempt(peer: Peer) -> None:
    attempts = attempts_of(program(peer.code(), HANG), limit_s=600)
    thread, raised = in_a_thread(lambda: attempts.plan(()))
    peer.accept()

    attempts.stop()

    thread.join(PATIENCE_S)
    assert peer.is_left()
    assert [str(error) for error in raised] == ["the agent is stopping"]


def test_after_a_stop_nothing_is_started() -> None:
    attempts = attempts_of(program(STEP, DONE))
    attempts.stop()

    with pytest.raises(Unreachable, match="stopping"):
        attempts.plan(())


def test_an_attempt_leaves_no_descriptor_open() -> None:
    attempts = attempts_of(program(OUTCOME, DONE))
    list(attempts.apply(()))
    before = len(list(Path("/proc/self/fd").iterdir()))

    list(attempts.apply(()))

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_interrupt_from_the_terminal_is_not_for_the_child() -> None:
    session = 'print(json.dumps({"step": {"name": str(os.getsid(0)), "action": "create", "reason": ""}})); '

    (step,) = attempts_of(program(session, DONE)).plan(())

    assert int(step.name) != os.getsid(0)


def test_the_time_limit_grows_with_the_definitions() -> None:
    few, many = (Job("devrev", {}, [{"name": "x"}] * count, 1).limit_s() for count in (1, 100))

    assert 120 < few < 150
    assert 900 < many < 1800


PARENT = f"""
import sys
from thingmeter.clock import SystemClock
from thingmeter.registration.child import Attempts, Job
from thingmeter.testing import ManualClock
account = {{"endpoint_url": sys.argv[1], "region": "eu-west-1", "thing": "pump-7"}}
definition = {{"name": "cpu", "type": "number", "display_name": "", "tags": []}}
list(Attempts(Job("defender", account, [definition], 0), SystemClock(), limit_s={PATIENCE_S * 10}).apply(()))
"""


@pytest.mark.needs_aws
def test_a_parent_killed_outright_leaves_no_child(peer: Peer) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "NO_PROXY": "127.0.0.1"}
    environment = {**os.environ, **keys, "PYTHONPATH": str(AGENT)}
    command = [sys.executable, "-c", PARENT, f"https://127.0.0.1:{peer.port}"]
    with subprocess.Popen(command, env=environment) as parent:
        peer.accept()  # the child waits for an answer now

        parent.send_signal(signal.SIGKILL)

        assert peer.is_left()
