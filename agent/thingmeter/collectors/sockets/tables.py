"""The socket tables of this machine, each from netlink, or from /proc/net where netlink cannot give it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from thingmeter.collectors.sockets import proc_net
from thingmeter.collectors.sockets.key import CLOSE, ESTABLISHED, LISTEN, Keys, KeysByState, unmapped
from thingmeter.collectors.sockets.sock_diag import FIRST_BUFFER_BYTES, SockDiag

TableName: TypeAlias = tuple[int, int]  # protocol, family

_STATES = {socket.IPPROTO_TCP: (ESTABLISHED, LISTEN), socket.IPPROTO_UDP: (CLOSE,)}
_TABLES: tuple[TableName, ...] = tuple(
    (protocol, family) for protocol in _STATES for family in (socket.AF_INET, socket.AF_INET6)
)


@dataclass(frozen=True, slots=True)
class Tables:
    """Every socket that is reported.

    Attributes:
        established: TCP connections; half-open and closing ones are none.
        tcp_listening: TCP sockets in LISTEN.
        udp_bound: UDP sockets with a port of their own and no peer. One with a peer takes datagrams from that
            peer only, so it is a client, and no listener.
        from_proc: how many of the four tables came from /proc/net.
    """

    established: Keys
    tcp_listening: Keys
    udp_bound: Keys
    from_proc: int


class TableReader:
    """Reads the tables, and remembers what this kernel cannot do.

    Args:
        proc: where the proc file system is.
        open_sock_diag: begins a conversation over netlink, with the buffer that the reader keeps for it.
    """

    def __init__(
        self, proc: Path = Path("/proc"), open_sock_diag: Callable[[bytearray], SockDiag] = SockDiag.open
    ) -> None:
        self._proc = proc
        self._open_sock_diag = open_sock_diag
        self._buffer = bytearray(FIRST_BUFFER_BYTES)
        self._without_module: set[TableName] = set()

    def read(self) -> Tables:
        """Return all sockets as they are now. The tables are read one after another, a few milliseconds apart.

        Raises:
            CollectError: neither way works.
        """
        found = self._from_netlink()
        missing = [table for table in _TABLES if table not in found]
        for protocol, family in missing:
            found[protocol, family] = proc_net.read(self._proc, protocol, family, _STATES[protocol])
        return Tables(
            _both(found, socket.IPPROTO_TCP, ESTABLISHED),
            _both(found, socket.IPPROTO_TCP, LISTEN),
            _both(found, socket.IPPROTO_UDP, CLOSE),
            len(missing),
        )

    def _from_netlink(self) -> dict[TableName, KeysByState]:
        """Return the tables that netlink gives. After an error it is left alone until the next time."""
        found: dict[TableName, KeysByState] = {}
        with contextlib.suppress(OSError), self._open_sock_diag(self._buffer) as sock_diag:
            for protocol, family in _TABLES:
                if (protocol, family) in self._without_module:
                    continue
                try:
                    found[protocol, family] = sock_diag.dump(protocol, family, _STATES[protocol])
                except FileNotFoundError:  # ENOENT: no such module; asking again would start modprobe each time
                    self._without_module.add((protocol, family))
        return found


def _both(found: dict[TableName, KeysByState], protocol: int, state: int) -> Keys:
    ipv4, ipv6 = (found[protocol, family].get(state, set()) for family in (socket.AF_INET, socket.AF_INET6))
    return unmapped(ipv4, ipv6)
