"""Steps the wall clock of a real process: clock_shim.c, compiled and at hand. For tests marked ``needs_compiler``."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


class ClockShim:
    """A compiled shim and the file that holds its shift; every process with ``environment()`` follows it."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or pytest.skip("no C compiler (Debian package gcc)")
        self.shim = folder / "clock_shim.so"
        self.file = folder / "clock_shim.shift"
        self.step_to(0)
        command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", str(self.shim), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the shim preloaded."""
        return {**os.environ, "LD_PRELOAD": str(self.shim), "CLOCK_SHIM_FILE": str(self.file)}

    def step_to(self, seconds: float) -> None:
        """Let the wall clock be ``seconds`` ahead of the machine's from now on (behind, when negative)."""
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("=q", round(seconds * 1e9)))


@pytest.fixture
def clock_shim(tmp_path: Path) -> ClockShim:
    return ClockShim(tmp_path)
