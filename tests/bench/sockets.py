"""What one look at 10,000 sockets costs: the sockets collector beside ``ss -tuan`` and ``psutil.net_connections()``.

    python tests/bench/sockets.py [sockets] [ipv4 | ipv6 | mapped]

Opens the sockets on loopback in a child process and prints CPU time (user and system) in milliseconds, the lowest of
several rounds taken in turn, so that a busy machine is unfair to none. Needs a hard limit of open files
(``ulimit -Hn``) above the number.
"""

from __future__ import annotations

import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import psutil

from thingmeter.collectors.sockets import SocketsCollector
from thingmeter.collectors.sockets.sock_diag import SockDiag
from thingmeter.collectors.sockets.tables import TableReader

ROUNDS = 10
ADDRESSES = {"ipv4": ("127.0.0.1", "127.0.0.1"), "ipv6": ("::1", "::1"), "mapped": ("::", "127.0.0.1")}


def hold(count: int, kind: str) -> None:
    """Open ``count`` sockets (connections in pairs), say so on stdout, and keep them until stdin ends."""
    local, remote = ADDRESSES[kind]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as opened:
        listener = opened.enter_context(
            socket.create_server(
                (local, 0),
                family=socket.AF_INET if kind == "ipv4" else socket.AF_INET6,
                dualstack_ipv6=kind == "mapped",
                backlog=16,
            )
        )
        port = listener.getsockname()[1]
        for _ in range(count // 2):
            opened.enter_context(socket.create_connection((remote, port)))
            opened.enter_context(listener.accept()[0])
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


def _own_ms(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return (time.process_time() - start) * 1e3


def _child_ms(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3


def _no_netlink(_: bytearray) -> SockDiag:
    raise PermissionError


def measure() -> None:
    """Print the table."""
    steady = SocketsCollector()
    seen = {sample.metric.name: sample.value for sample in steady.collect()}
    fallback = TableReader(open_sock_diag=_no_netlink)
    ways: dict[str, Callable[[], float]] = {
        "sockets collector": lambda: _own_ms(lambda: list(steady.collect())),
        "sockets collector, first time": lambda: _own_ms(lambda: list(SocketsCollector().collect())),
        "tables by netlink": lambda: _own_ms(TableReader().read),
        "tables by /proc/net": lambda: _own_ms(fallback.read),
        "psutil.net_connections": lambda: _own_ms(lambda: psutil.net_connections("inet")),
    }
    if ss := shutil.which("ss"):
        ways["ss -tuan"] = lambda: _child_ms([ss, "-tuan"])
    lowest = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for way, cost_ms in ways.items():
            lowest[way] = min(lowest[way], cost_ms())
    sys.stdout.write(f"{seen['connection_count']} connections\n")
    for way, least_ms in lowest.items():
        sys.stdout.write(f"{way:32} {least_ms:8.1f} ms  {least_ms / lowest['sockets collector']:6.2f} x\n")


def main() -> None:
    """Run the child's part or the parent's."""
    count, kind, *role = [*sys.argv[1:], *("10000", "ipv4")[len(sys.argv) - 1 :]]
    if role:
        hold(int(count), kind)
        return
    with subprocess.Popen(
        [sys.executable, __file__, count, kind, "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        if not holder.stdout.readline():
            sys.exit("the sockets could not be opened; see above")
        measure()


if __name__ == "__main__":
    main()
