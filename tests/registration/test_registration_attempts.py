"""Registration while it runs: what each end of an attempt means for the next one and for the standings."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from registration.devices import SPREAD_S, VERIFY_S, Answer, Device, Metric, ScriptedAttempts, outcome, registered
from thingmeter.errors import Denied, OutboxFull, Throttled, Unanswered, Unreachable
from thingmeter.outbox import Outbox
from thingmeter.plans import Outcome, Standing
from thingmeter.registration.registration import THROTTLE_CAP_S, Registration
from thingmeter.registration.spread import share
from thingmeter.testing import ManualClock

CPU, DISK = Metric("cpu"), Metric("disk")
OWN_S = share("pump-7") * SPREAD_S
DAY_S = 86_400


@pytest.fixture
def device(outbox: Outbox, clock: ManualClock) -> Device:
    """A device that asks at once."""
    return Device(outbox, clock, spread_s=0)


class FullDisk:
    """A store that takes nothing until ``has_room``."""

    def __init__(self) -> None:
        self.has_room = False
        self.values: dict[str, bytes] = {}

    def state(self, name: str) -> bytes | None:
        return self.values.get(name)

    def put_state(self, state: Mapping[str, bytes]) -> None:
        if not self.has_room:
            raise OutboxFull("no room")
        self.values.update(state)


def after(device: Device, *answers: Answer) -> Registration:
    """Return the registration of ``cpu`` and ``disk`` after an attempt that brought ``answers``."""
    registration = device.start(ScriptedAttempts([CPU, DISK], answers), CPU, DISK)
    registration.step()
    return registration


def test_the_next_look_comes_one_interval_after_the_last(device: Device) -> None:
    wait_s = after(device, registered("cpu"), registered("disk")).due_in_s()

    assert VERIFY_S <= wait_s <= 1.05 * VERIFY_S


def test_a_look_is_told_what_is_registered(device: Device) -> None:
    attempts = ScriptedAttempts([CPU, DISK], [registered("cpu"), outcome("disk", "disabled")])

    device.live(device.start(attempts, CPU, DISK), 901)

    assert attempts.known == [set(), {"cpu"}]


@pytest.mark.parametrize("standing", ["registered", "disabled", "conflict", "refused", "denied"])
def test_the_standing_is_that_of_the_outcome(device: Device, standing: Standing) -> None:
    assert after(device, outcome("cpu", standing)).standing("cpu") == standing


def test_only_what_is_registered_is_ready(device: Device) -> None:
    registration = after(device, registered("cpu"), outcome("disk", "disabled"))

    assert (registration.is_ready("cpu"), registration.is_ready("disk")) == (True, False)


@pytest.mark.parametrize(
    ("standing", "is_blocked"),
    [("registered", False), ("disabled", False), ("conflict", True), ("refused", True), ("denied", False)],
)
def test_values_are_withheld_for_conflict_and_refusal_only(
    device: Device, standing: Standing, *, is_blocked: bool
) -> None:
    assert after(device, outcome("cpu", standing)).blocked() == ({"cpu"} if is_blocked else set())


def test_what_nobody_declared_is_pending(device: Device) -> None:
    assert after(device).standing("memory") == "pending"


def test_a_conflict_waits_for_the_next_look(device: Device) -> None:
    assert after(device, outcome("cpu", "conflict"), registered("disk")).due_in_s() >= VERIFY_S


def test_a_uom_disabled_later_is_seen_at_the_next_look(device: Device) -> None:
    attempts = ScriptedAttempts([CPU], [registered("cpu")], *[[outcome("cpu", "disabled")]] * 9)
    registration = device.start(attempts, CPU)

    device.live(registration, 1.05 * VERIFY_S)

    assert registration.standing("cpu") == "disabled"


def test_a_conflict_that_was_resolved_is_seen_at_the_next_look(device: Device) -> None:
    attempts = ScriptedAttempts([CPU], [outcome("cpu", "conflict")])
    registration = device.start(attempts, CPU)

    device.live(registration, 1.05 * VERIFY_S)

    assert registration.blocked() == set()


def test_throttled_waits_for_what_was_asked_and_a_back_off(device: Device) -> None:
    wait_s = after(device, Throttled("slow down", after_s=300)).step()

    assert 300 <= wait_s <= 310


def test_an_absurd_wait_is_cut(device: Device) -> None:
    assert after(device, Throttled("come back next century", after_s=3e9)).step() <= THROTTLE_CAP_S + 10


@pytest.mark.parametrize("error", [Unreachable("no route"), Unanswered("timeout")])
def test_unreachable_backs_off(device: Device, error: Unreachable) -> None:
    assert after(device, error).step() <= 10


@pytest.mark.parametrize("error", [Unreachable("no route"), Throttled("slow down", after_s=1)])
def test_what_is_not_reached_stays_pending(device: Device, error: Exception) -> None:
    assert after(device, registered("cpu"), error).standing("disk") == "pending"


def test_a_day_without_network_costs_few_attempts(device: Device) -> None:
    device.spread_s = SPREAD_S
    attempts = ScriptedAttempts([CPU], *[[Unreachable("no route")]] * 1000)

    device.live(device.start(attempts, CPU), DAY_S)

    assert 10 <= attempts.count <= 60


def test_registers_within_hours_of_the_end_of_a_week_without_network(device: Device) -> None:
    attempts = ScriptedAttempts([CPU], *[[Unreachable("no route")]] * 1000)
    registration = device.start(attempts, CPU)
    device.live(registration, 7 * DAY_S)
    attempts._attempts.clear()

    device.live(registration, 900)

    assert registration.is_ready("cpu")


def test_an_attempt_that_says_nothing_of_a_definition_is_made_again(device: Device) -> None:
    registration = after(device, registered("cpu"))

    assert registration.step() <= 10
    assert "disk" in registration.trouble


def test_an_outcome_of_a_name_that_is_not_ours_is_ignored(device: Device) -> None:
    assert "memory" not in after(device, registered("memory"), registered("cpu"), registered("disk")).standings()


def test_denied_is_the_standing_of_all_that_is_undecided(device: Device) -> None:
    registration = after(device, outcome("cpu", "conflict"), Denied("no rights"))

    assert (registration.standing("cpu"), registration.standing("disk")) == ("conflict", "denied")


def test_denied_leaves_what_is_registered(device: Device) -> None:
    attempts = ScriptedAttempts([CPU], [registered("cpu")], [Denied("no rights")])
    registration = device.start(attempts, CPU)

    device.live(registration, 1.05 * VERIFY_S)

    assert attempts.count >= 2
    assert registration.standing("cpu") == "registered"


@pytest.mark.parametrize("answers", [[Denied("no rights")], [outcome("cpu", "denied")], [outcome("cpu", "disabled")]])
def test_what_somebody_may_change_at_any_time_is_asked_for_ever_more_rarely(
    device: Device, answers: list[Outcome | Exception]
) -> None:
    attempts = ScriptedAttempts([CPU], *[answers] * 100)

    device.live(device.start(attempts, CPU), 10 * VERIFY_S)

    assert 12 <= attempts.count <= 30


def test_new_credentials_end_a_denial_at_once(device: Device) -> None:
    versions = ["first"]
    device.version = lambda: versions[-1]
    attempts = ScriptedAttempts([CPU], [Denied("no rights")])
    registration = device.start(attempts, CPU)
    device.live(registration, 3600)
    versions.append("second")

    device.live(registration, 300)

    assert registration.is_ready("cpu")


def test_new_credentials_of_a_fleet_are_tried_after_the_share_of_the_spread(device: Device, clock: ManualClock) -> None:
    device.spread_s = SPREAD_S
    versions = ["first"]
    device.version = lambda: versions[-1]
    registration = device.start(ScriptedAttempts([CPU], *[[Denied("no rights")]] * 100), CPU)
    device.live(registration, OWN_S + 1 + 10 * DAY_S)
    versions.append("second")

    clock.advance(300)
    registration.step()

    assert registration.due_in_s() <= OWN_S + 1


def test_credential_files_are_looked_at_every_five_minutes_while_denied(device: Device) -> None:
    looks: list[int] = []

    def version() -> str:
        looks.append(1)
        return "first"

    device.version = version
    registration = device.start(ScriptedAttempts([CPU], *[[Denied("no rights")]] * 99), CPU)
    device.live(registration, VERIFY_S)
    looks.clear()

    device.live(registration, 3000)

    assert 10 <= len(looks) <= 12


def test_credential_files_are_looked_at_every_hour_while_all_is_well(device: Device) -> None:
    looks: list[int] = []

    def version() -> str:
        looks.append(1)
        return "first"

    device.version = version
    registration = device.start(ScriptedAttempts([CPU]), CPU)
    registration.step()
    looks.clear()

    device.live(registration, VERIFY_S - 1)

    assert 23 <= len(looks) <= 25


def test_something_unforeseen_is_not_repeated_at_once(device: Device) -> None:
    registration = device.start(ScriptedAttempts([CPU], [KeyError("region")]), CPU)

    with pytest.raises(KeyError):
        registration.step()

    assert 0 < registration.step() <= 10


def test_a_change_is_told(device: Device) -> None:
    told: list[Standing] = []
    registration = device.start(ScriptedAttempts([CPU], [outcome("cpu", "disabled")]), CPU)
    registration.on_change(lambda: told.append(registration.standing("cpu")))

    device.live(registration, 1.05 * VERIFY_S)

    assert told == ["disabled", "registered"]


def test_what_stays_the_same_is_not_told(device: Device) -> None:
    told: list[Standing] = []
    registration = device.start(ScriptedAttempts([CPU]), CPU)
    registration.on_change(lambda: told.append(registration.standing("cpu")))

    device.live(registration, 3 * VERIFY_S)

    assert told == ["registered"]


def test_a_standing_carries_the_time_since_when_it_is_so(device: Device, clock: ManualClock) -> None:
    began = clock.now()
    registration = device.start(ScriptedAttempts([CPU]), CPU)

    device.live(registration, 3 * VERIFY_S)

    assert registration.standings()["cpu"].at == began


def test_a_full_disk_keeps_nothing_from_being_registered(device: Device) -> None:
    device.outbox = FullDisk()  # type: ignore[assignment]

    assert after(device, registered("cpu")).is_ready("cpu")


def test_what_a_full_disk_refused_is_stored_with_the_next_step(device: Device) -> None:
    disk = FullDisk()
    device.outbox = disk  # type: ignore[assignment]
    registration = after(device, registered("cpu"), registered("disk"))
    disk.has_room = True

    registration.step()

    assert device.start(ScriptedAttempts([]), CPU, DISK).is_ready("cpu")


def test_after_a_stop_a_failed_attempt_is_not_mentioned(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    registration = device.start(ScriptedAttempts([CPU], [Unreachable("the agent is stopping")]), CPU)
    registration.stop()

    registration.step()

    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def levels(caplog: pytest.LogCaptureFixture, words: str) -> list[int]:
    return [record.levelno for record in caplog.records if words in record.getMessage()]


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (registered("cpu"), logging.INFO),
        (registered("cpu", "its metric_scope is user"), logging.WARNING),
        (outcome("cpu", "disabled"), logging.ERROR),
        (outcome("cpu", "conflict"), logging.ERROR),
        (outcome("cpu", "refused"), logging.ERROR),
        (outcome("cpu", "denied"), logging.WARNING),
    ],
    ids=lambda value: value.standing if isinstance(value, Outcome) else "",
)
def test_a_standing_is_logged_once(
    device: Device, caplog: pytest.LogCaptureFixture, found: Outcome, level: int
) -> None:
    caplog.set_level(logging.INFO)

    device.live(device.start(ScriptedAttempts([CPU], *[[found]] * 40), CPU), 5 * VERIFY_S)

    assert levels(caplog, "registration defender: cpu ") == [level]


def test_the_same_trouble_is_logged_once(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    device.live(device.start(ScriptedAttempts([CPU], *[[Unreachable("no route")]] * 1000), CPU), DAY_S)

    assert levels(caplog, "no route") == [logging.WARNING]


def test_the_end_of_trouble_is_logged(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    device.live(device.start(ScriptedAttempts([CPU], [registered("cpu"), Unreachable("?")]), CPU), 60)

    assert levels(caplog, "registration defender: 1 registered") == [logging.INFO]


def test_the_summary_counts_standings_and_actions(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    after(device, outcome("cpu", "conflict"), registered("disk"))

    assert "registration defender: 1 registered (1 created), 1 conflict" in caplog.messages


def test_a_start_repeats_what_was_wrong_before_it(device: Device, caplog: pytest.LogCaptureFixture) -> None:
    after(device, outcome("cpu", "conflict", "it is a string-list there"), registered("disk"))
    caplog.clear()

    device.start(ScriptedAttempts([CPU, DISK]), CPU, DISK)

    assert levels(caplog, "cpu conflict: it is a string-list there") == [logging.ERROR]
