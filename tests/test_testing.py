from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from thingmeter.errors import CollectError, Rejected, Unreachable
from thingmeter.metrics import Metric, Sample
from thingmeter.protocols import Clock, Transport
from thingmeter.testing import ManualClock, ScriptedTransport, check_collector

LITRES = Metric("litres", unit="l", dimensions=("line",))


class Yields:
    """A collector of what it is given."""

    metrics = (LITRES,)

    def __init__(self, *samples: object) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Sample]:
        return self._samples  # type: ignore[return-value]  # wrong ones are the point


def test_a_manual_clock_is_a_clock() -> None:
    clock: Clock = ManualClock(uptime_s=7)

    assert clock.monotonic() == 7


def test_a_manual_clock_stands_still() -> None:
    clock = ManualClock()

    assert (clock.now(), clock.monotonic()) == (clock.now(), clock.monotonic())


def test_advance_moves_all_clocks() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC), uptime_s=10)

    clock.advance(5)

    assert (clock.now(), clock.monotonic(), clock.boottime()) == (datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC), 15, 15)


def test_a_step_moves_the_wall_clock_only() -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC), uptime_s=10)

    clock.step(-86400)

    assert (clock.now(), clock.monotonic(), clock.boottime()) == (datetime(2026, 1, 1, tzinfo=UTC), 10, 10)


def test_a_suspended_machine_has_no_monotonic_time() -> None:
    clock = ManualClock(uptime_s=10)
    before = clock.now()

    clock.suspend(60)

    assert (clock.now() - before, clock.monotonic(), clock.boottime()) == (timedelta(seconds=60), 10, 70)


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="step"):
        ManualClock().advance(-1)


def test_a_reboot_gives_another_boot_id() -> None:
    clock = ManualClock()
    before = clock.boot_id()

    clock.reboot()

    assert clock.boot_id() != before


def test_a_reboot_takes_the_uptime() -> None:
    clock = ManualClock()

    clock.reboot()

    assert (clock.monotonic(), clock.boottime()) == (0, 0)


def test_a_clock_can_be_unsynchronised() -> None:
    clock = ManualClock()

    clock.is_synchronised = False

    assert not clock.synchronised()


def test_a_scripted_transport_is_a_transport() -> None:
    scripted = ScriptedTransport()
    transport: Transport = scripted

    transport.close()

    assert scripted.is_closed


def test_a_scripted_transport_follows_its_script() -> None:
    transport = ScriptedTransport(None, Unreachable("timeout"), Rejected("no"))

    transport.send(b"1", key="a", timeout_s=1)

    with pytest.raises(Unreachable):
        transport.send(b"1", key="b", timeout_s=1)
    with pytest.raises(Rejected):
        transport.send(b"1", key="c", timeout_s=1)


def test_a_scripted_transport_accepts_all_that_the_script_does_not_say() -> None:
    transport = ScriptedTransport()

    transport.send(b"1", key="a", timeout_s=1)

    assert transport.keys == ["a"]


def test_a_scripted_transport_keeps_what_it_refused_as_well() -> None:
    transport = ScriptedTransport(Unreachable("timeout"))

    with pytest.raises(Unreachable):
        transport.send(b"one", key="a", timeout_s=1)

    assert (transport.sent, transport.payloads) == ([("a", b"one")], [b"one"])


def test_a_sound_collector_passes_with_its_samples() -> None:
    sample = LITRES.sample(3, {"line": "1"})

    assert check_collector(Yields(sample)) == (sample,)


@pytest.mark.parametrize(
    ("sample", "mistake"),
    [
        (Metric("other", unit="1").sample(1), "not declared"),
        (LITRES.sample("3"), "type str does not fit"),
        (LITRES.sample(float("nan")), "not a finite number"),
        (LITRES.sample(1, {"site": "north"}), "does not declare"),
        (7, "int is not a Sample"),
    ],
)
def test_a_wrong_sample_fails_the_check(sample: object, mistake: str) -> None:
    with pytest.raises(AssertionError, match=mistake):
        check_collector(Yields(sample))


def test_the_check_names_every_mistake() -> None:
    with pytest.raises(AssertionError, match=r"(?s)int is not a Sample.*str is not a Sample"):
        check_collector(Yields(7, "x"))


def test_a_collector_without_metrics_fails_the_check() -> None:
    class Empty(Yields):
        metrics = ()  # type: ignore[assignment]

    with pytest.raises(AssertionError, match="declares no metrics"):
        check_collector(Empty())


def test_what_a_collector_raises_goes_through_the_check() -> None:
    class Broken(Yields):
        def collect(self) -> Iterable[Sample]:
            raise CollectError("sensor gone")

    with pytest.raises(CollectError, match="sensor gone"):
        check_collector(Broken())
