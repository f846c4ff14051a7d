"""The folder that a sandbox lives in: its authority, everyone's credentials, the ports it keeps, and who has it now.

DIR/ca/ca.pem ca.key        the authority
DIR/server/                 the certificate of the broker and of the HTTPS services
DIR/things/NAME.pem .key    the certificate of each thing, and the operator's
DIR/ports.json              the ports chosen at the first start
DIR/aws-credentials         the operator's access key, in the form of ~/.aws/credentials
DIR/devrev-token            the token that DevRev takes
DIR/report_ids.json         the last report_id of each thing
DIR/thingmeter.toml         a configuration for the agent
"""

from __future__ import annotations

import configparser
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from thingmeter.sandbox.authority import Authority, Credentials
from thingmeter.sandbox.control_plane.keys import AccessKey, new_key
from thingmeter.sandbox.errors import FolderInUse
from thingmeter.sandbox.policy import OPERATOR

HOST = "localhost"
SERVER_HOSTS = (HOST, "127.0.0.1", "::1")


class Folder:
    """Paths in a sandbox's folder, and what is kept in them. The folder is its owner's alone (mode 0700)."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.report_ids_file = self.path / "report_ids.json"
        self.configuration_file = self.path / "thingmeter.toml"
        self.agent_log = self.path / "agent.log"
        self.aws_credentials_file = self.path / "aws-credentials"
        self.devrev_token_file = self.path / "devrev-token"
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

    def operator_key(self) -> AccessKey:
        """Return the access key of the operator, made at first need."""
        found = configparser.ConfigParser(interpolation=None)
        try:
            found.read_string(self.aws_credentials_file.read_text("utf-8"))
            profile = found["default"]
            return AccessKey(profile["aws_access_key_id"], profile["aws_secret_access_key"], OPERATOR)
        except (FileNotFoundError, UnicodeDecodeError, configparser.Error, KeyError):
            key = new_key(OPERATOR)
        lines = ("[default]", f"aws_access_key_id = {key.id}", f"aws_secret_access_key = {key.secret}")
        _write_secret(self.aws_credentials_file, "\n".join(lines))
        return key

    def devrev_token(self) -> str:
        """Return the token for DevRev, made at first need."""
        try:
            token = self.devrev_token_file.read_text("ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            token = ""
        if not token:
            token = secrets.token_urlsafe(24)
            _write_secret(self.devrev_token_file, token)
        return token

    def port(self, service: str) -> int:
        """Return the port that a service had before, or 0."""
        port = self._ports().get(service)
        return port if isinstance(port, int) and 0 < port < 1 << 16 else 0

    def keep_port(self, service: str, port: int) -> None:
        """Remember the port of a service for the next start."""
        if self.port(service) != port:
            self._ports_file.write_text(json.dumps({**self._ports(), service: port}) + "\n", "utf-8")

    def forget_port_words(self) -> str:
        """Return how to get another port."""
        return f"stop that program, or remove {self._ports_file} to have another port chosen"

    def _ports(self) -> Mapping[str, object]:
        try:
            ports = json.loads(self._ports_file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return ports if isinstance(ports, dict) else {}


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # so that the mode is that of its birth
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{text}\n")
