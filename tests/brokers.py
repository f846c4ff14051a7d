"""A real Mosquitto with mutual TLS and an ACL per thing, and an observer that shares no code with the agent.

A plugin of pytest, loaded by conftest.py. Every broker listens on loopback, on a port that was free a moment ago and
stays the same over its restarts.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from thingmeter.config.settings import Mqtt, Tls
from thingmeter.sandbox.authority import Authority

pytest_plugins = ["mqtt.clients"]

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
OBSERVER = shutil.which("mosquitto_sub")
OBSERVER_NAME = "observer"
PATIENCE_S = 20.0  # an upper bound for a busy machine; no test takes nearly as long

# %u is the common name of the client's certificate.
ACL = f"""\
user {OBSERVER_NAME}
topic readwrite #
topic readwrite $aws/#
pattern readwrite things/%u/#
pattern readwrite status/%u
pattern write $aws/things/%u/defender/metrics/+
pattern read $aws/things/%u/defender/metrics/+/accepted
pattern read $aws/things/%u/defender/metrics/+/rejected
"""


class Lines:
    """The lines of a process's output, read by a thread, so that a test can wait for one of them."""

    def __init__(self, stream: IO[str]) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(stream,), name="lines", daemon=True)
        self._thread.start()

    def wait_for(self, wanted: Callable[[str], bool], count: int = 1, timeout_s: float = PATIENCE_S) -> list[str]:
        """Return the first ``count`` lines that are wanted; fail when they do not come."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._matching(wanted)) >= count, timeout_s)
            found = self._matching(wanted)[:count]
            assert len(found) == count, "\n".join(["what was waited for is not in the output:", *self._lines[-40:]])
            return found

    def text(self) -> str:
        with self._changed:
            return "\n".join(self._lines)

    def join(self) -> None:
        self._thread.join(PATIENCE_S)

    def _matching(self, wanted: Callable[[str], bool]) -> list[str]:
        return [line for line in self._lines if wanted(line)]

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Observer:
    """A ``mosquitto_sub`` that is subscribed when it is handed out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self._lines = Lines(process.stdout)

    def messages(self, count: int) -> list[tuple[str, bytes]]:
        """Return the first ``count`` messages as topic and payload; fail when they do not come."""
        lines = self._lines.wait_for(lambda line: line.startswith("message\t"), count)
        parts = [line.split("\t") for line in lines]
        return [(topic, bytes.fromhex(payload)) for _, topic, payload in parts]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._lines.join()


class Mosquitto:
    """One broker; ``host`` is a name in its certificate."""

    host = "localhost"

    def __init__(self, folder: Path, *, extra: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.authority = Authority.open(folder / "authority")
        self.log: Lines
        self._process: subprocess.Popen[str] | None = None
        self._observers: list[Observer] = []
        server = self.authority.issue("broker", folder / "broker", hosts=[self.host, "127.0.0.1"])
        (folder / "acl").write_text(ACL)
        (folder / "acl").chmod(0o700)
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {self.port} 127.0.0.1\n"
            f"cafile {self.authority.ca_file}\n"
            f"certfile {server.certificate_file}\n"
            f"keyfile {server.private_key_file}\n"
            "require_certificate true\n"
            "use_identity_as_username true\n"
            "allow_anonymous false\n"
            f"acl_file {folder / 'acl'}\n"
            "persistence false\n"
            "log_dest stderr\n"
            "log_type all\n"
            + ("user root\n" if os.geteuid() == 0 else "")  # else it drops to a user who cannot read the folder
            + extra
        )

    def start(self) -> None:
        """Start, or start again on the same port; return once it listens."""
        assert PROGRAM is not None
        assert self._process is None
        self._process = subprocess.Popen(
            [PROGRAM, "-c", str(self._configuration)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self._process.stderr is not None
        self.log = Lines(self._process.stderr)
        self.log.wait_for(lambda line: line.endswith(" running"))
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S):
            # only when it answers does its loop run; a SIGTERM before that would be lost on it
            self.log.wait_for(lambda line: "New connection from" in line)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, in good order or (SIGKILL) not; nothing happens when it does not run."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(PATIENCE_S)
        self.log.join()
        self._process = None

    def kill(self) -> None:
        """End it like a power cut."""
        self.stop(signal.SIGKILL)

    def suspend(self) -> None:
        """Make it deaf and dumb while its sockets stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def settings(self, thing: str, *, client: str = "paho", status_topic: str = "", keep_alive_s: int = 300) -> Mqtt:
        """Return settings for ``thing``, with a certificate of its own."""
        own = self.authority.issue(thing, self.folder / "things")
        return Mqtt(
            client="awscrt" if client == "awscrt" else "paho",
            host=self.host,
            port=self.port,
            client_id=thing,
            keep_alive_s=keep_alive_s,
            status_topic=status_topic,
            tls=Tls(
                ca_file=str(self.authority.ca_file),
                certificate_file=str(own.certificate_file),
                private_key_file=str(own.private_key_file),
            ),
        )

    def observe(self, *filters: str) -> Observer:
        """Return an observer subscribed to ``filters``; it may read everything."""
        assert OBSERVER is not None
        own = self.authority.ensure(OBSERVER_NAME, self.folder / "things")
        name = f"{OBSERVER_NAME}-{uuid.uuid4().hex[:8]}"
        process = subprocess.Popen(
            [
                OBSERVER,
                *("-h", self.host, "-p", str(self.port), "-i", name, "-q", "1", "-F", "message\t%t\t%x"),
                *("--cafile", str(self.authority.ca_file)),
                *("--cert", str(own.certificate_file), "--key", str(own.private_key_file)),
                *(part for filter_ in filters for part in ("-t", filter_)),
            ],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        observer = Observer(process)
        self._observers.append(observer)
        self.log.wait_for(lambda line: f"Sending SUBACK to {name}" in line)
        return observer

    def close(self) -> None:
        for observer in self._observers:
            observer.close()
        self.kill()


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Yield a running broker; skip where none is installed."""
    if PROGRAM is None or OBSERVER is None:
        pytest.skip("mosquitto and mosquitto_sub are not installed (Debian packages mosquitto, mosquitto-clients)")
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.close()
