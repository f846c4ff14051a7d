"""``thingmeter register``: registers what the configuration declares, now and at once.

For the pipeline that has the rights which devices with ``registration = "off"`` lack; that setting does not bind it.
Progress goes to stderr, a line for each item; the table, or JSON, to stdout.

All is compared with what the service has, whatever is remembered. An outbox that is this user's, and that no agent has
open, tells "unchanged" from "adopt", and takes note of what was registered: the agent's next start asks nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from thingmeter.errors import ConfigError, Denied, OutboxError, Problem, Throttled, Unreachable

if TYPE_CHECKING:
    from thingmeter.config import Config
    from thingmeter.outbox import Outbox
    from thingmeter.plans import Action, Outcome, Standing
    from thingmeter.registration.child import Attempts
    from thingmeter.registration.declared import Declared
    from thingmeter.registration.standings import Standings

HELP = "register custom metrics with AWS IoT Device Defender and UOMs with DevRev now"
FAILED, UNAVAILABLE, PERMISSION = 1, 69, 77
GAP_S = 0.1  # between two calls: AWS takes 10 a second of an account
MAXIMUM_WAITS = 5  # for a service that asks to wait, before it is left
LONGEST_WAIT_S = 120.0
DONE_WORDS = {"create": "created", "adopt": "adopted", "update": "updated", "unchanged": "unchanged"}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; ``standing`` is None for a plan."""

    service: str
    name: str
    action: Action
    standing: Standing | None
    reason: str


@dataclass(slots=True)
class Result:
    """What came of all services: the rows, and one line for each service that could not be finished."""

    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)

    def fail(self, why: str, code: int) -> None:
        """Note that a service could not be finished."""
        self.failures.append(why)
        self.codes.add(code)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--dry-run``, ``--usual-chain`` and ``--json``."""
    parser.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")
    parser.add_argument(
        "--usual-chain",
        action="store_true",
        help="take AWS credentials from the environment, a profile or the instance, not by the device's certificate, "
        "whose files need not be here",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Register everything; 0 when all of it is registered, 1 for a conflict or a refusal, 69 or 77 as always."""
    from thingmeter.clock import SystemClock
    from thingmeter.config import default_path, load
    from thingmeter.config.changes import with_usual_chain

    path = arguments.config or default_path()
    config = load(path, files_elsewhere=("mqtt",) if arguments.usual_chain else ())
    declared = _declared(with_usual_chain(config) if arguments.usual_chain else config, str(path))
    result = Result()
    memory = _Memory(Path(config.outbox.path))
    for one in declared:
        standings = one.standings(memory, SystemClock())
        try:
            if arguments.dry_run:
                _plan(one, standings, result)
            else:
                _register(one, standings, result)
        except Denied as error:
            result.fail(f"{one.service}: denied: {error}", PERMISSION)
        except Unreachable as error:
            result.fail(f"{one.service}: not reached: {error}", UNAVAILABLE)
        except Throttled as error:
            result.fail(f"{one.service}: still asks to wait: {error}", UNAVAILABLE)
    memory.save()
    if arguments.json:
        _print_json(result)
    else:
        _print_table(result.rows)
    sys.stdout.flush()
    for failure in result.failures:
        print(failure, file=sys.stderr)
    return max(result.codes, default=0)


def _declared(config: Config, path: str) -> list[Declared]:
    from thingmeter.config.changes import with_registration
    from thingmeter.registration.declared import declared_in, library_problem

    config = with_registration(config)
    if problem := library_problem(config):
        raise ConfigError((problem,))
    if config.devrev and config.devrev.uom and not config.devrev.token_file:
        raise ConfigError((config.problem("devrev", "token_file", "is missing; registering UOMs needs it"),))
    declared = declared_in(config)
    if not declared:
        what = "nothing to register: neither [aws] with a [[defender.custom_metric]], nor a [[devrev.uom]]"
        raise ConfigError((Problem(path, 0, "", what),))
    return declared


def _attempts(one: Declared) -> Attempts:
    from thingmeter.clock import SystemClock
    from thingmeter.registration.child import Attempts

    return Attempts(one.job(GAP_S), SystemClock())


class _Memory:
    """What the device remembers of registrations, as long as this lasts; the outbox is open for moments only."""

    def __init__(self, outbox: Path) -> None:
        self._path = outbox
        self._news: dict[str, bytes] = {}

    def state(self, name: str) -> bytes | None:
        """Return what is remembered under ``name``."""
        with self._outbox() as outbox:
            return outbox.state(name) if outbox else None

    def put_state(self, state: Mapping[str, bytes]) -> None:
        """Keep it for ``save()``."""
        self._news.update(state)

    def save(self) -> None:
        """Leave what was learned to the agent, where that is possible."""
        with contextlib.suppress(OutboxError), self._outbox() as outbox:
            if outbox and self._news:
                outbox.put_state(self._news)

    @contextlib.contextmanager
    def _outbox(self) -> Iterator[Outbox | None]:
        """Yield the outbox where it is there, ours, and free.

        Root must not open that of a service's own user: it would leave files there that the service may not write.
        """
        from thingmeter.clock import SystemClock
        from thingmeter.config.settings import Outbox as OutboxSettings
        from thingmeter.outbox import Outbox

        outbox = None
        with contextlib.suppress(OSError, OutboxError):
            if self._path.stat().st_uid == os.geteuid():
                outbox = Outbox.open(self._path, limits=OutboxSettings(path=str(self._path)), clock=SystemClock())
        try:
            yield outbox
        finally:
            if outbox:
                outbox.close()


def _plan(one: Declared, standings: Standings, result: Result) -> None:
    known = standings.registered()
    for step in _attempts(one).plan(()):
        action = "unchanged" if step.action == "adopt" and step.name in known else step.action
        result.rows.append(Row(one.service, step.name, action, None, step.reason))
        if action == "conflict":
            result.codes.add(FAILED)


def _register(one: Declared, standings: Standings, result: Result) -> None:
    """Attempt, and attempt again when the service asks to wait; what is registered by then stays so."""
    known = standings.registered()
    rows: dict[str, Row] = {}
    try:
        for outcome in _outcomes(one):
            if outcome.name not in rows or outcome.action != "unchanged":
                row = Row(one.service, outcome.name, outcome.action, outcome.standing, outcome.reason)
                if row.action == "adopt" and row.name in known:
                    row = replace(row, action="unchanged")
                if rows.get(row.name) != row:
                    print(_progress(row), file=sys.stderr, flush=True)
                rows[row.name] = row
                standings.learn({outcome.name: outcome.standing}, outcome.reason)
        standings.attempted(one.account.version())
        standings.looked()
    finally:
        result.rows += rows.values()
        found = {row.standing for row in rows.values()}
        result.codes |= {PERMISSION} if "denied" in found else set()
        result.codes |= {FAILED} if found & {"conflict", "refused", "disabled"} else set()


def _outcomes(one: Declared) -> Iterator[Outcome]:
    attempts, done = _attempts(one), set[str]()
    for waits in range(MAXIMUM_WAITS + 1):
        try:
            for outcome in attempts.apply(done):
                if outcome.standing == "registered":
                    done.add(outcome.name)
                yield outcome
        except Throttled as error:
            if waits == MAXIMUM_WAITS or error.after_s > LONGEST_WAIT_S:
                raise
            print(f"{one.service}: {error}; going on in {error.after_s:.0f} s", file=sys.stderr, flush=True)
            threading.Event().wait(error.after_s)
        else:
            return


def _progress(row: Row) -> str:
    words = DONE_WORDS.get(row.action, row.action) if row.standing == "registered" else str(row.standing)
    return f"{row.service}: {row.name}: {words}" + (f": {row.reason}" if row.reason else "")


def _print_table(rows: list[Row]) -> None:
    if not rows:
        return
    table = [("SERVICE", "NAME", "PLAN", "STANDING", "REASON")]
    table += [(row.service, row.name, row.action, row.standing or "-", row.reason) for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    for line in table:
        cells = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=False))
        print("  ".join((*cells, line[4])).rstrip())


def _print_json(result: Result) -> None:
    import json

    print(json.dumps({"items": [asdict(row) for row in result.rows], "failures": result.failures}, indent=2))
