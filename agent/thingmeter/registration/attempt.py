"""One attempt to register with one service, in a process of its own: ``python -m thingmeter.registration.attempt``.

A line on stdin says what is to be registered, lines on stdout say what comes of it (lines.py). The libraries of the
control planes are loaded here, and go with this process. It ends as soon as its stdin is closed: whoever started it
keeps that open, so that no attempt outlives its daemon, however that ended. By hand::

    (cat job.json; sleep 60) | python -m thingmeter.registration.attempt
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from thingmeter.errors import ThingmeterError
from thingmeter.plans import Outcome, Step
from thingmeter.protocols import Definition, Registrar
from thingmeter.registration.lines import End, end_of, to_line

logger = logging.getLogger(__name__)

REGISTRARS: Mapping[str, str] = MappingProxyType(
    {
        "defender": "thingmeter.destinations.defender.registrar",
        "devrev": "thingmeter.destinations.devrev.registrar",
    }
)
"""Where the registrar of each service is; a closed list: nothing else is ever imported for a line on stdin."""

NICENESS = 10  # sampling, delivery and the device's own work go before
OOM_SCORE_ADJ = Path("/proc/self/oom_score_adj")
OOM_SCORE = "800"  # of 1000: when memory runs out, this process goes before the daemon, and is tried again later
CHUNK_BYTES = 4096

Say: TypeAlias = Callable[[Step | Outcome | End], None]


class RegistrarModule(Protocol):
    """What the module of a registrar offers."""

    def connect(self, account: Mapping[str, Any], *, gap_s: float) -> Registrar[Definition]:
        """Return a registrar that waits about ``gap_s`` seconds between two calls."""

    def definitions(self, items: list[Mapping[str, Any]]) -> tuple[Definition, ...]:
        """Return the definitions that JSON documents stand for."""


def main(registrars: Mapping[str, str] = REGISTRARS) -> None:
    """Make the attempt that stdin asks for; never returns.

    Args:
        registrars: the module of each service's registrar.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _stand_back()
    say = _own_stdout()
    job = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_stdin, name="stdin", daemon=True).start()
    try:
        make(json.loads(job), registrars, say)
    except ThingmeterError as error:
        say(end_of(error))
    except Exception as error:  # the top of a process
        logger.exception("the attempt failed unexpectedly")
        say(end_of(error))
    else:
        say(End("done"))
    sys.stderr.flush()
    os._exit(0)  # not through the interpreter's end, where libraries wait for threads of theirs


def make(job: Mapping[str, Any], registrars: Mapping[str, str], say: Say) -> None:
    """Make the attempt: say every step of the plan and, when the job is to apply it, every outcome as it comes.

    Raises:
        DeliveryError: the registrar can't go on; what was said before holds.
        LookupError: the job lacks something, or names a service that has no registrar.
    """
    module: RegistrarModule = importlib.import_module(registrars[job["service"]])
    registrar = module.connect(job["account"], gap_s=float(job["gap_s"]))
    plan = registrar.plan(module.definitions(job["definitions"]), frozenset(job["known"]))
    for step in plan.steps:
        say(step)
    if job["apply"]:
        for outcome in registrar.apply(plan):
            say(outcome)
    elif plan.trouble is not None:
        raise plan.trouble


def _stand_back() -> None:
    """Let everything else on the device go before this process, in processor time and in memory."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    with contextlib.suppress(OSError):
        OOM_SCORE_ADJ.write_text(OOM_SCORE)


def _own_stdout() -> Say:
    """Keep stdout for our lines; whatever else prints goes to stderr from here on."""
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(said: Step | Outcome | End) -> None:
        lines.write(to_line(said))

    return say


def _end_with_stdin() -> None:
    """Wait for the end of stdin, then end this process and all that it started."""
    # os.read: a thread that waits in sys.stdin holds a lock that the interpreter may want.
    while os.read(sys.stdin.fileno(), CHUNK_BYTES):
        pass
    if os.getpgrp() == os.getpid():  # ours alone, such as a credential_process of the credentials chain
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
