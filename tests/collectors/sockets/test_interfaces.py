from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from collectors.sockets.keys import interfaces, packed
from thingmeter.collectors.sockets.interfaces import read_interfaces

NONE = bytes(4)
SOME = interfaces(lo="127.0.0.1 ::1", eth0="192.0.2.2 fe80::1")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("127.0.0.1", "lo"),
        ("127.0.0.53", "lo"),
        ("192.0.2.2", "eth0"),
        ("192.0.2.3", None),
        ("0.0.0.0", None),
        ("224.0.0.251", None),
    ],
)
def test_an_ipv4_address_belongs_to_the_interface_that_has_it(address: str, name: str | None) -> None:
    assert SOME.name(packed(address), socket.AF_INET, NONE) == name


@pytest.mark.parametrize(("address", "name"), [("::1", "lo"), ("fe80::1", "eth0"), ("::", None), ("ff02::fb", None)])
def test_an_ipv6_address_belongs_to_the_interface_that_has_it(address: str, name: str | None) -> None:
    assert SOME.name(packed(address), socket.AF_INET6, NONE) == name


def test_an_ipv6_address_that_begins_like_loopback_is_not_on_loopback() -> None:
    assert SOME.name(packed("7f00::1"), socket.AF_INET6, NONE) is None


def test_the_interface_a_socket_is_bound_to_wins_over_its_address() -> None:
    index = struct.pack("=I", socket.if_nametoindex("lo"))

    assert SOME.name(packed("0.0.0.0"), socket.AF_INET, index) == "lo"


def test_a_bound_interface_that_is_gone_has_no_name() -> None:
    gone = struct.pack("=I", 2**31 - 1)

    assert SOME.name(packed("192.0.2.2"), socket.AF_INET, gone) is None


def test_the_machines_own_ipv4_loopback_is_found() -> None:
    found = read_interfaces(Path("/proc"))

    assert found.ipv4[packed("127.0.0.1")] == "lo"


def test_ipv6_addresses_come_from_if_inet6(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\nfe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"
    )

    found = read_interfaces(tmp_path)

    assert found.ipv6 == {packed("::1"): "lo", packed("fe80::fc:ff:fe00:1"): "eth0"}


def test_a_kernel_without_ipv6_has_no_ipv6_addresses(tmp_path: Path) -> None:
    found = read_interfaces(tmp_path)

    assert found.ipv6 == {}
