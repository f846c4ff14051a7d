"""``thingmeter sandbox``: a local cloud, in which an agent can be tried without any account."""

from __future__ import annotations

import argparse
import importlib.util
import os
import queue
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from thingmeter.sandbox.agent_process import AgentProcess
    from thingmeter.sandbox.cloud import Sandbox
    from thingmeter.sandbox.page import Page

HELP = "run the local cloud: an MQTT 5 broker, a Device Defender, AWS's control plane and a DevRev on this machine"
NEEDED = ("cryptography", "aiohttp")
MISSING = 'the sandbox needs the package "{}": pip install thingmeter[sandbox]'
THING_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,64}")  # 64 is what a certificate's common name can hold
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WAIT_S = 3600.0

Line: TypeAlias = "str | None"  # to print; None: stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--dir``, ``--agent`` and ``--thing``."""
    parser.add_argument("--dir", type=Path, default=Path(".sandbox"), help="where it lives (default: %(default)s)")
    parser.add_argument("--agent", action="store_true", help="start an agent that reports to it as well")
    parser.add_argument(
        "--thing",
        action="extend",
        nargs="+",
        type=_thing_name,
        metavar="NAME",
        help="things that get a certificate; the agent is the first of them (default: the host name)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM; 1 when the agent ended on its own."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(MISSING.format(missing[0]), file=sys.stderr)
        return 1
    from thingmeter.sandbox.cloud import Sandbox
    from thingmeter.sandbox.page import Page

    things = tuple(dict.fromkeys(arguments.thing or [default_thing()]))
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    page = Page(max(map(len, (*things, "operator"))), colour)
    lines: queue.SimpleQueue[Line] = queue.SimpleQueue()
    with _stop_signals(lambda: lines.put(None)), Sandbox(arguments.dir, things=things) as sandbox:
        _print_places(sandbox, _write_configurations(sandbox))
        sandbox.verdicts.follow(lambda verdict: lines.put(page.report(verdict)))
        sandbox.events.follow(lambda event: lines.put(page.event(event)))
        sandbox.calls.follow(lambda call: lines.put(page.call(call)))
        if arguments.agent:
            return _run_with_agent(sandbox, page, lines)
        print(f"start an agent: {_agent_command(sandbox)}\nCtrl-C ends the sandbox.\n\n{page.header()}", flush=True)
        _print_lines(lines)
    return 0


def default_thing() -> str:
    """Return the host name up to its first dot, as far as it can name a thing."""
    name = re.sub(r"[^a-zA-Z0-9:_-]", "-", socket.gethostname().split(".")[0])[:64]
    return name if name.strip("-") else "thing"


def _thing_name(name: str) -> str:
    if not THING_NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r}: 1 to 64 of the characters a-z A-Z 0-9 : _ -")
    if name == "operator":
        raise argparse.ArgumentTypeError("'operator' is the name of the one who watches the things")
    return name


@contextmanager
def _stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on each signal that asks to end, as long as this lasts."""
    numbers = [number for number in STOP_SIGNALS if number != signal.SIGHUP or not _ignored(number)]
    before = {number: signal.signal(number, lambda *_: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN  # by nohup


def _write_configurations(sandbox: Sandbox) -> list[Path]:
    """Write a configuration for each thing; return those that were left alone because someone has edited them."""
    from thingmeter.sandbox.configuration import Places, render, write

    places = Places(
        host=sandbox.host,
        port=sandbox.port,
        region=sandbox.region,
        control_plane_url=sandbox.control_plane_url,
        credentials_endpoint=sandbox.credentials_endpoint,
        devrev_url=sandbox.devrev_url,
    )
    edited = []
    for thing in sandbox.things:
        path = sandbox.folder.configuration_of(thing, first=thing == sandbox.things[0])
        if not write(path, render(thing, places)):
            edited.append(path)
    return edited


def _print_places(sandbox: Sandbox, edited: list[Path]) -> None:
    folder = sandbox.folder
    operator = sandbox.credentials("operator")
    watch = (
        f"mosquitto_sub -V mqttv5 -h {sandbox.host} -p {sandbox.port} --cafile {_quoted(sandbox.ca_file)} "
        f"--cert {_quoted(operator.certificate_file)} --key {_quoted(operator.private_key_file)} "
        "-i operator -v -t 'status/#'"
    )
    print(f"folder         {folder.path}")
    print(f"broker         {sandbox.host}:{sandbox.port}, MQTT 5 over mutual TLS")
    print(
        f"control plane  {sandbox.control_plane_url} for {sandbox.region}; operator's key {folder.aws_credentials_file}"
    )
    print(f"credentials    {sandbox.credentials_endpoint}, role alias {sandbox.role_alias}, over mutual TLS")
    print(f"DevRev         {sandbox.devrev_url}, token {folder.devrev_token_file}")
    print(f"certificates   {folder.path / 'things'} for {', '.join(sandbox.things)}; authority {sandbox.ca_file}")
    print(f"configuration  {folder.configuration_file}")
    for path in edited:
        print(f"               {path} was edited and is left as it is; remove it to have it written again")
    print(f"watch status   {watch}", flush=True)


def _agent_command(sandbox: Sandbox) -> str:
    program = Path(sys.executable).with_name("thingmeter")  # beside the interpreter in a virtual environment
    return f"{_quoted(program)} run -c {_quoted(sandbox.folder.configuration_file)}"


def _quoted(path: Path) -> str:
    """Return a path as it can be typed in a shell, relative where that is shorter."""
    relative = os.path.relpath(path)
    return shlex.quote(min(relative, str(path), key=len))


def _run_with_agent(sandbox: Sandbox, page: Page, lines: queue.SimpleQueue[Line]) -> int:
    from thingmeter.sandbox.agent_process import AgentProcess

    codes: list[int] = []

    def ended(agent: AgentProcess, code: int) -> None:
        codes.append(code)
        lines.put(_obituary(agent, code, sandbox))

    agent = AgentProcess(sandbox.folder.configuration_file, sandbox.folder.agent_log, ended)
    try:
        print(f"agent          process {agent.pid}, log in {sandbox.folder.agent_log}")
        print(f"Ctrl-C ends both.\n\n{page.header()}", flush=True)
        _print_lines(lines)
    finally:
        agent.stop()
    lines.put(None)
    _print_lines(lines)  # how the agent took its leave
    return 1 if codes else 0


def _obituary(agent: AgentProcess, code: int, sandbox: Sandbox) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    log = "\n".join(f"    {line}" for line in agent.last_lines()) or "    (nothing)"
    return (
        f"\nTHE AGENT HAS ENDED: it {how}. The end of its log ({sandbox.folder.agent_log}):\n{log}\n"
        f"The sandbox goes on. Start it again: {_agent_command(sandbox)}\n"
    )


def _print_lines(lines: queue.SimpleQueue[Line]) -> None:
    """Print what comes until None does."""
    while True:
        try:
            line = lines.get(timeout=WAIT_S)
        except queue.Empty:
            continue
        if line is None:
            return
        print(line, flush=True)
