"""Sockets from the kernel over netlink: ``sock_diag(7)``, one dump per protocol and family.

    request   nlmsghdr 16 | inet_diag_req_v2 56                       with the wanted states: the kernel filters
    answer    (nlmsghdr 16 | inet_diag_msg 72 | attributes) ...       many to a datagram, the last one is NLMSG_DONE

All messages of a datagram nearly always have one length. Then they are cut by one ``Struct.iter_unpack``, and what is
checked of them is checked for the whole datagram at once; otherwise they are walked one by one. Never blocks longer
than ``RECEIVE_TIMEOUT_S`` for a datagram. Source: include/uapi/linux/{netlink,sock_diag,inet_diag}.h,
net/ipv4/inet_diag.c.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from typing import Self

from thingmeter.collectors.sockets.key import SIZE, Key, KeysByState

RECEIVE_TIMEOUT_S = 1  # the kernel answers within microseconds, or never
ATTEMPTS = 3  # dumps of one table, when the first was interrupted or did not fit
FIRST_BUFFER_BYTES = (
    32 * 1024
)  # the largest datagram that a dump is cut into: netlink_recvmsg() in net/netlink/af_netlink.c
LARGEST_BUFFER_BYTES = 1024 * 1024

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_NLM_F_DUMP_INTR = 0x10

_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST = Struct("=IHHII BBBxI48x")  # the header, then family, protocol, extensions, states, an empty inet_diag_sockid
_ERROR = Struct("=i")  # a negative errno, or 0
_MAX_ERRNO = 4095  # include/linux/err.h
_TIMEVAL = Struct("@ll")
_STATE_AT = 17
_KEY_AT = 20
_RECORD_BYTES = _KEY_AT + SIZE


@lru_cache(maxsize=32)  # lengths differ by the attributes that a kernel adds; a handful in practice
def _keys_of(length: int) -> Struct:
    return Struct(f"={_KEY_AT}x{SIZE}s{length - _RECORD_BYTES}x")


class SockDiag:
    """A conversation with the kernel about its sockets. Not thread safe.

    Args:
        kernel: a connected datagram socket with a receive timeout; ``open()`` makes the real one.
        buffer: received into; grows when a datagram does not fit, so keep it for the next conversation.
    """

    def __init__(self, kernel: socket.socket, buffer: bytearray) -> None:
        self._kernel = kernel
        self._buffer = buffer
        self._sequence = 0

    @classmethod
    def open(cls, buffer: bytearray) -> Self:
        """Return a new conversation.

        Raises:
            OSError: no netlink here: a container, seccomp, systemd's RestrictAddressFamilies, no file descriptor left.
        """
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        kernel = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)
        try:
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(RECEIVE_TIMEOUT_S, 0))
            kernel.connect((0, 0))  # to the kernel: datagrams of other processes are refused from here on
        except OSError:
            kernel.close()
            raise
        return cls(kernel, buffer)

    def close(self) -> None:
        """Give back the file descriptor."""
        self._kernel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def dump(self, protocol: int, family: int, states: Iterable[int]) -> KeysByState:
        """Return the keys of all sockets of ``protocol`` and ``family`` that are in one of ``states``.

        A dump that the kernel calls interrupted (its table changed in a way that can lose entries) is repeated; the
        last of ``ATTEMPTS`` is taken as it is: it is no worse than /proc/net, which never says so.

        Raises:
            OSError: the kernel's own error, ENOENT when it has no module for this protocol; EAGAIN when it does not
                answer; EMSGSIZE and EBADMSG when its answer cannot be read. After anything but ENOENT: close.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self._request(protocol, family, states)
            found, longest, flags = self._receive()
            if longest > len(self._buffer):
                self._grow(longest)
            elif attempt == ATTEMPTS or not flags & _NLM_F_DUMP_INTR:
                return found
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))

    def _request(self, protocol: int, family: int, states: Iterable[int]) -> None:
        self._sequence += 1
        wanted = sum(1 << state for state in set(states))
        header = (_REQUEST.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_DUMP_REQUEST, self._sequence, 0)
        self._kernel.send(_REQUEST.pack(*header, family, protocol, 0, wanted))

    def _receive(self) -> tuple[KeysByState, int, int]:
        """Read one dump to its end; return what it held, its longest datagram in bytes, and all flags that were set."""
        found: defaultdict[int, set[Key]] = defaultdict(set)
        longest = flags = 0
        done = False
        with memoryview(self._buffer) as view:
            while not done:
                received = self._kernel.recv_into(view, 0, socket.MSG_TRUNC)  # the true length, also when it is longer
                longest = max(longest, received)
                if received <= len(view):
                    done, more_flags = _read(view[:received], found)
                    flags |= more_flags
        return found, longest, flags

    def _grow(self, size: int) -> None:
        if size > LARGEST_BUFFER_BYTES:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        self._buffer.extend(bytes(size - len(self._buffer)))


def _read(datagram: memoryview, found: defaultdict[int, set[Key]]) -> tuple[bool, int]:
    """Add the sockets of one datagram to ``found``; return whether the dump ends here, and all flags that were set."""
    alike, flags = _read_alike(datagram, found)
    if alike:
        return False, flags
    done = False
    at = 0
    while at < len(datagram) and not done:
        if len(datagram) - at < _HEADER.size:
            raise _malformed()
        length, kind, more_flags, _, _ = _HEADER.unpack_from(datagram, at)
        if not _HEADER.size <= length <= len(datagram) - at:
            raise _malformed()
        flags |= more_flags
        done = _read_message(kind, datagram[at : at + length], found)
        at += (length + 3) & ~3  # NLMSG_ALIGN
    if at == 0:
        raise _malformed()
    return done, flags


def _read_alike(datagram: memoryview, found: defaultdict[int, set[Key]]) -> tuple[bool, int]:
    """Do what ``_read`` does for a datagram of sockets in one state and messages of one length; else nothing."""
    if len(datagram) < _RECORD_BYTES:
        return False, 0
    length, kind, flags, _, _ = _HEADER.unpack_from(datagram)
    if kind != _SOCK_DIAG_BY_FAMILY or length < _RECORD_BYTES or length % 4 or len(datagram) % length:
        return False, 0
    count = len(datagram) // length
    words = datagram.cast("I")
    states = datagram[_STATE_AT::length].tolist()
    if (
        words[:: length // 4].tolist().count(length) != count
        or words[1 :: length // 4].tolist().count(words[1]) != count  # type and flags
        or states.count(states[0]) != count
    ):
        return False, 0
    found[states[0]].update(key for (key,) in _keys_of(length).iter_unpack(datagram))
    return True, flags


def _read_message(kind: int, message: memoryview, found: defaultdict[int, set[Key]]) -> bool:
    """Take in one message; return whether it ends the dump."""
    if kind == _SOCK_DIAG_BY_FAMILY:
        if len(message) < _RECORD_BYTES:
            raise _malformed()
        found[message[_STATE_AT]].add(bytes(message[_KEY_AT:_RECORD_BYTES]))
        return False
    if kind not in {_NLMSG_DONE, _NLMSG_ERROR}:
        return False  # NLMSG_NOOP, and what a later kernel may bring
    if len(message) >= _HEADER.size + _ERROR.size:  # NLMSG_DONE of an old kernel may come without one
        (code,) = _ERROR.unpack_from(message, _HEADER.size)
        if code:
            number = -code if 0 < -code <= _MAX_ERRNO else errno.EBADMSG
            raise OSError(number, os.strerror(number))
    return True


def _malformed() -> OSError:
    return OSError(errno.EBADMSG, "the answer of sock_diag cannot be read")
