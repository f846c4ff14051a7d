"""Registration over starts: what is remembered costs no call, what is not waits for the device's turn."""

from __future__ import annotations

import json

import pytest

from registration.devices import KEY, SPREAD_S, VERIFY_S, Device, Metric, ScriptedAttempts, outcome, registered
from thingmeter.errors import Denied, Unreachable
from thingmeter.outbox import Outbox
from thingmeter.plans import Standing
from thingmeter.registration.registration import Registration
from thingmeter.registration.spread import share
from thingmeter.testing import ManualClock

CPU, DISK = Metric("cpu"), Metric("disk")
OWN_S = share("pump-7") * SPREAD_S


def settled(device: Device, *metrics: Metric) -> Registration:
    """Return the registration of an agent that has registered ``metrics`` just now."""
    registration = device.start(ScriptedAttempts(metrics), *metrics)
    device.live(registration, OWN_S)
    return registration


def test_the_first_attempt_waits_for_the_share_of_the_spread(device: Device) -> None:
    attempts = ScriptedAttempts([CPU])

    registration = device.start(attempts, CPU)
    registration.step()

    assert attempts.count == 0
    assert registration.due_in_s() == pytest.approx(OWN_S)


def test_without_a_spread_the_first_attempt_is_made_at_once(device: Device) -> None:
    device.spread_s = 0
    attempts = ScriptedAttempts([CPU])

    device.start(attempts, CPU).step()

    assert attempts.count == 1


def test_what_is_registered_costs_no_call_after_a_restart(device: Device) -> None:
    settled(device, CPU, DISK)
    attempts = ScriptedAttempts([CPU, DISK])

    device.live(device.start(attempts, CPU, DISK), VERIFY_S - OWN_S)

    assert attempts.count == 0


def test_what_is_registered_is_known_right_after_a_restart(device: Device) -> None:
    settled(device, CPU)

    assert device.start(ScriptedAttempts([CPU]), CPU).is_ready("cpu")


def test_a_restart_with_nothing_to_do_writes_nothing(device: Device, outbox: Outbox) -> None:
    settled(device, CPU)
    outbox.put_state({KEY: (stored := (outbox.state(KEY) or b"") + b" ")})

    device.start(ScriptedAttempts([CPU]), CPU).step()

    assert outbox.state(KEY) == stored


def test_a_restart_looks_again_when_it_is_time(device: Device) -> None:
    settled(device, CPU)
    attempts = ScriptedAttempts([CPU])

    device.live(device.start(attempts, CPU), VERIFY_S + OWN_S + 1)

    assert attempts.known == [{"cpu"}]


@pytest.mark.parametrize("metrics", [(CPU, DISK), (Metric("cpu", "string-list"),)], ids=["a new one", "a changed one"])
def test_what_is_not_registered_waits_for_the_share_after_a_restart(device: Device, metrics: tuple[Metric]) -> None:
    settled(device, CPU)
    attempts = ScriptedAttempts(metrics)

    registration = device.start(attempts, *metrics)

    assert registration.due_in_s() == pytest.approx(OWN_S)


def test_a_new_definition_leaves_the_registered_ones_known(device: Device) -> None:
    settled(device, CPU)
    attempts = ScriptedAttempts([CPU, DISK])
    registration = device.start(attempts, CPU, DISK)

    device.live(registration, OWN_S)

    assert attempts.known == [{"cpu"}]


def test_a_changed_definition_is_pending(device: Device) -> None:
    settled(device, CPU)

    registration = device.start(ScriptedAttempts([]), Metric("cpu", "string-list"))

    assert registration.standing("cpu") == "pending"


def test_other_words_for_people_leave_a_definition_registered_and_are_looked_at(device: Device) -> None:
    settled(device, CPU)
    renamed = Metric("cpu", words="Processor")
    attempts = ScriptedAttempts([renamed])
    registration = device.start(attempts, renamed)

    assert registration.is_ready("cpu")
    device.live(registration, OWN_S + 1)
    assert attempts.known == [set()]


def test_other_words_for_people_do_not_end_a_conflict(device: Device) -> None:
    device.live(device.start(ScriptedAttempts([CPU], [outcome("cpu", "conflict")]), CPU), OWN_S + 1)
    renamed = Metric("cpu", words="Processor")

    assert device.start(ScriptedAttempts([renamed]), renamed).blocked() == {"cpu"}


def test_another_account_knows_of_nothing(device: Device) -> None:
    settled(device, CPU)
    device.identity = "us-east-1"

    assert device.start(ScriptedAttempts([CPU]), CPU).standing("cpu") == "pending"


@pytest.mark.parametrize("standing", ["disabled", "conflict", "refused", "denied"])
def test_what_stands_otherwise_is_asked_for_after_a_restart(device: Device, standing: Standing) -> None:
    device.live(device.start(ScriptedAttempts([CPU], [outcome("cpu", standing)]), CPU), OWN_S)

    registration = device.start(ScriptedAttempts([CPU]), CPU)

    assert registration.standing("cpu") == standing
    assert registration.step() <= OWN_S


def test_a_definition_that_left_the_configuration_is_forgotten(device: Device, outbox: Outbox) -> None:
    settled(device, CPU, DISK)

    device.start(ScriptedAttempts([CPU]), CPU).step()

    assert list(json.loads(outbox.state(KEY) or b"")["definitions"]) == ["cpu"]


def test_a_definition_that_left_the_configuration_costs_no_call(device: Device) -> None:
    settled(device, CPU, DISK)
    attempts = ScriptedAttempts([CPU])

    device.live(device.start(attempts, CPU), VERIFY_S - OWN_S)

    assert attempts.count == 0


def test_an_outcome_is_remembered_though_the_attempt_failed_behind_it(device: Device) -> None:
    attempts = ScriptedAttempts([CPU, DISK], [registered("cpu"), Unreachable("timeout")])
    device.live(device.start(attempts, CPU, DISK), OWN_S)

    registration = device.start(ScriptedAttempts([]), CPU, DISK)

    assert (registration.standing("cpu"), registration.standing("disk")) == ("registered", "pending")


def test_an_outcome_is_remembered_before_anybody_is_told(device: Device, outbox: Outbox) -> None:
    registration = device.start(ScriptedAttempts([CPU]), CPU)
    stored: list[bytes | None] = []
    registration.on_change(lambda: stored.append(outbox.state(KEY)))

    device.live(registration, OWN_S)

    assert [b'"registered"' in (state or b"") for state in stored] == [True]


@pytest.mark.parametrize("stored", [b"", b"\xff\x00", b"{}", b'{"version": 7}', b"[1, 2]"])
def test_a_damaged_memory_is_forgotten(device: Device, outbox: Outbox, stored: bytes) -> None:
    outbox.put_state({KEY: stored})
    attempts = ScriptedAttempts([CPU])

    device.live(device.start(attempts, CPU), OWN_S)

    assert attempts.known == [set()]


def test_a_damaged_memory_is_mentioned(device: Device, outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    outbox.put_state({KEY: b'{"version": 7}'})

    device.start(ScriptedAttempts([CPU]), CPU)

    assert "version 7, not 1" in caplog.text


def test_an_overdue_look_waits_for_the_share_of_the_spread(device: Device, clock: ManualClock) -> None:
    settled(device, CPU)
    clock.advance(10 * VERIFY_S)
    attempts = ScriptedAttempts([CPU])

    assert device.start(attempts, CPU).due_in_s() == pytest.approx(OWN_S)


@pytest.mark.parametrize("step_s", [-20 * 365 * 86_400, -3600])
def test_a_clock_that_went_back_does_not_put_the_look_off(device: Device, clock: ManualClock, step_s: float) -> None:
    settled(device, CPU)
    clock.step(step_s)

    wait_s = device.start(ScriptedAttempts([CPU]), CPU).step()

    assert wait_s <= VERIFY_S + SPREAD_S


def test_a_clock_that_went_forward_does_not_make_a_fleet_look_at_once(device: Device, clock: ManualClock) -> None:
    settled(device, CPU)
    clock.step(20 * 365 * 86_400)

    assert device.start(ScriptedAttempts([CPU]), CPU).due_in_s() == pytest.approx(OWN_S)


def test_a_clock_step_while_it_runs_costs_a_look_at_most(device: Device, clock: ManualClock) -> None:
    attempts = ScriptedAttempts([CPU])
    registration = device.start(attempts, CPU)
    device.live(registration, OWN_S + 1)

    for step_s in (20 * 365 * 86_400, -20 * 365 * 86_400, -86_400, 3600):
        clock.step(step_s)
        device.live(registration, 600)

    assert attempts.count <= 2


def test_a_clock_that_is_set_after_the_start_costs_no_call(device: Device, clock: ManualClock) -> None:
    settled(device, CPU)
    clock.advance(VERIFY_S / 2)
    clock.step(-50 * 365 * 86_400)
    attempts = ScriptedAttempts([CPU])
    registration = device.start(attempts, CPU)
    device.live(registration, 60)

    clock.step(50 * 365 * 86_400)
    device.live(registration, SPREAD_S)

    assert attempts.count == 0


def test_a_device_without_a_clock_that_is_off_at_night_looks_again_all_the_same(
    device: Device, clock: ManualClock
) -> None:
    settled(device, CPU)
    attempts = ScriptedAttempts([CPU])

    for _ in range(10):
        clock.step(-50 * 365 * 86_400)  # it starts in the past
        registration = device.start(attempts, CPU)
        device.live(registration, 60)
        clock.step(50 * 365 * 86_400)
        device.live(registration, 14 * 3600)
        clock.advance(10 * 3600)

    assert attempts.count >= 4


def test_a_device_that_is_never_up_for_long_registers_all_the_same(device: Device, clock: ManualClock) -> None:
    attempts = ScriptedAttempts([CPU])
    starts = 0

    while attempts.count == 0 and starts < 8:
        starts += 1
        device.live(device.start(attempts, CPU), 180)
        clock.advance(3600)

    assert 4 <= starts < 8  # its share is 807 s


def test_a_crash_loop_does_not_bring_the_first_attempt_forward(device: Device) -> None:
    attempts = ScriptedAttempts([CPU])
    for _ in range(100):
        device.live(device.start(attempts, CPU), 5)

    assert device.start(attempts, CPU).due_in_s() == pytest.approx(OWN_S)


def test_a_start_after_an_attempt_waits_for_the_whole_share_again(device: Device, clock: ManualClock) -> None:
    device.live(device.start(ScriptedAttempts([CPU], *[[Unreachable("no route")]] * 100), CPU), OWN_S + 1)
    clock.advance(60)

    assert device.start(ScriptedAttempts([CPU]), CPU).due_in_s() == pytest.approx(OWN_S)


def test_other_credentials_than_at_the_last_attempt_are_a_reason_to_look(device: Device) -> None:
    settled(device, CPU)
    device.version = lambda: "second"
    attempts = ScriptedAttempts([CPU])

    device.live(device.start(attempts, CPU), OWN_S + 1)

    assert attempts.count == 1


def test_a_denial_before_the_restart_is_still_known(device: Device) -> None:
    device.live(device.start(ScriptedAttempts([CPU], [Denied("no rights")]), CPU), OWN_S)

    found = device.start(ScriptedAttempts([CPU]), CPU).standings()["cpu"]

    assert (found.standing, found.reason) == ("denied", "no rights")
