"""Looks at the sockets of a place that is made for it, in a process of its own, and prints what is seen as JSON.

``look.py namespace``: in a new network namespace (run it by ``unshare --net --map-root-user``) it brings loopback up,
opens one socket of every sort, and prints what both ways of reading see, and the samples.
``look.py forbidden``: it forbids itself AF_NETLINK by seccomp, as systemd's RestrictAddressFamilies does, opens a
listener, and prints its port and the samples.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import platform
import socket
import struct
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3] / "agent"))

from thingmeter.collectors.sockets import SocketsCollector
from thingmeter.collectors.sockets.sock_diag import SockDiag
from thingmeter.collectors.sockets.tables import TableReader, Tables
from thingmeter.metrics import Connection, Listener

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
SYSCALL_SOCKET = {"x86_64": 41, "aarch64": 198, "riscv64": 198}


def bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        name, flags = struct.unpack("16sH22x", request)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | IFF_UP))


def open_everything(opened: ExitStack) -> None:
    """Open sockets of every sort, on ports that a new namespace has free."""

    def bound(family: int, kind: int, address: str, port: int, **options: int) -> socket.socket:
        """Return a socket with the options ``shared`` (SO_REUSEPORT), ``only_ipv6``, ``device`` (bound to lo)."""
        one = opened.enter_context(socket.socket(family, kind))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, options.get("shared", 0))
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, options.get("only_ipv6", 1))
        if "device" in options:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen()
        return one

    def connected(server: socket.socket, family: int, address: str, local_port: int) -> None:
        client = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
        client.bind((address, local_port))
        client.connect((address, server.getsockname()[1]))
        opened.enter_context(server.accept()[0])

    ipv4, ipv6, tcp, udp = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
    bound(ipv4, tcp, "0.0.0.0", 22)
    bound(ipv6, tcp, "::", 22)
    server4 = bound(ipv4, tcp, "127.0.0.1", 80)
    server6 = bound(ipv6, tcp, "::1", 81)
    dual = bound(ipv6, tcp, "::", 82, only_ipv6=0)
    for _ in range(3):
        bound(ipv4, tcp, "127.0.0.1", 83, shared=1)
    bound(ipv4, tcp, "0.0.0.0", 84, device=1)
    connected(server4, ipv4, "127.0.0.1", 5000)
    connected(server6, ipv6, "::1", 5001)
    connected(dual, ipv4, "127.0.0.2", 5002)
    bound(ipv4, udp, "127.0.0.53", 53)
    bound(ipv4, udp, "0.0.0.0", 68)
    bound(ipv6, udp, "::1", 54)
    bound(ipv6, udp, "::", 55, only_ipv6=0)
    for _ in range(2):
        bound(ipv4, udp, "127.0.0.1", 56, shared=1)
    bound(ipv4, udp, "127.0.0.1", 57).connect(("127.0.0.1", 56))
    bound(ipv6, udp, "::1", 58).connect(("::1", 54))


def forbid_netlink() -> None:
    """Let ``socket(AF_NETLINK, ...)`` fail in this process from now on. Source: seccomp(2)."""
    instructions = (
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 0, 3, SYSCALL_SOCKET[platform.machine()]),
        (0x20, 0, 0, 16),  # load the low half of its first argument
        (0x15, 0, 1, socket.AF_NETLINK),
        (0x06, 0, 0, SECCOMP_RET_ERRNO | errno.EAFNOSUPPORT),
        (0x06, 0, 0, SECCOMP_RET_ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in instructions))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(instructions), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


def refused(_: bytearray) -> SockDiag:
    raise PermissionError


def written(tables: Tables) -> dict[str, list[str]]:
    """Return every key in hex, without the bound interface, of which /proc/net knows nothing."""
    kinds = {"established": tables.established, "tcp": tables.tcp_listening, "udp": tables.udp_bound}
    return {
        f"{kind} {family}": sorted(key[:36].hex() for key in found)
        for kind, keys in kinds.items()
        for family, found in (("ipv4", keys.ipv4), ("ipv6", keys.ipv6))
    }


def described(one: Connection | Listener) -> str:
    if isinstance(one, Listener):
        return f"{one.port} {one.interface}"
    return f"{one.local_address} {one.local_port} {one.remote_address} {one.remote_port} {one.interface}"


def samples() -> dict[str, list[Any]]:
    """Return the values of one collect by metric; entries of lists as text."""
    seen: dict[str, list[Any]] = {}
    for sample in SocketsCollector().collect():
        value = sample.value
        if isinstance(value, tuple):
            seen[sample.metric.name] = [described(one) for one in value]
        else:
            seen.setdefault(sample.metric.name, []).append(value if sample.metric.type == "number" else str(value))
    return seen


def main() -> None:
    with ExitStack() as opened:
        if sys.argv[1] == "namespace":
            bring_loopback_up()
            open_everything(opened)
            answer = {
                "netlink": written(TableReader().read()),
                "proc": written(TableReader(open_sock_diag=refused).read()),
                "samples": samples(),
            }
        else:
            listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            forbid_netlink()
            answer = {"samples": samples(), "port": listener.getsockname()[1]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
