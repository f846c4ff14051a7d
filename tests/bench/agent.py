"""What a whole agent costs while it runs, beside a process that only keeps an MQTT connection open.

    python tests/bench/agent.py [seconds]

Both connect to a sandbox over mutual TLS with paho. The agent runs as configured by nobody: every collector each 10 s,
a report each 300 s. Prints memory (resident and unique, MiB), CPU time and context switches a minute, and the time from
the start of the process to its first accepted report, each with its ratio to the bare client where it has one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.limits import Limits

WARM_UP_S = 5.0
CONFIGURATION = """\
[thing]
name = "measured"
[mqtt]
host = "{host}"
port = {port}
[mqtt.tls]
ca_file = "{ca}"
certificate_file = "{certificate}"
private_key_file = "{key}"
[defender]
[outbox]
path = "outbox.db"
"""
BARE_CLIENT = """\
import ssl, sys
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
host, port, name, ca, certificate, key = sys.argv[1:]
client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
client.tls_set(ca, certificate, key)
client.connect(host, int(port), keepalive=300)
client.loop_forever()
"""


@dataclass(frozen=True)
class Cost:
    """Of one process: MiB of memory, seconds of CPU and context switches since it was last asked."""

    resident: float
    unique: float
    cpu_s: float
    switches: int


def cost_of(process: psutil.Process) -> Cost:
    """Return what the process costs so far."""
    memory, times = process.memory_full_info(), process.cpu_times()
    switches = sum(
        int(line.split()[1])
        for status in Path(f"/proc/{process.pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
    return Cost(memory.rss / 2**20, memory.uss / 2**20, times.user + times.system, switches)


def measure(sandbox: Sandbox, folder: Path, seconds: float) -> None:
    """Run both side by side and print the table."""
    credentials = {thing: sandbox.credentials(thing) for thing in ("measured", "bare")}
    files = {
        thing: (str(sandbox.ca_file), str(one.certificate_file), str(one.private_key_file))
        for thing, one in credentials.items()
    }
    ca, certificate, key = files["measured"]
    toml = CONFIGURATION.format(host=sandbox.host, port=sandbox.port, ca=ca, certificate=certificate, key=key)
    (folder / "thingmeter.toml").write_text(toml)
    bare_line = [sys.executable, "-c", BARE_CLIENT, sandbox.host, str(sandbox.port), "bare", *files["bare"]]
    agent_line = [sys.executable, "-m", "thingmeter", "run", "-c", str(folder / "thingmeter.toml")]
    start = time.monotonic()
    with (folder / "log").open("w") as log, subprocess.Popen(agent_line, stderr=log) as agent:
        sandbox.verdicts.wait(1, timeout_s=30)
        first_s = time.monotonic() - start
        with subprocess.Popen(bare_line) as bare:
            threading.Event().wait(WARM_UP_S)
            processes = {"agent": psutil.Process(agent.pid), "bare client": psutil.Process(bare.pid)}
            before = {name: cost_of(process) for name, process in processes.items()}
            threading.Event().wait(seconds)
            after = {name: cost_of(process) for name, process in processes.items()}
            bare.terminate()
        agent.terminate()
    minutes = seconds / 60
    print_table(before, after, minutes)
    sys.stdout.write(f"{'start to first accepted report':32} {first_s:10.2f} s\n")


def print_table(before: dict[str, Cost], after: dict[str, Cost], minutes: float) -> None:
    """Print one line for each figure: agent, bare client, ratio."""
    rows = {
        "resident memory, MiB": {name: one.resident for name, one in after.items()},
        "unique memory, MiB": {name: one.unique for name, one in after.items()},
        "CPU, ms a minute": {name: (after[name].cpu_s - before[name].cpu_s) / minutes * 1e3 for name in after},
        "context switches a minute": {name: (after[name].switches - before[name].switches) / minutes for name in after},
    }
    sys.stdout.write(f"{'':32} {'agent':>10} {'bare client':>12} {'ratio':>8}\n")
    for row, values in rows.items():
        agent, bare = values["agent"], values["bare client"]
        ratio = f"{agent / bare:8.2f}" if bare else "       -"
        sys.stdout.write(f"{row:32} {agent:10.1f} {bare:12.1f} {ratio}\n")


def main() -> None:
    """Measure for a minute, or as many seconds as the command line says."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(minimum_interval_s=0, limits=Limits(connect_interval_s=0))
        with Sandbox(Path(name) / "box", things=("measured", "bare"), settings=settings) as sandbox:
            measure(sandbox, Path(name), seconds)


if __name__ == "__main__":
    main()
