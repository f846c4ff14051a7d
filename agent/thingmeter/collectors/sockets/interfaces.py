"""Which interface an address of this machine belongs to.

IPv4 from the ioctl SIOCGIFCONF, IPv6 from ``/proc/net/if_inet6``: both work where netlink is forbidden
(``getifaddrs`` and with it psutil do not), and cost less than 100 us. Source: netdevice(7).
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmeter.collectors.sockets.key import NO_INTERFACE

_SIOCGIFCONF = 0x8912
_IFCONF = struct.Struct("@iP")  # bytes of the array, address of the array
_IFREQ_BYTES = 40 if struct.calcsize("P") == 8 else 32  # noqa: PLR2004 - struct ifreq, 64 and 32 bit
_NAME_BYTES = 16  # IFNAMSIZ
_ADDRESS_AT = 20  # in struct ifreq: the name, a sockaddr_in's family and port, then the address
_SPARE_BYTES = 8 * _IFREQ_BYTES  # for addresses that come between asking for the length and reading
_ZEROS = bytes(12)
_LOOPBACK = bytes([127, 0, 0, 1]) + _ZEROS


@dataclass(frozen=True, slots=True)
class Interfaces:
    """Names of interfaces; ``ipv4`` and ``ipv6`` by address, in the 16 bytes of a socket's key."""

    ipv4: Mapping[bytes, str]
    ipv6: Mapping[bytes, str]

    def name(self, address: bytes, family: int, index: bytes) -> str | None:
        """Return the interface a socket is bound to (``index``, if not zero), else the one that has ``address``.

        None for the wildcard addresses, and for what is on no interface (multicast groups, addresses of other
        machines). All of 127.0.0.0/8 belongs to the interface of 127.0.0.1, though only that one is assigned to it.
        """
        if index != NO_INTERFACE:
            try:
                return socket.if_indextoname(int.from_bytes(index, sys.byteorder))
            except OSError:  # gone since the dump
                return None
        if family == socket.AF_INET6:
            return self.ipv6.get(address)
        return self.ipv4.get(address) or (self.ipv4.get(_LOOPBACK) if address[0] == _LOOPBACK[0] else None)


def read_interfaces(proc: Path) -> Interfaces:
    """Return the addresses of all interfaces, in the network namespace of this process.

    Raises:
        OSError: the kernel does not tell.
    """
    return Interfaces(_read_ipv4(), _read_ipv6(proc / "net" / "if_inet6"))


def _read_ipv4() -> dict[bytes, str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        needed, _ = _IFCONF.unpack(fcntl.ioctl(any_socket, _SIOCGIFCONF, _IFCONF.pack(0, 0)))
        entries = array("B", bytes(needed + _SPARE_BYTES))
        where, size = entries.buffer_info()
        used, _ = _IFCONF.unpack(fcntl.ioctl(any_socket, _SIOCGIFCONF, _IFCONF.pack(size, where)))
    names: dict[bytes, str] = {}
    for at in range(0, used, _IFREQ_BYTES):
        entry = entries[at : at + _IFREQ_BYTES].tobytes()
        label = entry[:_NAME_BYTES].rstrip(b"\0").decode(errors="replace")
        address = entry[_ADDRESS_AT : _ADDRESS_AT + 4] + _ZEROS
        names.setdefault(address, label.partition(":")[0])  # "eth0:1" is an address label of eth0
    return names


def _read_ipv6(table: Path) -> dict[bytes, str]:
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:  # a kernel without IPv6
        return {}
    names: dict[bytes, str] = {}
    for line in lines:
        address, _, _, _, _, name = line.split()
        names.setdefault(bytes.fromhex(address), name)  # one link-local address on two interfaces: the first
    return names
