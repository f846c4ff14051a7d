"""A scenario: a machine with 10,000 TCP sockets, and what ``thingmeter once`` says of them.

Prints {"sockets": N, "listening": N, "established": N, "payload": HEX}; the counts are the kernel's, from /proc/net.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
from collections import Counter
from pathlib import Path

from end_to_end.agent import run
from end_to_end.namespace import ip

LISTENERS = 3000
CONNECTIONS = 3500  # each is two sockets
FIRST_PORT = 2000
ESTABLISHED, LISTEN = "01", "0A"  # include/net/tcp_states.h of Linux
SPARE = 200  # other files

CONFIGURATION = """
[thing]
name = "pump-7"
[mqtt]
host = "localhost"
[mqtt.tls]
ca_file = "{pem}"
certificate_file = "{pem}"
private_key_file = "{pem}"
[defender]
format = "json"
names = "long"
maximum_ports = 1000
maximum_connections = 1000
[[defender.custom_metric]]
name = "listeners"
type = "string-list"
from = "sockets.local_listener"
[collectors.network]
[collectors.sockets]
maximum_addresses = 1000
"""


def allowed() -> bool:
    """Let this process open as many files as it may; return whether that is enough."""
    wanted = LISTENERS + 2 * CONNECTIONS + SPARE
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


def open_sockets() -> list[socket.socket]:
    listeners = []
    for number in range(LISTENERS):
        host = "0.0.0.0" if number % 2 else "127.0.0.1"
        listeners.append(socket.create_server((host, FIRST_PORT + number), backlog=16))
    connections = []
    for _ in range(CONNECTIONS):
        connections.append(socket.create_connection(("127.0.0.1", FIRST_PORT), timeout=5))
        accepted, _ = listeners[0].accept()
        connections.append(accepted)
    return [*listeners, *connections]


def states() -> Counter[str]:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return Counter(row.split()[3] for row in rows)


def main(folder: Path) -> None:
    if not allowed():
        json.dump(None, sys.stdout)
        return
    ip("link", "set", "lo", "up")
    pem = folder / "pem"
    pem.write_text("PEM")
    pem.chmod(0o600)
    file = folder / "thingmeter.toml"
    file.write_text(CONFIGURATION.format(pem=pem))
    opened = open_sockets()
    outcome = run("once", "--raw", "-c", str(file))
    found = states()
    sys.stderr.buffer.write(outcome.stderr)
    counted = {"sockets": len(opened), "listening": found[LISTEN], "established": found[ESTABLISHED]}
    json.dump({**counted, "payload": outcome.stdout.hex()}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
