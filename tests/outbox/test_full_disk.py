from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from outbox.opened import balance, open_outbox
from thingmeter.outbox import reserve

TESTS = Path(__file__).parents[1]
PROGRAM = TESTS / "outbox" / "on_small_disk.py"


def python_path() -> dict[str, str]:
    return {"PYTHONPATH": f"{TESTS.parent / 'agent'}:{TESTS}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def on_small_disk(scenario: str, folder: Path, size: str) -> dict[str, Any]:
    """Run a scenario where a tmpfs of ``size`` is mounted, in a namespace that goes away with it."""
    command = f'mount -t tmpfs -o size={size} none "$1" && exec "$2" "$3" "$4" "$1"'
    arguments = ["sh", str(folder), sys.executable, str(PROGRAM), scenario]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, *arguments],
        env=python_path(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def namespaces_work() -> bool:
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode == 0
    )


needs_namespaces = [
    pytest.mark.needs_namespaces,
    pytest.mark.skipif(not namespaces_work(), reason="no user namespaces here"),
]


class TestOnADiskThatIsFull:
    pytestmark = needs_namespaces

    @pytest.fixture(params=["1m", "2m", "4m"])
    def size(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_new_telemetry_takes_the_place_of_old(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("telemetry", tmp_path, size)

        assert found == {"newest_wait": True, "counted": True, "balance": 0}

    def test_usage_is_refused_and_can_still_be_acknowledged(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("usage", tmp_path, size)

        assert found == {"put": True, "kept": True, "acknowledged": True, "again": True, "balance": 0}

    def test_usage_takes_the_place_of_telemetry(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("usage_over_telemetry", tmp_path, size)

        assert found == {"usage": True, "telemetry_left": 0, "balance": 0}

    def test_everything_but_growing_works_when_others_filled_it(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("filled_by_others", tmp_path, size)

        every = dict.fromkeys(("replaced", "acknowledged", "set_aside", "state", "reserve"), True)
        assert found == {**every, "balance": 0}

    def test_the_outbox_opens_and_drains(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("reopened_when_full", tmp_path, size)

        assert found == {"rows": 0, "balance": 0}

    def test_usage_is_frozen_as_far_as_there_is_room_and_accounted_for(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("freezing", tmp_path, size)

        every = dict.fromkeys(("frozen", "again", "measured", "delivered"), True)
        assert found == {**every, "journal": 1, "balance": 0}

    def test_a_file_of_the_first_version_is_brought_up(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("first_version_when_full", tmp_path, size)

        assert found == {"waiting": 100, "left": 0, "damaged": 0, "balance": 0}

    def test_room_made_by_others_is_used_again(self, tmp_path: Path, size: str) -> None:
        found = on_small_disk("room_again", tmp_path, size)

        assert found == {"put": True, "reserve": True, "balance": 0}


def test_a_limit_on_file_sizes_refuses_as_a_full_disk_does(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from outbox.on_small_disk import *\n"
        "outbox = open_outbox(Path(sys.argv[1]), limits(maximum_bytes=1 << 26))\n"
        "print(usage_until_full(outbox), flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "outbox.db")],
        env=python_path(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000)),
    )

    outbox = open_outbox(tmp_path / "outbox.db")
    rows = [message.key for message in outbox.waiting("usage-sink", 999)]

    assert (rows, balance(outbox)) == ([str(number) for number in range(int(done.stdout))], 0)
    outbox.close()


def test_the_reserve_takes_up_its_space_on_the_disk(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "outbox.db")

    blocks = (tmp_path / "outbox.db.reserve").stat().st_blocks

    assert blocks * 512 >= reserve.RESERVE_BYTES
    outbox.close()
