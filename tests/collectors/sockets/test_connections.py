from __future__ import annotations

from ipaddress import ip_address

from collectors.sockets.keys import interfaces, key
from thingmeter.collectors.sockets.connections import Connections
from thingmeter.collectors.sockets.key import Keys
from thingmeter.metrics import Connection

NET = interfaces(eth0="192.0.2.2 2001:db8::2", wlan0="192.0.2.9")
A = key("192.0.2.2", 22, "198.51.100.1", 40000)
B = key("192.0.2.2", 22, "198.51.100.2", 40001)
C = key("192.0.2.2", 50000, "198.51.100.1", 443)
D = key("2001:db8::2", 22, "2001:db8::1", 40000)
ALL = Keys({C, A, B}, {D})


def connections(*, maximum_listed: int = 100, maximum_peers: int = 100) -> Connections:
    return Connections(maximum_listed=maximum_listed, maximum_peers=maximum_peers)


def test_a_connection_has_both_ends_and_its_interface() -> None:
    found = connections().update(Keys({A}, set()), NET)

    assert found.connections == (Connection(ip_address("198.51.100.1"), 40000, ip_address("192.0.2.2"), 22, "eth0"),)


def test_connections_are_ordered_by_local_port_then_remote_port_ipv4_first() -> None:
    found = connections().update(ALL, NET)

    assert [(one.local_port, one.remote_port) for one in found.connections] == [
        (22, 40000),
        (22, 40001),
        (50000, 443),
        (22, 40000),
    ]


def test_peers_are_different_and_ascend_ipv4_first() -> None:
    found = connections().update(ALL, NET)

    assert [str(peer) for peer in found.peers] == ["198.51.100.1", "198.51.100.2", "2001:db8::1"]


def test_the_list_is_cut_at_its_end() -> None:
    whole = connections().update(ALL, NET)

    cut = connections(maximum_listed=2).update(ALL, NET)

    assert cut.connections == whole.connections[:2]


def test_the_true_number_survives_the_cut() -> None:
    found = connections(maximum_listed=2).update(ALL, NET)

    assert found.count == 4


def test_peers_are_cut_at_the_end() -> None:
    found = connections(maximum_peers=2).update(ALL, NET)

    assert [str(peer) for peer in found.peers] == ["198.51.100.1", "198.51.100.2"]


def test_the_true_number_of_peers_survives_the_cut() -> None:
    found = connections(maximum_peers=2).update(ALL, NET)

    assert found.peer_count == 3


def test_a_peer_of_an_unlisted_connection_is_listed() -> None:
    found = connections(maximum_listed=0).update(ALL, NET)

    assert len(found.peers) == 3


def test_what_stays_is_the_same_object() -> None:
    kept = connections()
    before = kept.update(ALL, NET)

    after = kept.update(Keys(set(ALL.ipv4), set(ALL.ipv6)), NET)

    assert after is before


def test_what_is_remembered_gives_the_same_list_as_what_is_new() -> None:
    kept = connections()
    kept.update(Keys({A, C}, set()), NET)

    after = kept.update(Keys({B, C}, {D}), NET)

    assert after == connections().update(Keys({B, C}, {D}), NET)


def test_a_list_that_was_cut_fills_up_again() -> None:
    kept = connections(maximum_listed=2)
    kept.update(ALL, NET)

    after = kept.update(Keys({C}, {D}), NET)

    assert after == connections(maximum_listed=2).update(Keys({C}, {D}), NET)


def test_connections_that_end_leave_nothing() -> None:
    kept = connections()
    kept.update(ALL, NET)

    after = kept.update(Keys(set(), set()), NET)

    assert (after.connections, after.count, after.peers, after.peer_count) == ((), 0, (), 0)


def test_an_address_that_moves_to_another_interface_is_noticed() -> None:
    kept = connections()
    kept.update(Keys({A}, set()), NET)

    after = kept.update(Keys({A}, set()), interfaces(wlan0="192.0.2.2"))

    assert [one.interface for one in after.connections] == ["wlan0"]
