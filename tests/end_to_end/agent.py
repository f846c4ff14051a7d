"""The agent as its users run it: a process of its own, with a configuration file, a log and an outbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from brokers import PATIENCE_S, Lines, Mosquitto
from thingmeter.clock import SystemClock
from thingmeter.config import settings
from thingmeter.outbox import Outbox

SOURCE = Path(__file__).parents[2] / "agent"
STOP_S = 5  # what the agent promises for SIGTERM

COLLECTORS = """
[collectors.cpu]
interval_s = 1
[collectors.network]
interval_s = 1
[collectors.sockets]
interval_s = 1
"""

CUSTOM_METRICS = """
[[defender.custom_metric]]
name = "cpu_usage"
type = "number"
from = "cpu.usage_percent"
aggregate = "mean"
[[defender.custom_metric]]
name = "cpu_usages"
type = "number-list"
from = "cpu.usage_percent"
[[defender.custom_metric]]
name = "listeners"
type = "string-list"
from = "sockets.local_listener"
[[defender.custom_metric]]
name = "peers"
type = "ip-address-list"
from = "sockets.remote_address"
"""


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with the agent's source in front, and ``changes``."""
    path = os.pathsep.join(filter(None, (changes.pop("PYTHONPATH", ""), str(SOURCE))))
    return {**os.environ, "PYTHONPATH": path, **changes}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "thingmeter", *arguments]


@dataclass
class Settings:
    """What a test's configuration says; ``text()`` is the file."""

    mqtt: settings.Mqtt
    folder: Path
    thing: str
    interval_s: int = 1
    minimum_interval_s: int = 1
    format: str = "json"
    names: str = "long"
    defender: str = ""
    collectors: str = COLLECTORS
    outbox: str = ""
    tls: Mapping[str, Path] = field(default_factory=dict)

    def text(self) -> str:
        tls = {
            name: str(self.tls.get(name, getattr(self.mqtt.tls, name)))
            for name in ("ca_file", "certificate_file", "private_key_file")
        }
        return "\n".join(
            [
                f'[thing]\nname = "{self.thing}"',
                f'[mqtt]\nclient = "{self.mqtt.client}"\nhost = "{self.mqtt.host}"\nport = {self.mqtt.port}',
                f'client_id = "{self.mqtt.client_id}"\nkeep_alive_s = 30\nstatus_topic = "status/{{thing}}"',
                "[mqtt.tls]",
                *(f'{name} = "{path}"' for name, path in tls.items()),
                f"[defender]\ninterval_s = {self.interval_s}\nminimum_interval_s = {self.minimum_interval_s}",
                f'format = "{self.format}"\nnames = "{self.names}"',
                self.defender,
                f'[outbox]\npath = "{self.folder / "outbox.db"}"',
                self.outbox,
                self.collectors,
            ]
        )


class Agent:
    """One agent; ``start`` may be called again after its end. Its log is printed when the test is over."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.file = config.folder / "thingmeter.toml"
        self.environment: Mapping[str, str] = {}
        self.logs: list[Lines] = []
        self._process: subprocess.Popen[str] | None = None
        config.folder.mkdir(parents=True, exist_ok=True)
        self.write()

    @property
    def thing(self) -> str:
        return self.config.thing

    @property
    def log(self) -> Lines:
        """What the newest process has written."""
        return self.logs[-1]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def write(self, text: str | None = None) -> None:
        """Write the configuration file: what the settings say, or ``text``."""
        self.file.write_text(self.config.text() if text is None else text)

    def start(self, *arguments: str) -> None:
        """Start it; its end is the test's own business."""
        self._process = subprocess.Popen(
            command("run", "-c", str(self.file), *arguments),
            env=environment(**self.environment),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self.logs.append(Lines(self._process.stderr))

    def wait_for(self, part: str, count: int = 1, timeout_s: float = PATIENCE_S) -> list[str]:
        """Return the first ``count`` lines of the log that contain ``part``; fail when they do not come."""
        return self.log.wait_for(lambda line: part in line, count, timeout_s)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Return the exit code; fail when it does not end."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        self.log.join()
        return code

    def outlives(self, seconds: float) -> bool:
        """Let the agent work for a while; return whether it still runs after that."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def stop(self) -> int:
        """End it as systemd does, within the time that it promises; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(STOP_S)

    def kill(self) -> None:
        """End it like a power cut."""
        self.signal(signal.SIGKILL)
        self.wait()

    def close(self) -> None:
        if self.is_running:
            self.kill()
        for number, log in enumerate(self.logs):
            sys.stdout.write(f"--- log of agent {self.thing}, process {number + 1}\n{log.text()}\n")

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """Open the outbox that the agent left behind."""
        assert not self.is_running
        path = self.config.folder / "outbox.db"
        outbox = Outbox.open(path, limits=settings.Outbox(path=str(path)), clock=SystemClock())
        try:
            yield outbox
        finally:
            outbox.close()

    def counts(self) -> Mapping[str, int]:
        """Return what became of every report, as the outbox that the agent left behind has it."""
        with self.outbox() as outbox:
            return outbox.counts("defender")


@dataclass
class Agents:
    """Makes agents, each with a thing and a folder of its own, that are ended after the test."""

    folder: Path
    client: str = "paho"
    made: list[Agent] = field(default_factory=list)

    def at(self, broker: Mosquitto, thing: str = "", **changes: object) -> Agent:
        """Return an agent for ``broker``, not yet started."""
        name = thing or f"pump-{os.urandom(4).hex()}"
        mqtt = broker.settings(name, client=self.client)
        return self.make(Settings(mqtt=mqtt, folder=self.folder / f"{name}-{len(self.made)}", thing=name, **changes))  # type: ignore[arg-type]

    def make(self, config: Settings) -> Agent:
        agent = Agent(config)
        self.made.append(agent)
        return agent

    def close(self) -> None:
        for agent in self.made:
            agent.close()


def run(*arguments: str, timeout_s: float = PATIENCE_S, **changes: str) -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end."""
    return subprocess.run(
        command(*arguments), env=environment(**changes), capture_output=True, check=False, timeout=timeout_s
    )
