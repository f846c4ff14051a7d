"""Runs a scenario of these tests in a network namespace of its own, as any user. For tests marked ``needs_namespaces``.

What a scenario finds out it prints as JSON on its last line; the test decides whether that is right.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from end_to_end.agent import environment

TESTS = Path(__file__).parents[1]
UNSHARE = ("unshare", "--user", "--map-root-user", "--net")


def run_scenario(module: str, *arguments: str, timeout_s: float = 90) -> Any:
    """Run the module with the arguments; return what it printed, fail with its output when it failed."""
    outcome = subprocess.run(
        [*UNSHARE, sys.executable, "-m", f"end_to_end.{module}", *arguments],
        env=environment(PYTHONPATH=str(TESTS)),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert outcome.returncode == 0, f"{outcome.stdout}\n{outcome.stderr}"
    sys.stdout.write(outcome.stdout)  # shown when the test fails
    return json.loads(outcome.stdout.splitlines()[-1])


def ip(*arguments: str) -> None:
    """Run ip(8)."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    subprocess.run(["ip", *arguments], check=True, env={**os.environ, "PATH": path})
