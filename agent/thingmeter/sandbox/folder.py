"""The folder that a sandbox lives in: its authority, everyone's credentials, the port it keeps, and who has it now.

DIR/ca/ca.pem ca.key        the authority
DIR/server/                 the broker's certificate
DIR/things/NAME.pem .key    the certificate of each thing, and the operator's
DIR/ports.json              the port chosen at the first start
DIR/report_ids.json         the last report_id of each thing
DIR/thingmeter.toml         a configuration for the agent
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thingmeter.sandbox.authority import Authority, Credentials
from thingmeter.sandbox.errors import FolderInUse

HOST = "localhost"
SERVER_HOSTS = (HOST, "127.0.0.1", "::1")


class Folder:
    """Paths in a sandbox's folder, and what is kept in them. The folder is its owner's alone (mode 0700)."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.report_ids_file = self.path / "report_ids.json"
        self.configuration_file = self.path / "thingmeter.toml"
        self.agent_log = self.path / "agent.log"
        self._ports_file = self.path / "ports.json"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the folder; nobody else can meanwhile.

        Raises:
            FolderInUse: another sandbox holds it, in this process or another.
        """
        with (self.path / "lock").open("a+", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                raise FolderInUse(f"a sandbox already runs on {self.path} (process {owner})") from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def authority(self) -> Authority:
        """Return the authority, made at first need."""
        return Authority.open(self.path / "ca")

    def server_credentials(self, authority: Authority) -> Credentials:
        """Return the broker's certificate, made anew when it can't be used any more."""
        return authority.ensure("server", self.path / "server", hosts=SERVER_HOSTS)

    def thing_credentials(self, authority: Authority, name: str) -> Credentials:
        """Return the certificate of a thing, made anew when it can't be used any more."""
        return authority.ensure(name, self.path / "things")

    def configuration_of(self, thing: str, *, first: bool) -> Path:
        """Return where a thing's configuration is; the first thing has ``thingmeter.toml``."""
        return self.configuration_file if first else self.path / f"{thing}.toml"

    def port(self) -> int:
        """Return the port that was used before, or 0."""
        try:
            port = json.loads(self._ports_file.read_text("utf-8"))["mqtt"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0
        return port if isinstance(port, int) and 0 < port < 1 << 16 else 0

    def keep_port(self, port: int) -> None:
        """Remember the port for the next start."""
        self._ports_file.write_text(json.dumps({"mqtt": port}) + "\n", "utf-8")

    def forget_port_words(self) -> str:
        """Return how to get another port."""
        return f"stop that program, or remove {self._ports_file} to have another port chosen"
