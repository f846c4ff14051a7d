"""Keys, datagrams and sockets for the tests of the sockets collector, built independently of the code under test."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from ipaddress import ip_address

from thingmeter.collectors.sockets.interfaces import Interfaces
from thingmeter.collectors.sockets.sock_diag import SockDiag

ESTABLISHED = 1
CLOSE = 7
LISTEN = 10
NLMSG_ERROR = 2
NLMSG_DONE = 3
SOCK_DIAG_BY_FAMILY = 20
MULTI = 2
INTERRUPTED = 0x10


def packed(address: str) -> bytes:
    """Return an address as it stands in a key."""
    return ip_address(address).packed.ljust(16, b"\0")


def key(local: str, local_port: int, remote: str = "", remote_port: int = 0, index: int = 0) -> bytes:
    """Return the key of one socket; without ``remote`` it has no peer."""
    ports = local_port.to_bytes(2, "big") + remote_port.to_bytes(2, "big")
    return ports + packed(local) + (packed(remote) if remote else bytes(16)) + struct.pack("=I", index)


def message(kind: int, body: bytes, *, flags: int = MULTI) -> bytes:
    """Return one netlink message, padded to 4 bytes."""
    whole = struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
    return whole + bytes(-len(whole) % 4)


def record(socket_key: bytes, state: int = ESTABLISHED, *, attributes: bytes = b"", flags: int = MULTI) -> bytes:
    """Return the message about one socket: inet_diag_msg and attributes."""
    body = bytes([socket.AF_INET, state, 0, 0]) + socket_key + b"a cookie" + bytes(20) + attributes
    return message(SOCK_DIAG_BY_FAMILY, body, flags=flags)


def done(*, code: int = 0, flags: int = MULTI) -> bytes:
    """Return the message that ends a dump."""
    return message(NLMSG_DONE, struct.pack("=i", code), flags=flags)


def failure(code: int) -> bytes:
    """Return the kernel's answer to a request that it refuses with the errno ``code``."""
    return message(NLMSG_ERROR, struct.pack("=i", -code) + bytes(16), flags=0)


def scripted_kernel(datagrams: Iterable[bytes]) -> tuple[socket.socket, socket.socket]:
    """Return a socket on which ``datagrams`` wait and then nothing comes, and its other end, to be kept open."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 1000))
    for datagram in datagrams:
        kernel.send(datagram)
    return ours, kernel


def interfaces(**addresses: str) -> Interfaces:
    """Return interfaces by name, each with its addresses separated by blanks."""
    pairs = [
        (packed(address), name, ip_address(address)) for name, some in addresses.items() for address in some.split()
    ]
    return Interfaces(
        {at: name for at, name, address in pairs if address.version == 4},
        {at: name for at, name, address in pairs if address.version == 6},
    )


def has_ipv6() -> bool:
    """Return whether ``::1`` can be used here."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def has_netlink() -> bool:
    """Return whether the kernel answers about sockets over netlink here; some containers forbid it."""
    try:
        with SockDiag.open(bytearray(32768)) as conversation:
            conversation.dump(socket.IPPROTO_TCP, socket.AF_INET, (LISTEN,))
    except OSError:
        return False
    return True
