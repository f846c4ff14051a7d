"""How a socket is written down while it is counted: 40 bytes, the kernel's ``inet_diag_sockid`` without its cookie.

    local port 2 | remote port 2 | local address 16 | remote address 16 | bound interface's index 4

Ports and addresses in network byte order, the index in the machine's. An IPv4 address fills the first 4 of its 16
bytes, the rest is zero; keys of IPv4 and of IPv6 are therefore kept apart. Netlink hands the 40 bytes over in one
piece, so that a socket costs one ``bytes`` object, and equality, order and removal of duplicates are done in C.
Source: include/uapi/linux/inet_diag.h.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import TypeAlias

Key: TypeAlias = bytes
Address: TypeAlias = IPv4Address | IPv6Address
KeysByState: TypeAlias = Mapping[int, set[Key]]

ESTABLISHED = 1  # TCP_ESTABLISHED in include/net/tcp_states.h; also a UDP socket with a peer
CLOSE = 7  # TCP_CLOSE; on UDP a bound socket without a peer
LISTEN = 10  # TCP_LISTEN

FIELDS = Struct("!HH16s16s4s")
SIZE = FIELDS.size
REMOTE_ADDRESS = slice(20, 36)
NO_INTERFACE = bytes(4)

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96
_LOCAL_PREFIX = slice(4, 16)
_ZEROS = bytes(12)


@dataclass(frozen=True, slots=True)
class Keys:
    """Sockets of one sort, one key each, apart by family. IPv4-mapped addresses never stand in ``ipv6``."""

    ipv4: set[Key]
    ipv6: set[Key]

    def __len__(self) -> int:
        return len(self.ipv4) + len(self.ipv6)


def unmapped(ipv4: set[Key], ipv6: set[Key]) -> Keys:
    """Return both sets, with every IPv4 socket of a dual-stack program moved from ``ipv6`` to ``ipv4``.

    A program that listens on ``::`` serves IPv4 peers through IPv6 sockets, as ``::ffff:192.0.2.1``. What travels is
    IPv4, and a rule that names 192.0.2.1 has to match it, so it is reported as IPv4.
    """
    mapped = {key for key in ipv6 if key[_LOCAL_PREFIX] == _MAPPED}
    if not mapped:
        return Keys(ipv4, ipv6)
    return Keys(ipv4 | set(map(_as_ipv4, mapped)), ipv6 - mapped)


def _as_ipv4(key: Key) -> Key:
    return key[:4] + key[16:20] + _ZEROS + key[32:36] + _ZEROS + key[36:]


def address(packed: bytes, family: int) -> Address:
    """Return what the 16 bytes of a key mean in ``family``, never with a zone id."""
    return IPv4Address(packed[:4]) if family == socket.AF_INET else IPv6Address(packed)
