"""An agent as a child process of the sandbox, with a log file of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

STOP_TIMEOUT_S = 5.0
LAST_LINES = 20
LAST_BYTES = 16_384


class AgentProcess:
    """Runs ``thingmeter run`` until it ends or is stopped.

    Args:
        configuration: its TOML file.
        log_file: gets what it prints; an older log is written over.
        ended: called with itself and the exit code, on a thread of its own, when the agent ends unasked.
    """

    def __init__(self, configuration: Path, log_file: Path, ended: Callable[[AgentProcess, int], None]) -> None:
        self._log_file = log_file
        self._ended = ended
        self._stopping = threading.Event()
        setpriv = shutil.which("setpriv")  # of util-linux: ends the agent when a kill -9 ends the sandbox
        with_parent = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with log_file.open("wb") as log:
            # Its own session: Ctrl-C in a terminal goes to the whole group, and the agent is to end by SIGTERM alone.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and package
                [*with_parent, sys.executable, "-m", "thingmeter", "run", "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watcher = threading.Thread(target=self._watch, name="agent watcher", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End the agent: SIGTERM, and SIGKILL to one that is still there 5 s later."""
        self._stopping.set()
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watcher.join()

    def last_lines(self) -> list[str]:
        """Return the end of its log."""
        with self._log_file.open("rb") as log:
            log.seek(max(0, self._log_file.stat().st_size - LAST_BYTES))
            return list(deque(log.read().decode("utf-8", "replace").splitlines(), maxlen=LAST_LINES))

    def _watch(self) -> None:
        code = self._process.wait()
        if not self._stopping.is_set():
            self._ended(self, code)
