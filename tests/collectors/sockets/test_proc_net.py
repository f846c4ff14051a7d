from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from collectors.sockets.keys import CLOSE, ESTABLISHED, LISTEN, key
from thingmeter.collectors.sockets import proc_net
from thingmeter.errors import CollectError

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the tables below are of a little-endian machine")

COLUMNS = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0 1077 1 00000000458c465a 100 0 0 10 0\n"
TCP = (
    COLUMNS
    + f"   0: 00000000:0016 00000000:0000 0A {REST}"
    + f"   1: 020200C0:C350 016433C6:01BB 01 {REST}"
    + f"   2: 020200C0:C351 016433C6:01BB 06 {REST}"
)
TCP6 = COLUMNS + ("   0: B80D0120000000000000000001000000:0050 B80D0120000000000000000002000000:D431 01 " + REST)
UDP = COLUMNS + f"  35: 3500007F:0035 00000000:0000 07 {REST}" + f"  36: 0100007F:C000 0100007F:0035 01 {REST}"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    net = tmp_path / "net"
    net.mkdir()
    for name, table in (("tcp", TCP), ("tcp6", TCP6), ("udp", UDP)):
        (net / name).write_text(table)
    return tmp_path


def test_sockets_in_the_wanted_states_are_found(proc: Path) -> None:
    found = proc_net.read(proc, socket.IPPROTO_TCP, socket.AF_INET, (ESTABLISHED, LISTEN))

    assert found == {
        LISTEN: {key("0.0.0.0", 22)},
        ESTABLISHED: {key("192.0.2.2", 50000, "198.51.100.1", 443)},
    }


def test_ipv6_addresses_are_turned_into_network_order(proc: Path) -> None:
    found = proc_net.read(proc, socket.IPPROTO_TCP, socket.AF_INET6, (ESTABLISHED,))

    assert found == {ESTABLISHED: {key("2001:db8::1", 80, "2001:db8::2", 54321)}}


def test_a_udp_socket_with_a_peer_is_left_out(proc: Path) -> None:
    found = proc_net.read(proc, socket.IPPROTO_UDP, socket.AF_INET, (CLOSE,))

    assert found == {CLOSE: {key("127.0.0.53", 53)}}


def test_a_kernel_without_ipv6_has_no_ipv6_sockets(proc: Path) -> None:
    found = proc_net.read(proc, socket.IPPROTO_UDP, socket.AF_INET6, (CLOSE,))

    assert found == {}


def test_a_missing_ipv4_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match=r"net/tcp is missing, and netlink cannot be used"):
        proc_net.read(tmp_path, socket.IPPROTO_TCP, socket.AF_INET, (LISTEN,))


def test_a_table_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "net" / "tcp").mkdir(parents=True)

    with pytest.raises(CollectError, match=r"net/tcp cannot be read \(Is a directory\)"):
        proc_net.read(tmp_path, socket.IPPROTO_TCP, socket.AF_INET, (LISTEN,))


@pytest.mark.parametrize("line", ["no table\n", f"   0: xxxxxxxx:yyyy 00000000:0000 0A {REST}", "\n"])
def test_what_is_no_table_of_sockets_is_an_error(proc: Path, line: str) -> None:
    (proc / "net" / "tcp").write_text(COLUMNS + line)

    with pytest.raises(CollectError, match="no table of sockets"):
        proc_net.read(proc, socket.IPPROTO_TCP, socket.AF_INET, (LISTEN,))


def test_the_real_table_has_a_real_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = proc_net.read(Path("/proc"), socket.IPPROTO_TCP, socket.AF_INET, (LISTEN,))

        assert key("127.0.0.1", listener.getsockname()[1]) in found[LISTEN]
