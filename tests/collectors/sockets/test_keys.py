from __future__ import annotations

from collectors.sockets.keys import key
from thingmeter.collectors.sockets.key import unmapped


def test_a_mapped_connection_becomes_ipv4() -> None:
    mapped = key("::ffff:192.0.2.1", 80, "::ffff:198.51.100.7", 40000)

    keys = unmapped(set(), {mapped})

    assert keys.ipv4 == {key("192.0.2.1", 80, "198.51.100.7", 40000)}


def test_a_mapped_connection_is_no_longer_ipv6() -> None:
    real = key("2001:db8::1", 80, "2001:db8::2", 40000)

    keys = unmapped(set(), {key("::ffff:192.0.2.1", 80, "::ffff:198.51.100.7", 40000), real})

    assert keys.ipv6 == {real}


def test_the_interface_of_a_mapped_socket_is_kept() -> None:
    keys = unmapped(set(), {key("::ffff:192.0.2.1", 53, index=3)})

    assert keys.ipv4 == {key("192.0.2.1", 53, index=3)}


def test_the_ipv6_wildcard_is_not_mapped() -> None:
    keys = unmapped(set(), {key("::", 80)})

    assert keys.ipv6 == {key("::", 80)}


def test_the_length_counts_both_families() -> None:
    keys = unmapped({key("0.0.0.0", 22), key("0.0.0.0", 23)}, {key("::", 22)})

    assert len(keys) == 3
