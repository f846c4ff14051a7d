"""What is in memory when an agent is told to stop, or to read its configuration again, is in a record later, once."""

from __future__ import annotations

import signal

from end_to_end.usage_device import Device, Meters, cloud, devices, meters
from end_to_end.usage_settings import HANDED, LEVELS, NUMBERED, NUMBERED_METERS

__all__ = ["cloud", "devices", "meters"]  # fixtures

NEVER_S = 3600  # between two commits: what is committed before is committed at the end


def commit_each(device: Device, seconds: int) -> None:
    device.agent.config.journal_interval_s = seconds  # type: ignore[attr-defined]
    device.agent.write()


def test_sigterm_commits_what_is_in_memory(meters: Meters) -> None:
    device = meters.make(LEVELS, journal_interval_s=NEVER_S)
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    device.wait_until_taken()

    code = device.agent.stop()
    commit_each(device, 1)
    device.agent.start()
    meters.billed.until_total("levels", 5050)

    assert (code, len(meters.billed.repeats())) == (0, 0)


def test_sighup_commits_what_is_in_memory(meters: Meters) -> None:
    device = meters.make(LEVELS, journal_interval_s=NEVER_S)
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    device.wait_until_taken()

    commit_each(device, 1)
    device.agent.signal(signal.SIGHUP)

    meters.billed.until_total("levels", 5050)


def test_sighup_again_and_again_loses_and_repeats_nothing(meters: Meters) -> None:
    device = meters.numbered(devrev="maximum_points = 10")
    device.agent.start()
    for number in range(1, 5):
        meters.billed.points("pieces", 30 * number)
        device.agent.signal(signal.SIGHUP)
        device.agent.wait_for("SIGHUP: the configuration is read again", number)

    device.silence()
    device.wait_until_settled(meters.billed)

    assert device.lost(meters.billed) == []
    assert (meters.billed.repeats(), device.agent.logs[0].text().count("Traceback")) == ([], 0)


def test_sigterm_while_requests_are_on_their_way_loses_and_repeats_nothing(meters: Meters) -> None:
    device = meters.numbered(devrev="maximum_points = 10")
    for number in range(1, 4):
        device.agent.start()
        meters.billed.points("pieces", 40 * number)
        assert device.agent.stop() == 0

    device.silence()
    device.agent.start()
    device.wait_until_settled(meters.billed)
    device.agent.stop()

    assert device.lost(meters.billed) == []
    assert set(device.totals().points("waiting").values()) == {0}


def test_a_collector_that_the_configuration_gains_is_metered_after_sighup(meters: Meters) -> None:
    device = meters.make(LEVELS, *NUMBERED_METERS)
    meters_of_both = device.agent.config
    device.agent.start()
    device.hand_over("level", 5)
    meters.billed.until_total("levels", 5)

    meters_of_both.collectors = HANDED + NUMBERED
    device.agent.write()
    device.agent.signal(signal.SIGHUP)
    meters.billed.points("pieces", 20)
    device.hand_over("level", 6)

    meters.billed.until_total("levels", 11)
