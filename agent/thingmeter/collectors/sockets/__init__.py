"""Sockets: listening TCP ports, bound UDP ports, established TCP connections and their peers, IPv4 and IPv6.

    tables.py   sock_diag.py (netlink), where that fails proc_net.py -> 40 bytes per socket (key.py)
    connections.py, listeners.py   keys and interfaces.py -> the nouns

What is a connection, a listener, a duplicate and an IPv4 address is said in those. With 10,000 sockets a collect costs
0.4 times the CPU time of ``ss -tuan`` and a twelfth of that of ``psutil.net_connections()``, nearly all of it in the
kernel; the first one about as much as ``ss`` (tests/bench/sockets.py).
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from thingmeter.collectors.sockets.connections import ConnectionList, Connections
from thingmeter.collectors.sockets.interfaces import read_interfaces
from thingmeter.collectors.sockets.listeners import ListenerList, Listeners
from thingmeter.collectors.sockets.tables import TableReader
from thingmeter.errors import CollectError, Unsupported
from thingmeter.metrics import Metric, Sample

CONNECTIONS = Metric(
    "connections", unit="1", type="connections", description="Established TCP connections, by local port and peer."
)
CONNECTION_COUNT = Metric("connection_count", unit="1", description="Established TCP connections, all of them.")
TCP_LISTENERS = Metric(
    "tcp_listeners", unit="1", type="listeners", description="Listening TCP ports, by port and interface."
)
TCP_LISTENER_COUNT = Metric(
    "listening_tcp_port_count", unit="1", description="Listening TCP ports, all of them; each interface counts."
)
UDP_LISTENERS = Metric(
    "udp_listeners", unit="1", type="listeners", description="Bound UDP ports without a peer, by port and interface."
)
UDP_LISTENER_COUNT = Metric(
    "listening_udp_port_count",
    unit="1",
    description="Bound UDP ports without a peer, all of them; each interface counts.",
)
REMOTE_ADDRESS = Metric(
    "remote_address", unit="1", type="address", description="A peer of an established TCP connection, once each."
)
REMOTE_ADDRESS_COUNT = Metric(
    "remote_address_count", unit="1", description="Different peers of established TCP connections, all of them."
)
LOCAL_LISTENER = Metric(
    "local_listener",
    unit="1",
    type="text",
    description="What can be reached from outside, as PROTOCOL/ADDRESS/PORT: tcp/0.0.0.0/22.",
)
LISTENER_ADDRESS = Metric(
    "listener_address", unit="1", type="address", description="A local address with a listener, once each."
)
TABLES_FROM_PROC = Metric(
    "tables_from_proc",
    unit="1",
    description="How many of the 4 socket tables came from /proc/net, because netlink could not give them.",
)


class SocketsCollector:
    """Samples the sockets of the network namespace that the agent runs in.

    Args:
        maximum_addresses: the most samples of each of remote_address, local_listener and listener_address; the lowest
            ones are kept. Their true numbers are in the counts.
        maximum_listed: the most entries in each of connections, tcp_listeners and udp_listeners, and about the most
            sockets that are remembered from one collect to the next (some 250 bytes each).
        proc: where the proc file system is.

    Raises:
        ValueError: a maximum is below 0.
    """

    metrics = (
        CONNECTIONS,
        CONNECTION_COUNT,
        TCP_LISTENERS,
        TCP_LISTENER_COUNT,
        UDP_LISTENERS,
        UDP_LISTENER_COUNT,
        REMOTE_ADDRESS,
        REMOTE_ADDRESS_COUNT,
        LOCAL_LISTENER,
        LISTENER_ADDRESS,
        TABLES_FROM_PROC,
    )

    def __init__(
        self, *, maximum_addresses: int = 100, maximum_listed: int = 10_000, proc: Path = Path("/proc")
    ) -> None:
        for name, maximum in (("maximum_addresses", maximum_addresses), ("maximum_listed", maximum_listed)):
            if maximum < 0:
                raise ValueError(f"{name} = {maximum}: must be 0 or more")
        self._maximum_addresses = maximum_addresses
        self._proc = proc
        self._tables = TableReader(proc)
        self._connections = Connections(maximum_listed=maximum_listed, maximum_peers=maximum_addresses)
        self._tcp = Listeners("tcp", maximum_listed=maximum_listed, maximum_endpoints=maximum_addresses)
        self._udp = Listeners("udp", maximum_listed=maximum_listed, maximum_endpoints=maximum_addresses)

    def collect(self) -> Iterator[Sample]:
        """Yield all or nothing: a table that cannot be read is no table without sockets."""
        if sys.platform != "linux":
            raise Unsupported(f"sockets are read from Linux, and this is {sys.platform}")
        try:
            interfaces = read_interfaces(self._proc)
        except OSError as error:
            raise CollectError(f"the addresses of the interfaces cannot be read: {error.strerror}") from error
        tables = self._tables.read()
        connections = self._connections.update(tables.established, interfaces)
        tcp = self._tcp.update(tables.tcp_listening, interfaces)
        udp = self._udp.update(tables.udp_bound, interfaces)
        yield TABLES_FROM_PROC.sample(tables.from_proc)
        yield from _of_connections(connections)
        yield from self._of_listeners(tcp, udp)

    def _of_listeners(self, tcp: ListenerList, udp: ListenerList) -> Iterator[Sample]:
        yield TCP_LISTENERS.sample(tcp.listeners)
        yield TCP_LISTENER_COUNT.sample(tcp.count)
        yield UDP_LISTENERS.sample(udp.listeners)
        yield UDP_LISTENER_COUNT.sample(udp.count)
        for endpoint in islice(heapq.merge(tcp.endpoints, udp.endpoints), self._maximum_addresses):
            yield LOCAL_LISTENER.sample(str(endpoint))
        addresses = sorted({*tcp.addresses, *udp.addresses}, key=lambda address: (address.version, int(address)))
        for address in addresses[: self._maximum_addresses]:
            yield LISTENER_ADDRESS.sample(address)


def _of_connections(connections: ConnectionList) -> Iterator[Sample]:
    yield CONNECTIONS.sample(connections.connections)
    yield CONNECTION_COUNT.sample(connections.count)
    for peer in connections.peers:
        yield REMOTE_ADDRESS.sample(peer)
    yield REMOTE_ADDRESS_COUNT.sample(connections.peer_count)


collector = SocketsCollector
