"""The whole way of usage records over real HTTPS, counted at DevRev: nothing lost and nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.transports import HttpsRig
from devrev.usage_records import Bench, aside, freeze, waiting
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.destinations.devrev.sizing import Limits
from thingmeter.destinations.devrev.transport import UsageTransport
from thingmeter.outbox import Outbox
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev import Fault
from thingmeter.testing import ManualClock

PROXY_VARIABLES = ("https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")
COUNT = 40


class Device:
    """An outbox with serial numbers, delivered to a sandbox; ``restart`` as after a crash."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.clock = ManualClock()
        self.rig = HttpsRig(sandbox, folder)
        self._folder = folder
        account = Account(sandbox.devrev_url, str(self.rig.token_file), ca_file=str(sandbox.ca_file))
        self.transport = UsageTransport(account, Pause(self.clock), self.clock)
        self._open()
        freeze(self.outbox, range(1, COUNT + 1))

    def _open(self) -> None:
        limits = OutboxSettings(minimum_free_bytes=0)
        self.outbox = Outbox.open(self._folder / "outbox.db", limits=limits, clock=self.clock)
        self.bench = Bench(self.outbox, self.clock, self.transport, limits=Limits(points=8))

    def restart(self) -> None:
        self.outbox.close()
        self._open()

    def close(self) -> None:
        self.rig.close()
        self.transport.close()
        self.outbox.close()

    def arrived(self) -> Counter[str]:
        return Counter(point.id for point in self.sandbox.devrev.points("litres"))

    @property
    def total(self) -> float:
        return sum(self.sandbox.devrev.totals("litres").values())


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with Sandbox(tmp_path / "sandbox") as sandbox:
        made = Device(sandbox, tmp_path)
        yield made
        made.close()


def on_the_way(kind: str) -> Callable[[Sandbox], None]:
    def spoil(sandbox: Sandbox) -> None:
        faults = sandbox.http_faults["devrev"]
        faults.kind, faults.remaining = kind, 1  # type: ignore[assignment]  # one of the kinds

    return spoil


def at_devrev(fault: Fault) -> Callable[[Sandbox], None]:
    def spoil(sandbox: Sandbox) -> None:
        sandbox.devrev.switches.faults = [Fault(fault.kind, fault.operation, 1, fault.status, fault.after_s)]

    return spoil


TROUBLES = {
    "the answer is lost": on_the_way("missing"),
    "the request is lost": on_the_way("refused"),
    "half an answer": on_the_way("half"),
    "garbage": on_the_way("garbage"),
    "a page on the way": on_the_way("html"),
    "an error after it was stored": at_devrev(Fault("error after")),
    "an error before": at_devrev(Fault("error before", status=503)),
    "a page of a proxy": at_devrev(Fault("html")),
    "a redirect": at_devrev(Fault("redirect")),
    "an oversized answer": at_devrev(Fault("oversized")),
    "no JSON": at_devrev(Fault("not JSON")),
    "throttled": at_devrev(Fault("throttled")),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_record_counts_once_whatever_goes_wrong_once(device: Device, trouble: str) -> None:
    TROUBLES[trouble](device.sandbox)
    device.bench.step(2)

    device.bench.drain()

    assert (device.total, set(device.arrived().values())) == (COUNT * (COUNT + 1) / 2, {1})


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_record_counts_once_when_the_agent_starts_anew_after_it(device: Device, trouble: str) -> None:
    TROUBLES[trouble](device.sandbox)
    device.bench.step(1)
    device.restart()

    device.bench.drain()

    assert (device.total, set(device.arrived().values())) == (COUNT * (COUNT + 1) / 2, {1})


def test_a_week_without_a_valid_token_loses_nothing_and_doubts_nothing(device: Device) -> None:
    token = device.rig.token_file.read_text()
    device.rig.token_file.write_text("an.expired.token")
    for _ in range(7):
        device.bench.step(3)
        device.clock.advance(86_400)
    device.rig.token_file.write_text(token)

    device.bench.drain()

    assert (device.total, aside(device.outbox)) == (COUNT * (COUNT + 1) / 2, [])


def test_what_a_devrev_without_memory_lacks_or_may_have_twice_is_listed_as_doubtful(device: Device) -> None:
    device.sandbox.devrev.switches.remembers_ids = False
    on_the_way("missing")(device.sandbox)
    device.bench.step(1)
    device.clock.advance(86_500)

    device.bench.drain()

    assert aside(device.outbox) == [f"litres-{number}" for number in range(1, 9)]
    assert set(device.arrived().values()) == {1}


def test_a_devrev_that_was_down_for_a_while_gets_everything(device: Device) -> None:
    device.sandbox.services_down()
    device.bench.step(5)
    device.sandbox.services_up()

    device.bench.drain()

    assert (device.total, waiting(device.outbox)) == (COUNT * (COUNT + 1) / 2, [])


def test_an_id_that_devrev_finds_too_long_is_set_aside_and_the_rest_arrives(device: Device) -> None:
    device.sandbox.devrev.switches.maximum_id_length = len("litres-9")

    device.bench.drain()

    assert aside(device.outbox) == [f"litres-{number}" for number in range(10, COUNT + 1)]
    assert device.total == 45
