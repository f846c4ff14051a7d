"""Sockets from ``/proc/net/{tcp,tcp6,udp,udp6}``, for where netlink cannot be used.

Costs several times as much, and does not say which interface a socket is bound to; otherwise what it returns equals
``sock_diag``. Source: Documentation/networking/proc_net_tcp.rst; get_tcp4_sock() in net/ipv4/tcp_ipv4.c.
"""

from __future__ import annotations

import socket
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from thingmeter.collectors.sockets.key import NO_INTERFACE, Key, KeysByState
from thingmeter.errors import CollectError

_NAMES: dict[tuple[int, int], str] = {
    (socket.IPPROTO_TCP, socket.AF_INET): "tcp",
    (socket.IPPROTO_TCP, socket.AF_INET6): "tcp6",
    (socket.IPPROTO_UDP, socket.AF_INET): "udp",
    (socket.IPPROTO_UDP, socket.AF_INET6): "udp6",
}
_ADDRESS_BYTES = 16


def read(proc: Path, protocol: int, family: int, states: Iterable[int]) -> KeysByState:
    """Return the keys of all sockets of ``protocol`` and ``family`` that are in one of ``states``.

    A kernel without IPv6 has neither file of it and no such sockets: the answer is empty.

    Raises:
        CollectError: the file is missing or hidden, or no socket table.
    """
    path = proc / "net" / _NAMES[protocol, family]
    wanted = {b"%02X" % state for state in states}
    found: defaultdict[int, set[Key]] = defaultdict(set)
    try:
        with path.open("rb") as table:
            next(table, None)  # the names of the columns
            for line in table:
                _, local, remote, state, _ = line.split(None, 4)
                if state in wanted:
                    found[int(state, 16)].add(_key(local, remote))
    except FileNotFoundError as error:
        if family == socket.AF_INET6:
            return found
        raise CollectError(f"{path} is missing, and netlink cannot be used") from error
    except OSError as error:
        raise CollectError(f"{path} cannot be read ({error.strerror}), and netlink cannot be used") from error
    except ValueError as error:
        raise CollectError(f"{path} is no table of sockets") from error
    return found


def _key(local: bytes, remote: bytes) -> Key:
    local_address, _, local_port = local.partition(b":")
    remote_address, _, remote_port = remote.partition(b":")
    ports = bytes.fromhex((local_port + remote_port).decode("ascii"))
    return ports + _packed(local_address) + _packed(remote_address) + NO_INTERFACE


def _packed(address: bytes) -> bytes:
    """Return 16 bytes in network order; the kernel prints each 32 bits as a number of the machine's byte order."""
    packed = bytes.fromhex(address.decode("ascii"))
    if sys.byteorder == "little":
        packed = b"".join(packed[at : at + 4][::-1] for at in range(0, len(packed), 4))
    return packed.ljust(_ADDRESS_BYTES, b"\0")
