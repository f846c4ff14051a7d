"""From the kernel's sockets to listeners: sorted, without duplicates, cut at a bound.

A listener is a port on an interface: that is what Device Defender is told, so that is what is counted. These are one
listener:

- sockets of one port and address that share it (SO_REUSEPORT, the workers of a server);
- sockets of one port on several addresses of one interface; the lowest address stands for all;
- sockets of one port on ``0.0.0.0`` and on ``::``, which has no interface; ``0.0.0.0`` stands for both.

An address that no interface has (a multicast group) counts as one of the wildcards, which have no interface either.
A socket on ``::`` alone stays ``::``, whether or not it serves IPv4 as well. ``Endpoint`` keeps every address apart.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from thingmeter.collectors.sockets.interfaces import Interfaces
from thingmeter.collectors.sockets.key import FIELDS, Address, Keys, address
from thingmeter.metrics import Listener


class Endpoint(NamedTuple):
    """What can be reached from outside, ordered by port, protocol (``tcp`` or ``udp``), IPv4 before IPv6, address."""

    port: int
    protocol: str
    family: int
    packed: bytes

    def __str__(self) -> str:
        """Return ``PROTOCOL/ADDRESS/PORT``: ``tcp/0.0.0.0/22``, ``udp/fd00::2/53``.

        Only characters that Device Defender retains in a string list, so no brackets; a slash stands in no address, so
        the three parts are unambiguous.
        """
        return f"{self.protocol}/{self.address}/{self.port}"

    @property
    def address(self) -> Address:
        """The local address; ``0.0.0.0`` or ``::`` for all of them."""
        return address(self.packed, self.family)


@dataclass(frozen=True, slots=True)
class ListenerList:
    """The listeners of one protocol by port, then interface, those without one first.

    With them their endpoints, and the addresses of these, ascending. All three may be cut, at the end; ``count``, the
    number of listeners, never is.
    """

    listeners: tuple[Listener, ...] = ()
    count: int = 0
    endpoints: tuple[Endpoint, ...] = ()
    addresses: tuple[Address, ...] = ()


class Listeners:
    """Turns keys into the listeners of one protocol, and remembers them for as long as nothing changes.

    Args:
        protocol: ``tcp`` or ``udp``.
        maximum_listed: the most listeners in a list, and the most sockets that are remembered.
        maximum_endpoints: the most endpoints and the most addresses in a list.
    """

    def __init__(self, protocol: str, *, maximum_listed: int, maximum_endpoints: int) -> None:
        self._protocol = protocol
        self._maximum_listed = maximum_listed
        self._maximum_endpoints = maximum_endpoints
        self._seen: tuple[Keys, Interfaces] | None = None
        self._list = ListenerList()

    def update(self, keys: Keys, interfaces: Interfaces) -> ListenerList:
        """Return the listeners that ``keys`` stand for; the very same object as before when nothing changed."""
        if self._seen != (keys, interfaces):
            self._list = self._build(keys, interfaces)
            self._seen = (keys, interfaces) if len(keys) <= self._maximum_listed else None
        return self._list

    def _build(self, keys: Keys, interfaces: Interfaces) -> ListenerList:
        by_place: dict[tuple[int, str], Listener] = {}
        endpoints: set[Endpoint] = set()
        for endpoint, index in self._endpoints(keys):
            interface = interfaces.name(endpoint.packed, endpoint.family, index)
            endpoints.add(endpoint)
            by_place.setdefault((endpoint.port, interface or ""), Listener(endpoint.port, endpoint.address, interface))
        addresses = sorted({(endpoint.family, endpoint.packed) for endpoint in endpoints})
        return ListenerList(
            tuple(by_place[place] for place in sorted(by_place)[: self._maximum_listed]),
            len(by_place),
            tuple(sorted(endpoints)[: self._maximum_endpoints]),
            tuple(address(packed, family) for family, packed in addresses[: self._maximum_endpoints]),
        )

    def _endpoints(self, keys: Keys) -> Iterator[tuple[Endpoint, bytes]]:
        """Yield the endpoint and the bound interface's index of each socket, IPv4 first, by port and address."""
        for family, sockets in ((socket.AF_INET, keys.ipv4), (socket.AF_INET6, keys.ipv6)):
            for key in sorted(sockets):
                port, _, local, _, index = FIELDS.unpack(key)
                if port:  # a UDP socket that is not bound yet is in no table; 0 would be refused by the service
                    yield Endpoint(port, self._protocol, family, local), index
