from __future__ import annotations

import json
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from collectors.sockets.keys import has_ipv6, has_netlink
from thingmeter.collectors.sockets import SocketsCollector, collector
from thingmeter.collectors.sockets.key import FIELDS
from thingmeter.collectors.sockets.sock_diag import SockDiag
from thingmeter.collectors.sockets.tables import TableReader, Tables
from thingmeter.errors import CollectError, Unsupported
from thingmeter.metrics import Connection, Listener

LOOK = Path(__file__).with_name("look.py")
NAMESPACE = ["unshare", "--net", "--map-root-user"]
LOOPBACK = ip_address("127.0.0.1")

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
needs_filter = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64", "riscv64"}, reason="the filter does not know this processor"
)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def collected(**options: Any) -> dict[str, list[Any]]:
    """Return the values of one collect by metric."""
    values: dict[str, list[Any]] = {}
    for sample in SocketsCollector(**options).collect():
        values.setdefault(sample.metric.name, []).append(sample.value)
    return values


def connect(opened: ExitStack, family: int, server: socket.socket, address: str) -> tuple[int, int]:
    """Connect to ``server`` and accept; return the ports of the client and of the server."""
    client = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
    client.connect((address, server.getsockname()[1]))
    opened.enter_context(server.accept()[0])
    return client.getsockname()[1], server.getsockname()[1]


def bind_udp(opened: ExitStack, family: int, address: str) -> socket.socket:
    one = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    one.bind((address, 0))
    return one


def refused(_: bytearray) -> SockDiag:
    raise PermissionError


def test_the_module_offers_its_collector() -> None:
    assert collector is SocketsCollector


def test_a_listening_tcp_port_is_reported_with_its_interface(opened: ExitStack) -> None:
    server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

    (listeners,) = collected()["tcp_listeners"]

    assert Listener(server.getsockname()[1], LOOPBACK, "lo") in listeners


def test_a_connection_is_seen_from_both_ends(opened: ExitStack) -> None:
    server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    client_port, server_port = connect(opened, socket.AF_INET, server, "127.0.0.1")

    (connections,) = collected()["connections"]

    assert {
        Connection(LOOPBACK, server_port, LOOPBACK, client_port, "lo"),
        Connection(LOOPBACK, client_port, LOOPBACK, server_port, "lo"),
    } <= set(connections)


def test_the_address_of_a_peer_is_reported_once(opened: ExitStack) -> None:
    server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    connect(opened, socket.AF_INET, server, "127.0.0.1")
    connect(opened, socket.AF_INET, server, "127.0.0.1")

    addresses = collected()["remote_address"]

    assert addresses.count(LOOPBACK) == 1


def test_a_bound_udp_socket_is_a_listener(opened: ExitStack) -> None:
    port = bind_udp(opened, socket.AF_INET, "127.0.0.1").getsockname()[1]

    (listeners,) = collected()["udp_listeners"]

    assert Listener(port, LOOPBACK, "lo") in listeners


def test_a_udp_socket_with_a_peer_is_no_listener(opened: ExitStack) -> None:
    server = bind_udp(opened, socket.AF_INET, "127.0.0.1")
    client = bind_udp(opened, socket.AF_INET, "127.0.0.1")
    client.connect(server.getsockname())

    (listeners,) = collected()["udp_listeners"]

    assert client.getsockname()[1] not in {one.port for one in listeners}


@needs_ipv6
def test_an_ipv4_peer_of_a_dual_stack_server_is_reported_as_ipv4(opened: ExitStack) -> None:
    server = opened.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::ffff:127.0.0.1", 0))
    server.listen()
    client_port, server_port = connect(opened, socket.AF_INET, server, "127.0.0.1")

    (connections,) = collected()["connections"]

    assert Connection(LOOPBACK, client_port, LOOPBACK, server_port, "lo") in connections


@needs_ipv6
def test_ipv6_sockets_are_reported(opened: ExitStack) -> None:
    server = opened.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
    client_port, server_port = connect(opened, socket.AF_INET6, server, "::1")

    (connections,) = collected()["connections"]

    assert Connection(ip_address("::1"), client_port, ip_address("::1"), server_port, "lo") in connections


def test_a_listener_is_reported_as_text(opened: ExitStack) -> None:
    port = bind_udp(opened, socket.AF_INET, "127.0.0.1").getsockname()[1]

    texts = collected(maximum_addresses=100_000)["local_listener"]

    assert f"udp/127.0.0.1/{port}" in texts


def test_lists_are_cut_at_maximum_listed(opened: ExitStack) -> None:
    for _ in range(2):
        opened.enter_context(socket.create_server(("127.0.0.1", 0)))

    (listeners,) = collected(maximum_listed=1)["tcp_listeners"]

    assert len(listeners) == 1


def test_counts_are_true_where_lists_are_cut(opened: ExitStack) -> None:
    for _ in range(2):
        opened.enter_context(socket.create_server(("127.0.0.1", 0)))

    (count,) = collected(maximum_listed=1)["listening_tcp_port_count"]

    assert count >= 2


def test_addresses_and_texts_are_cut_at_maximum_addresses(opened: ExitStack) -> None:
    bind_udp(opened, socket.AF_INET, "127.0.0.1")
    server = opened.enter_context(socket.create_server(("127.0.0.2", 0)))
    connect(opened, socket.AF_INET, server, "127.0.0.2")

    values = collected(maximum_addresses=1)

    assert [len(values[name]) for name in ("remote_address", "local_listener", "listener_address")] == [1, 1, 1]


def test_an_empty_list_is_reported_as_one() -> None:
    values = collected(maximum_listed=0)

    assert [values[name] for name in ("connections", "tcp_listeners", "udp_listeners")] == [[()], [()], [()]]


@pytest.mark.parametrize("option", ["maximum_addresses", "maximum_listed"])
def test_a_maximum_below_zero_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} = -1: must be 0 or more"):
        collected(**{option: -1})


def test_elsewhere_than_on_linux_it_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(Unsupported, match="darwin"):
        collected()


@pytest.mark.skipif(not has_netlink(), reason="netlink cannot be used here")
def test_both_ways_of_reading_see_the_same_sockets(opened: ExitStack) -> None:
    ports = set(open_some_of_each(opened))

    netlink = own(TableReader().read(), ports)

    assert netlink == own(TableReader(open_sock_diag=refused).read(), ports)


def test_every_socket_that_counts_is_seen(opened: ExitStack) -> None:
    ports = set(open_some_of_each(opened))

    established, listening, bound = own(TableReader().read(), ports)

    assert (len(established), len(listening), len(bound)) == ((6, 5, 4) if has_ipv6() else (2, 3, 2))


def open_some_of_each(opened: ExitStack) -> Iterator[int]:
    """Open sockets of every sort on loopback; yield their ports."""
    server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    yield from connect(opened, socket.AF_INET, server, "127.0.0.1")
    shared = opened.enter_context(socket.create_server(("127.0.0.1", 0), reuse_port=True))
    opened.enter_context(socket.create_server(shared.getsockname(), reuse_port=True))
    yield shared.getsockname()[1]
    yield opened.enter_context(socket.create_server(("127.0.0.3", 0))).getsockname()[1]
    udp = bind_udp(opened, socket.AF_INET, "127.0.0.1")
    yield udp.getsockname()[1]
    yield bind_udp(opened, socket.AF_INET, "127.0.0.53").getsockname()[1]
    client = bind_udp(opened, socket.AF_INET, "127.0.0.1")
    client.connect(udp.getsockname())
    yield client.getsockname()[1]
    if not has_ipv6():
        return
    server6 = opened.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
    yield from connect(opened, socket.AF_INET6, server6, "::1")
    dual = opened.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
    dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    dual.bind(("::ffff:127.0.0.1", 0))
    dual.listen()
    yield from connect(opened, socket.AF_INET, dual, "127.0.0.1")
    yield bind_udp(opened, socket.AF_INET6, "::1").getsockname()[1]
    yield bind_udp(opened, socket.AF_INET6, "::ffff:127.0.0.1").getsockname()[1]


def own(tables: Tables, ports: set[int]) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """Return the keys of the sockets on ``ports``: established, listening, bound. Others come and go at any time."""
    established, listening, bound = (
        {
            key
            for key in keys.ipv4 | keys.ipv6
            if FIELDS.unpack(key)[0] in ports and (not FIELDS.unpack(key)[1] or FIELDS.unpack(key)[1] in ports)
        }
        for keys in (tables.established, tables.tcp_listening, tables.udp_bound)
    )
    return established, listening, bound


def look(*command: str) -> dict[str, Any]:
    """Run look.py; return what it printed."""
    done = subprocess.run([*command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def namespace() -> dict[str, Any]:
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces cannot be made here (unshare --net --map-root-user)")
    if not has_ipv6():
        pytest.skip("this machine has no ::1")
    return look(*NAMESPACE, sys.executable, str(LOOK), "namespace")


@pytest.mark.needs_namespaces
def test_in_a_namespace_both_ways_of_reading_see_exactly_the_same(namespace: dict[str, Any]) -> None:
    assert namespace["netlink"] == namespace["proc"]


@pytest.mark.needs_namespaces
def test_in_a_namespace_every_connection_is_reported_and_nothing_else(namespace: dict[str, Any]) -> None:
    assert namespace["samples"]["connections"] == [
        "127.0.0.1 80 127.0.0.1 5000 lo",
        "127.0.0.2 82 127.0.0.2 5002 lo",
        "127.0.0.1 5000 127.0.0.1 80 lo",
        "127.0.0.2 5002 127.0.0.2 82 lo",
        "::1 81 ::1 5001 lo",
        "::1 5001 ::1 81 lo",
    ]


@pytest.mark.needs_namespaces
def test_in_a_namespace_every_listener_is_reported_and_nothing_else(namespace: dict[str, Any]) -> None:
    samples = namespace["samples"]

    assert (samples["tcp_listeners"], samples["udp_listeners"]) == (
        ["22 None", "80 lo", "81 lo", "82 None", "83 lo", "84 lo"],
        ["53 lo", "54 lo", "55 None", "56 lo", "68 None"],
    )


@pytest.mark.needs_namespaces
def test_in_a_namespace_the_counts_are_those_of_the_lists(namespace: dict[str, Any]) -> None:
    samples = namespace["samples"]

    assert [
        samples[name]
        for name in ("connection_count", "listening_tcp_port_count", "listening_udp_port_count", "remote_address_count")
    ] == [[6], [6], [5], [3]]


@pytest.mark.needs_namespaces
def test_in_a_namespace_every_endpoint_is_reported_as_text(namespace: dict[str, Any]) -> None:
    assert namespace["samples"]["local_listener"] == [
        "tcp/0.0.0.0/22",
        "tcp/::/22",
        "udp/127.0.0.53/53",
        "udp/::1/54",
        "udp/::/55",
        "udp/127.0.0.1/56",
        "udp/0.0.0.0/68",
        "tcp/127.0.0.1/80",
        "tcp/::1/81",
        "tcp/::/82",
        "tcp/127.0.0.1/83",
        "tcp/0.0.0.0/84",
    ]


@needs_filter
def test_where_netlink_is_forbidden_everything_is_reported_from_proc() -> None:
    answer = look(sys.executable, str(LOOK), "forbidden")

    assert f"{answer['port']} lo" in answer["samples"]["tcp_listeners"]


@needs_filter
def test_where_netlink_is_forbidden_that_is_reported_too() -> None:
    answer = look(sys.executable, str(LOOK), "forbidden")

    assert answer["samples"]["tables_from_proc"] == [4]


def test_where_neither_way_works_nothing_is_reported(tmp_path: Path) -> None:
    blind = SocketsCollector(proc=tmp_path)
    blind._tables = TableReader(tmp_path, refused)

    with pytest.raises(CollectError):
        next(iter(blind.collect()))
