from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collectors.sockets.keys import CLOSE, ESTABLISHED, LISTEN, done, failure, key, record, scripted_kernel
from thingmeter.collectors.sockets.sock_diag import SockDiag
from thingmeter.collectors.sockets.tables import TableReader
from thingmeter.errors import CollectError

COLUMNS = "  sl  local_address rem_address   st\n"
HTTP = key("0.0.0.0", 80)


class Kernel:
    """Answers conversation after conversation with the datagrams given for it; refuses one for which there are none."""

    def __init__(self, *conversations: tuple[bytes, ...]) -> None:
        self._conversations = iter(conversations)
        self._opened = ExitStack()

    def open(self, buffer: bytearray) -> SockDiag:
        datagrams = next(self._conversations, ())
        if not datagrams:
            raise PermissionError(errno.EPERM, "forbidden")
        ours, kernel = scripted_kernel(datagrams)
        self._opened.enter_context(kernel)
        return SockDiag(ours, buffer)

    def close(self) -> None:
        self._opened.close()


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Tables in which only SSH listens, on port 22."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(f"{COLUMNS}   0: 00000000:0016 00000000:0000 0A 0\n")
    (tmp_path / "net" / "udp").write_text(COLUMNS)
    return tmp_path


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def reader(proc: Path, opened: ExitStack, *conversations: tuple[bytes, ...]) -> TableReader:
    kernel = Kernel(*conversations)
    opened.callback(kernel.close)
    return TableReader(proc, kernel.open)


def test_all_four_tables_come_from_netlink_where_it_works(proc: Path, opened: ExitStack) -> None:
    tables = reader(proc, opened, (record(HTTP, LISTEN) + done(), done(), done(), done())).read()

    assert (tables.tcp_listening.ipv4, tables.from_proc) == ({HTTP}, 0)


def test_each_sort_of_socket_has_its_place(proc: Path, opened: ExitStack) -> None:
    connection = key("2001:db8::1", 80, "2001:db8::2", 40000)
    dns = key("::", 53)
    answers = (done(), record(connection, ESTABLISHED) + done(), done(), record(dns, CLOSE) + done())

    tables = reader(proc, opened, answers).read()

    assert (tables.established.ipv6, tables.udp_bound.ipv6) == ({connection}, {dns})


def test_without_netlink_all_four_tables_come_from_proc(proc: Path, opened: ExitStack) -> None:
    tables = reader(proc, opened).read()

    assert (tables.tcp_listening.ipv4, tables.from_proc) == ({key("0.0.0.0", 22)}, 4)


def test_a_missing_module_costs_only_its_own_table(proc: Path, opened: ExitStack) -> None:
    tables = reader(proc, opened, (failure(errno.ENOENT), done(), done(), done())).read()

    assert (tables.tcp_listening.ipv4, tables.from_proc) == ({key("0.0.0.0", 22)}, 1)


def test_a_missing_module_is_not_asked_for_again(proc: Path, opened: ExitStack) -> None:
    tables = reader(proc, opened, (failure(errno.ENOENT), done(), done(), done()), (done(), done(), done()))
    tables.read()

    again = tables.read()

    assert again.from_proc == 1


def test_after_any_other_error_the_tables_that_are_left_come_from_proc(proc: Path, opened: ExitStack) -> None:
    tables = reader(proc, opened, (record(HTTP, LISTEN) + done(), failure(errno.EPERM))).read()

    assert (tables.tcp_listening.ipv4, tables.from_proc) == ({HTTP}, 3)


def test_netlink_is_tried_again_after_an_error(proc: Path, opened: ExitStack) -> None:
    tables = reader(proc, opened, (failure(errno.EPERM),), (done(), done(), done(), done()))
    tables.read()

    again = tables.read()

    assert again.from_proc == 0


def test_a_dump_that_breaks_off_leaves_nothing_behind(proc: Path, opened: ExitStack) -> None:
    tables = reader(proc, opened, (record(HTTP, LISTEN),)).read()

    assert tables.tcp_listening.ipv4 == {key("0.0.0.0", 22)}


def test_neither_way_is_an_error(tmp_path: Path, opened: ExitStack) -> None:
    with pytest.raises(CollectError):
        reader(tmp_path, opened).read()


def test_reading_leaves_no_file_open() -> None:
    tables = TableReader()
    before = len(list(Path("/proc/self/fd").iterdir()))

    tables.read()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
