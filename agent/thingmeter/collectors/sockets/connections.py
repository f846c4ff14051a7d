"""From the kernel's sockets to connections and their peers: sorted, without duplicates, cut at a bound.

Most connections are the same from one interval to the next. The nouns of the last time are kept, so that one that
stays costs a look-up in a set and only a new one is built: with 10,000 connections 1 ms instead of 25.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from operator import itemgetter

from thingmeter.collectors.sockets.interfaces import Interfaces
from thingmeter.collectors.sockets.key import FIELDS, REMOTE_ADDRESS, Address, Key, Keys, address
from thingmeter.metrics import Connection

_remote_address = itemgetter(REMOTE_ADDRESS)


@dataclass(frozen=True, slots=True)
class ConnectionList:
    """Connections, and the addresses of their peers.

    Connections are ordered by local port, remote port, local address, remote address; peers ascend; IPv4 stands before
    IPv6 in both. Both may be cut, at the end; ``count`` and ``peer_count`` are never.
    """

    connections: tuple[Connection, ...] = ()
    count: int = 0
    peers: tuple[Address, ...] = ()
    peer_count: int = 0


class Connections:
    """Turns keys into connections and remembers them until the next time.

    Args:
        maximum_listed: the most connections in a list, and the most that are remembered.
        maximum_peers: the most peers in a list.
    """

    def __init__(self, *, maximum_listed: int, maximum_peers: int) -> None:
        self._maximum_listed = maximum_listed
        self._maximum_peers = maximum_peers
        self._interfaces: Interfaces | None = None
        self._nouns: dict[int, dict[Key, Connection]] = {}
        self._list = ConnectionList()

    def update(self, keys: Keys, interfaces: Interfaces) -> ConnectionList:
        """Return the connections that ``keys`` stand for; the very same object as before when nothing changed."""
        if interfaces != self._interfaces:
            self._nouns = {socket.AF_INET: {}, socket.AF_INET6: {}}
            self._interfaces = interfaces
            self._list = ConnectionList()
        if self._nouns[socket.AF_INET].keys() == keys.ipv4 and self._nouns[socket.AF_INET6].keys() == keys.ipv6:
            return self._list
        ipv4 = self._renew(socket.AF_INET, keys.ipv4, interfaces, self._maximum_listed)
        ipv6 = self._renew(socket.AF_INET6, keys.ipv6, interfaces, self._maximum_listed - len(ipv4))
        peers = [
            (packed, family)
            for family, sockets in ((socket.AF_INET, keys.ipv4), (socket.AF_INET6, keys.ipv6))
            for packed in sorted(set(map(_remote_address, sockets)))
        ]
        self._list = ConnectionList(
            (*ipv4.values(), *ipv6.values()),
            len(keys),
            tuple(address(packed, family) for packed, family in peers[: self._maximum_peers]),
            len(peers),
        )
        return self._list

    def _renew(self, family: int, keys: set[Key], interfaces: Interfaces, room: int) -> dict[Key, Connection]:
        """Bring the nouns of ``family`` up to date, at most ``room`` of them; return them in their order."""
        old = self._nouns[family]
        order = [key for key in old if key in keys]  # sorted already, so that sorting the whole is a merge
        order += keys.difference(old)
        order.sort()
        del order[room:]
        built = _build([key for key in order if key not in old], family, interfaces)
        new = {key: old.get(key) or built[key] for key in order}
        self._nouns[family] = new
        return new


def _build(keys: list[Key], family: int, interfaces: Interfaces) -> dict[Key, Connection]:
    """Return a connection for each key. Addresses recur, so each is made, and looked for on the interfaces, once."""
    addresses: dict[bytes, Address] = {}
    names: dict[tuple[bytes, bytes], str | None] = {}
    built: dict[Key, Connection] = {}
    for key, (local_port, remote_port, local, remote, index) in zip(
        keys, FIELDS.iter_unpack(b"".join(keys)), strict=True
    ):
        for packed in (local, remote):
            if packed not in addresses:
                addresses[packed] = address(packed, family)
        if (local, index) not in names:
            names[local, index] = interfaces.name(local, family, index)
        built[key] = Connection(addresses[remote], remote_port, addresses[local], local_port, names[local, index])
    return built
