from __future__ import annotations

import re
from ipaddress import ip_address

import pytest

from collectors.sockets.keys import interfaces, key
from thingmeter.collectors.sockets.key import Keys
from thingmeter.collectors.sockets.listeners import ListenerList, Listeners
from thingmeter.metrics import Listener

NET = interfaces(lo="127.0.0.1 ::1", eth0="192.0.2.2 192.0.2.3 fe80::1")


def listeners(
    *ipv4: bytes, ipv6: tuple[bytes, ...] = (), maximum_listed: int = 100, maximum_endpoints: int = 100
) -> ListenerList:
    kept = Listeners("tcp", maximum_listed=maximum_listed, maximum_endpoints=maximum_endpoints)
    return kept.update(Keys(set(ipv4), set(ipv6)), NET)


def test_a_wildcard_listener_is_present_without_an_interface() -> None:
    found = listeners(key("0.0.0.0", 22))

    assert found.listeners == (Listener(22, ip_address("0.0.0.0"), None),)


def test_the_ipv6_wildcard_alone_is_present() -> None:
    found = listeners(ipv6=(key("::", 22),))

    assert found.listeners == (Listener(22, ip_address("::"), None),)


def test_a_port_on_both_wildcards_is_one_listener() -> None:
    found = listeners(key("0.0.0.0", 22), ipv6=(key("::", 22),))

    assert found.listeners == (Listener(22, ip_address("0.0.0.0"), None),)


def test_a_port_on_several_addresses_of_an_interface_is_one_listener_at_the_lowest() -> None:
    found = listeners(key("192.0.2.3", 53), key("192.0.2.2", 53), ipv6=(key("fe80::1", 53),))

    assert found.listeners == (Listener(53, ip_address("192.0.2.2"), "eth0"),)


def test_a_port_on_two_interfaces_is_two_listeners() -> None:
    found = listeners(key("192.0.2.2", 53), key("127.0.0.1", 53))

    assert [one.interface for one in found.listeners] == ["eth0", "lo"]


def test_listeners_are_ordered_by_port_then_interface_the_wildcard_first() -> None:
    found = listeners(key("127.0.0.1", 53), key("0.0.0.0", 53), key("0.0.0.0", 22), ipv6=(key("::1", 5),))

    assert [(one.port, one.interface) for one in found.listeners] == [(5, "lo"), (22, None), (53, None), (53, "lo")]


def test_port_0_is_no_listener() -> None:
    found = listeners(key("0.0.0.0", 0))

    assert found.count == 0


def test_the_list_is_cut_at_its_end() -> None:
    found = listeners(key("0.0.0.0", 23), key("0.0.0.0", 22), maximum_listed=1)

    assert [one.port for one in found.listeners] == [22]


def test_the_true_number_survives_the_cut() -> None:
    found = listeners(key("0.0.0.0", 23), key("0.0.0.0", 22), maximum_listed=1)

    assert found.count == 2


def test_endpoints_keep_every_address_apart() -> None:
    found = listeners(key("0.0.0.0", 22), ipv6=(key("::", 22), key("fe80::1", 22)))

    assert [str(endpoint) for endpoint in found.endpoints] == ["tcp/0.0.0.0/22", "tcp/::/22", "tcp/fe80::1/22"]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "fe80::1", "2001:db8:1:2:3:4:5:6"])
def test_an_endpoint_has_only_characters_that_device_defender_retains(address: str) -> None:
    one = key(address, 65535)

    found = listeners(ipv6=(one,)) if ":" in address else listeners(one)

    assert re.fullmatch(r"[A-Za-z0-9:_./-]+", str(found.endpoints[0]))


def test_addresses_are_different_and_ascend_ipv4_first() -> None:
    found = listeners(key("192.0.2.2", 22), key("192.0.2.2", 80), key("127.0.0.1", 99), ipv6=(key("::", 22),))

    assert [str(one) for one in found.addresses] == ["127.0.0.1", "192.0.2.2", "::"]


def test_endpoints_and_addresses_are_cut_at_their_end() -> None:
    found = listeners(key("127.0.0.1", 99), key("192.0.2.2", 22), maximum_endpoints=1)

    assert (str(found.endpoints[0]), str(found.addresses[0])) == ("tcp/192.0.2.2/22", "127.0.0.1")


def test_what_stays_is_the_same_object() -> None:
    kept = Listeners("udp", maximum_listed=100, maximum_endpoints=100)
    before = kept.update(Keys({key("0.0.0.0", 53)}, set()), NET)

    after = kept.update(Keys({key("0.0.0.0", 53)}, set()), NET)

    assert after is before


def test_a_listener_that_ends_is_gone() -> None:
    kept = Listeners("udp", maximum_listed=100, maximum_endpoints=100)
    kept.update(Keys({key("0.0.0.0", 53)}, set()), NET)

    after = kept.update(Keys(set(), set()), NET)

    assert after == ListenerList()


def test_more_sockets_than_are_remembered_are_listed_all_the_same() -> None:
    kept = Listeners("udp", maximum_listed=1, maximum_endpoints=100)
    kept.update(Keys({key("0.0.0.0", 53), key("0.0.0.0", 54)}, set()), NET)

    after = kept.update(Keys({key("0.0.0.0", 53), key("0.0.0.0", 55)}, set()), NET)

    assert [endpoint.port for endpoint in after.endpoints] == [53, 55]
