"""Programs to run in the place of an attempt, each with one habit."""

from __future__ import annotations

import sys

READY = "import json, os, sys, time; job = json.loads(sys.stdin.buffer.readline()); "
STEP = 'print(json.dumps({"step": {"name": "cpu", "action": "create", "reason": ""}}), flush=True); '
_CPU = '{"outcome": {"name": "cpu", "action": "create", "standing": "registered", "reason": ""}}'
OUTCOME = f"print({_CPU!r}, flush=True); "
DONE = """print('{"end": "done"}', flush=True); """
HANG = "time.sleep(600); "

Program = tuple[str, ...]


def program(*code: str) -> Program:
    """Return the command that takes the job, then runs ``code``."""
    return (sys.executable, "-c", READY + "".join(code))
