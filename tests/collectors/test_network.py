from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from thingmeter.collectors.network import MAXIMUM_REMEMBERED, NetworkCollector, Totals
from thingmeter.metrics import Value

HEADINGS = "Inter-|   Receive   |  Transmit\n face |bytes    packets errs ...|bytes    packets errs ...\n"
ARPHRD_ETHER = 1
ARPHRD_PPP = 512


class Machine:
    """A fixture /proc and /sys with network interfaces that can be made, renamed, removed and used."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.sys = folder / "sys"
        self.made = 0
        self.received: dict[str, int] = {}
        (self.proc / "net").mkdir(parents=True)
        (self.sys / "class/net").mkdir(parents=True)
        self.write()

    def make(self, name: str, *facts: str, kind: int = ARPHRD_ETHER, received: int = 0) -> None:
        path = self.sys / "class/net" / name
        path.mkdir()
        self.made += 1
        (path / "ifindex").write_text(f"{self.made}\n")
        (path / "type").write_text(f"{kind}\n")
        for fact in facts:
            (path / fact).mkdir()
        self.set(name, received)

    def set(self, name: str, received: int) -> None:
        self.received[name] = received
        self.write()

    def remove(self, name: str) -> None:
        shutil.rmtree(self.sys / "class/net" / name, ignore_errors=True)
        del self.received[name]
        self.write()

    def hide(self, name: str) -> None:
        """Take it out of sight but keep its ifindex, as when it is lent to a container."""
        del self.received[name]
        self.write()

    def rename(self, old: str, new: str) -> None:
        (self.sys / "class/net" / old).rename(self.sys / "class/net" / new)
        self.received[new] = self.received.pop(old)
        self.write()

    def write(self) -> None:
        rows = [
            f"{name:>6}: {number} 2 3 4 0 0 0 0 {number + 10} 12 13 14 0 0 0 0\n"
            for name, number in self.received.items()
        ]
        (self.proc / "net/dev").write_text(HEADINGS + "".join(rows))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def collector_on(machine: Machine, *, exclude: tuple[str, ...] = (), include: tuple[str, ...] = ()) -> NetworkCollector:
    return NetworkCollector(exclude=exclude, include=include, proc=machine.proc, sys=machine.sys)


def readings(collector: NetworkCollector) -> Mapping[tuple[str, ...], Value]:
    samples = collector.collect()
    return {(sample.metric.name, *(value for _, value in sample.dimensions)): sample.value for sample in samples}


def counted(collector: NetworkCollector) -> set[str]:
    return {interface for _, *interfaces in readings(collector) for interface in interfaces}


def total(collector: NetworkCollector) -> Value:
    return readings(collector)["total_received_bytes",]


def test_each_column_of_the_kernel_is_told_under_its_name(machine: Machine) -> None:
    machine.make("eth0", "device", received=1)

    told = readings(collector_on(machine))

    assert {name: value for (name, *interface), value in told.items() if interface} == {
        "received_bytes": 1,
        "sent_bytes": 11,
        "received_packets": 2,
        "sent_packets": 12,
        "receive_errors": 3,
        "send_errors": 13,
        "receive_drops": 4,
        "send_drops": 14,
    }


def test_hardware_is_counted_under_any_name(machine: Machine) -> None:
    machine.make("uplink", "device")

    assert counted(collector_on(machine)) == {"uplink"}


@pytest.mark.parametrize(
    "name", ["lo", "veth1a2b", "docker0", "br-12ab", "virbr0", "cni0", "flannel.1", "cali12", "tun0", "wg0", "dummy0"]
)
def test_virtual_interfaces_are_left_out(machine: Machine, name: str) -> None:
    machine.make(name)

    assert counted(collector_on(machine)) == set()


def test_what_is_built_on_a_counted_interface_is_left_out(machine: Machine) -> None:
    machine.make("eth0", "device")
    machine.make("eth0.100", "lower_eth0")

    assert counted(collector_on(machine)) == {"eth0"}


def test_a_modem_that_is_a_ppp_link_is_counted(machine: Machine) -> None:
    machine.make("3g-wan", kind=ARPHRD_PPP)

    assert counted(collector_on(machine)) == {"3g-wan"}


def test_a_containers_own_uplink_is_counted_though_virtual(machine: Machine) -> None:
    machine.make("eth0")

    assert counted(collector_on(machine)) == {"eth0"}


def test_without_sys_names_decide(machine: Machine) -> None:
    for name in ("eth0", "wlan0", "docker0", "lo"):
        machine.set(name, 1)

    assert counted(collector_on(machine)) == {"eth0", "wlan0"}


def test_an_excluded_interface_is_left_out(machine: Machine) -> None:
    machine.make("eth0", "device")
    machine.make("eth1", "device")

    assert counted(collector_on(machine, exclude=("*1",))) == {"eth0"}


def test_included_interfaces_are_exactly_the_counted_ones(machine: Machine) -> None:
    machine.make("eth0", "device")
    machine.make("wg0")

    assert counted(collector_on(machine, include=("wg*",))) == {"wg0"}


def test_exclude_goes_before_include(machine: Machine) -> None:
    machine.make("eth0", "device")
    machine.make("eth1", "device")

    assert counted(collector_on(machine, include=("eth*",), exclude=("eth1",))) == {"eth0"}


def test_an_interface_made_anew_as_another_kind_is_judged_anew(machine: Machine) -> None:
    machine.make("uplink", "device")
    collector = collector_on(machine)
    readings(collector)
    machine.remove("uplink")
    readings(collector)
    machine.make("uplink")

    assert counted(collector) == set()


def test_without_any_interface_there_are_still_totals(machine: Machine) -> None:
    assert total(collector_on(machine)) == 0


def test_totals_begin_at_zero_with_the_agent(machine: Machine) -> None:
    machine.make("eth0", "device", received=1_000_000)

    assert total(collector_on(machine)) == 0


def test_totals_grow_by_what_every_interface_counted(machine: Machine) -> None:
    machine.make("eth0", "device", received=1000)
    machine.make("wlan0", "device", received=5000)
    collector = collector_on(machine)
    readings(collector)
    machine.set("eth0", 1001)
    machine.set("wlan0", 5020)

    assert total(collector) == 21


def test_interfaces_left_out_are_in_no_total(machine: Machine) -> None:
    machine.make("lo", received=1)
    collector = collector_on(machine)
    readings(collector)
    machine.set("lo", 1000)

    assert total(collector) == 0


def test_totals_stay_when_an_interface_vanishes(machine: Machine) -> None:
    machine.make("eth0", "device", received=1000)
    collector = collector_on(machine)
    readings(collector)
    machine.set("eth0", 1500)
    readings(collector)
    machine.remove("eth0")

    assert total(collector) == 500


def test_a_count_that_began_anew_adds_its_new_value(machine: Machine) -> None:
    machine.make("eth0", "device", received=1000)
    collector = collector_on(machine)
    readings(collector)
    machine.set("eth0", 30)

    assert total(collector) == 30


def test_one_count_that_began_anew_leaves_the_others_as_they_are() -> None:
    totals = Totals()
    totals.add({2: (100, 50, 9, 9, 0, 0, 0, 7)})

    assert totals.add({2: (110, 55, 9, 9, 0, 0, 0, 2)}) == (10, 5, 0, 0, 0, 0, 0, 2)


def test_an_interface_come_up_since_adds_all_its_counts(machine: Machine) -> None:
    machine.make("eth0", "device", received=1000)
    collector = collector_on(machine)
    readings(collector)
    machine.make("wwan0", "device", received=70)

    assert total(collector) == 70


def test_an_interface_made_anew_adds_all_its_counts_even_when_they_are_higher(machine: Machine) -> None:
    machine.make("wwan0", "device", received=100)
    collector = collector_on(machine)
    readings(collector)
    machine.remove("wwan0")
    machine.make("wwan0", "device", received=150)

    assert total(collector) == 150


def test_a_renamed_interface_goes_on_where_it_was(machine: Machine) -> None:
    machine.make("eth0", "device", received=1000)
    collector = collector_on(machine)
    readings(collector)
    machine.rename("eth0", "wan0")
    machine.set("wan0", 1003)

    assert total(collector) == 3


def test_an_interface_gone_for_a_time_goes_on_where_it_was(machine: Machine) -> None:
    machine.make("eth0", "device", received=1000)
    collector = collector_on(machine)
    readings(collector)
    machine.hide("eth0")
    readings(collector)
    machine.set("eth0", 1004)

    assert total(collector) == 4


def test_without_sys_an_interface_first_seen_later_adds_nothing_at_first(machine: Machine) -> None:
    machine.set("eth0", 1000)
    collector = collector_on(machine)
    readings(collector)
    machine.remove("eth0")
    machine.set("eth1", 1010)

    assert total(collector) == 0


def test_interfaces_that_come_and_go_for_ever_are_not_all_remembered() -> None:
    totals = Totals()
    for ifindex in range(1, 1000):
        totals.add({ifindex: (1,) * 8})

    assert totals.add({1: (5,) * 8}) == (998 + 5,) * 8, f"the first of 1000 is past the last {MAXIMUM_REMEMBERED}"


def test_the_interfaces_that_went_last_are_remembered() -> None:
    totals = Totals()
    for ifindex in range(1, 1000):
        totals.add({ifindex: (1,) * 8})

    assert totals.add({999 - MAXIMUM_REMEMBERED: (5,) * 8}) == (998 + 4,) * 8


def test_the_real_loopback_counts_what_is_sent_through_it() -> None:
    collector = NetworkCollector(include=("lo",))
    readings(collector)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(b"x" * 1000, receiver.getsockname())

    sent = readings(collector)["total_sent_bytes",]

    assert isinstance(sent, int)
    assert sent >= 1000
