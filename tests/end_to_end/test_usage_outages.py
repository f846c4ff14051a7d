"""What waits while DevRev is away, refuses the token or asks to wait goes out afterwards, as it was measured."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from end_to_end.registration_device import HANGS_S
from end_to_end.usage_billed import INGEST
from end_to_end.usage_device import BACK_S, Meters, cloud, devices, meters
from end_to_end.usage_settings import LEVELS, Meter
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev import Fault
from thingmeter.sandbox.devrev.switches import ThrottleForm

__all__ = ["cloud", "devices", "meters"]  # fixtures

NEWEST = Meter("newest", "handed.level", "latest")


def test_the_backlog_of_an_outage_comes_complete_and_with_its_own_times(meters: Meters, cloud: Sandbox) -> None:
    device = meters.make(LEVELS, NEWEST)
    cloud.services_down()
    device.agent.start()
    for value in (1, 2, 3):
        device.hand_over("level", value)
        device.wait_until_taken()
    device.agent.wait_for("nothing listens there")
    back = datetime.now(UTC)

    cloud.services_up()
    meters.billed.until_total("levels", 6, BACK_S)

    times = [point.at for point in meters.billed.points("newest", 3)]
    assert [point.value for point in meters.billed.points("newest")] == [1, 2, 3]
    assert times == sorted(set(times))
    assert times[-1] < back


def test_a_server_that_hangs_and_goes_away_bills_what_it_took_once(meters: Meters, cloud: Sandbox) -> None:
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.delay_s = "late", HANGS_S
    device = meters.make(LEVELS)
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    meters.billed.until_total("levels", 5050)

    cloud.services_down()
    faults.kind = "none"
    device.hand_over("level", 1)
    cloud.services_up()
    meters.billed.until_total("levels", 5051, BACK_S)
    device.agent.stop()

    assert device.totals().amounts("delivered") == {"levels": 5051}
    assert len(meters.billed.repeats()) == 1


def test_killed_while_the_server_hangs_the_agent_sends_the_same_record_again(meters: Meters, cloud: Sandbox) -> None:
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.delay_s = "late", HANGS_S
    device = meters.make(LEVELS)
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    meters.billed.until_total("levels", 5050)

    device.agent.kill()
    faults.kind = "none"
    device.agent.start()
    meters.billed.until(lambda: len(meters.billed.repeats()) == 1, "the same again")
    device.agent.stop()

    assert meters.billed.total("levels") == device.totals().amounts("delivered")["levels"] == 5050


def test_sigterm_while_the_server_hangs_ends_in_time_and_keeps_the_record(meters: Meters, cloud: Sandbox) -> None:
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.delay_s = "late", HANGS_S
    device = meters.make(LEVELS)
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    meters.billed.until_total("levels", 5050)

    code = device.agent.stop()

    assert (code, device.totals().amounts("waiting")) == (0, {"levels": 5050})


def test_a_new_token_in_the_file_is_used_without_a_restart(meters: Meters, cloud: Sandbox, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text("old")
    cloud.devrev.tokens |= {"old", "new"}
    cloud.devrev.switches.expired_tokens.add("old")
    device = meters.make(LEVELS, token_file=token_file)
    device.hand_over("level", *range(1, 101))
    device.agent.start()
    device.agent.wait_for("the token in")

    token_file.write_text("new\n")
    meters.billed.until_total("levels", 5050, BACK_S)

    assert {call.status for call in meters.billed.ingests() if call.token == "old"} == {401}


@pytest.mark.parametrize(("form", "after_s"), [("seconds", 1), ("body", 1), ("date", 2)])
def test_a_429_is_waited_for_as_long_as_it_asks(
    meters: Meters, cloud: Sandbox, form: ThrottleForm, after_s: float
) -> None:
    cloud.devrev.switches.throttle_form = form
    cloud.devrev.switches.faults.append(Fault("throttled", INGEST, remaining=2, after_s=after_s))
    device = meters.make(LEVELS)
    device.hand_over("level", *range(1, 101))

    device.agent.start()
    meters.billed.until_total("levels", 5050, BACK_S)

    calls = meters.billed.ingests()
    least_s = after_s - 1 if form == "date" else after_s  # a date has no fraction of a second
    assert [call.status for call in calls] == [429, 429, 200]
    assert min(after.monotonic_s - before.monotonic_s for before, after in pairwise(calls)) >= least_s
