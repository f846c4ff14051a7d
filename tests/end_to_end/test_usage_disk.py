"""A state directory without room costs no usage as long as the agent runs, and makes none twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from end_to_end.agent import environment

TESTS = Path(__file__).parents[1]
ON_A_SMALL_DISK = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -m end_to_end.usage_on_small_disk "$3" "$1" "$4"'

pytestmark = [pytest.mark.needs_namespaces, pytest.mark.long]


def on_small_disk(scenario: str, folder: Path) -> Any:
    """Run a scenario with a tmpfs of 1 MB as the agent's state directory; return what it found."""
    state, work = folder / "state", folder / "work"
    state.mkdir()
    work.mkdir()
    arguments = ["sh", str(state), sys.executable, scenario, str(work)]
    outcome = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, *arguments],
        env=environment(PYTHONPATH=str(TESTS), NO_PROXY="localhost,127.0.0.1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert outcome.returncode == 0, f"{outcome.stdout}\n{outcome.stderr}"
    sys.stdout.write(outcome.stdout)  # shown when the test fails
    return json.loads(outcome.stdout.splitlines()[-1])


@pytest.mark.parametrize("scenario", ["filled_while_online", "filled_while_offline", "filled_by_the_backlog"])
def test_with_room_again_all_that_was_measured_on_a_full_disk_is_billed_once(scenario: str, tmp_path: Path) -> None:
    found = on_small_disk(scenario, tmp_path)

    assert found == {"lost": [], "repeated": [], "delivered": True}


def test_stopped_on_a_full_disk_the_agent_repeats_nothing(tmp_path: Path) -> None:
    found = on_small_disk("filled_at_the_end", tmp_path)

    assert (found["repeated"], found["delivered"]) == ([], True)
