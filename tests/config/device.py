"""A device's configuration folder, with real files in it, to load and to break."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thingmeter.config import Config, load
from thingmeter.errors import ConfigError

THING = '[thing]\nname = "pump-7"\n'
TLS = '[mqtt.tls]\nca_file = "ca.pem"\ncertificate_file = "certificate.pem"\nprivate_key_file = "private-key.pem"\n'
MQTT = f'[mqtt]\nhost = "broker.example.com"\n{TLS}'
SMALLEST = THING + MQTT


@dataclass(frozen=True)
class Device:
    """A folder with ``thingmeter.toml`` and the files that it names."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: {"HOME": "/srv/pump"})

    @property
    def file(self) -> Path:
        return self.folder / "thingmeter.toml"

    def write(self, name: str, text: str | bytes, *, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def load(self, text: str | bytes, **environment: str) -> Config:
        self.write(self.file.name, text)
        return load(self.file, environment={**self.environment, **environment})

    def problems(self, text: str | bytes, **environment: str) -> list[str]:
        """Return what is wrong with ``text``, this folder's name left out."""
        try:
            self.load(text, **environment)
        except ConfigError as error:
            return [
                str(problem).replace(f"{self.folder}/", "").replace(str(self.folder), "FOLDER")
                for problem in error.problems
            ]
        return []


def told_without_privilege(file: Path) -> str:
    """Return what ``check`` says of ``file`` to someone whom file modes bind, as they do not bind root."""
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    check = [*bound, sys.executable, "-m", "thingmeter", "check", "-c", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "agent")}
    return subprocess.run(check, capture_output=True, text=True, env=environment, check=False).stderr


def device_in(folder: Path) -> Device:
    """Return a device whose certificate, authority, key, password and token files are there."""
    device = Device(folder)
    for name in ("ca.pem", "certificate.pem", "private-key.pem", "proxy-password", "devrev-token"):
        device.write(name, "PEM")
    return device
