"""Attempts that come to nothing at first: made again in time, with one result; real attempts, on a clock by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.registration_device import (
    LITRES,
    METRIC_NAMES,
    UOM_NAMES,
    Devices,
    calls_to,
    cloud,
    devices,
    operations,
)
from end_to_end.registration_steps import Steps, metrics, steps_of, uoms
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev.faults import Fault
from thingmeter.sandbox.devrev.switches import ThrottleForm
from thingmeter.sandbox.http.calls import Call
from thingmeter.sandbox.http.faults import HttpFault
from thingmeter.testing import ManualClock

__all__ = ["cloud", "devices", "metrics", "uoms"]  # fixtures

HOUR_S = 3600
DAY_S = 24 * HOUR_S
CREDENTIALS_LOOK_S = 300
KINDS: tuple[HttpFault, ...] = ("html", "refused", "missing", "half", "garbage")


@pytest.mark.needs_aws
@pytest.mark.parametrize("operation", ["ListCustomMetrics", "CreateCustomMetric"])
def test_throttling_by_aws_is_waited_for_and_then_all_is_registered(
    cloud: Sandbox, metrics: Steps, operation: str
) -> None:
    cloud.control_plane.switches.errors = {operation: "ThrottlingException"}  # type: ignore[dict-item]
    cloud.control_plane.switches.remaining = 3

    took_s = metrics.until_all("registered")

    assert took_s >= 3 * 5  # what is waited at least where AWS does not say
    assert set(cloud.control_plane.metrics) == METRIC_NAMES


@pytest.mark.needs_aws
def test_what_is_registered_before_aws_throttles_is_not_created_again(cloud: Sandbox, metrics: Steps) -> None:
    switches = cloud.control_plane.switches
    switches.remaining = 1

    def throttle_from_now_on(call: Call) -> None:
        if call.name == "load":
            switches.errors = {"CreateCustomMetric": "ThrottlingException"}

    cloud.calls.follow(throttle_from_now_on)

    metrics.until_all("registered")

    assert operations(call for call in calls_to(cloud, "control plane") if call.is_good) == [
        "ListCustomMetrics",
        "CreateCustomMetric memory_used",
        "CreateCustomMetric load",
        "ListCustomMetrics",
        "CreateCustomMetric loads",
    ]


@pytest.mark.parametrize("form", ["both", "seconds", "fraction", "date", "body"])
def test_devrevs_429_is_waited_for_in_each_of_its_forms(cloud: Sandbox, uoms: Steps, form: ThrottleForm) -> None:
    cloud.devrev.switches.throttle_form = form
    cloud.devrev.switches.faults.append(Fault("throttled", remaining=1, after_s=100))

    took_s = uoms.until_all("registered")

    assert took_s >= 99  # a date has no fractions of a second
    assert operations(calls_to(cloud, "devrev"))[:2] == ["uoms.list", "uoms.list"]  # nothing in between


def test_after_a_429_amid_the_creations_only_the_rest_is_created(cloud: Sandbox, uoms: Steps) -> None:
    cloud.devrev.switches.calls_per_window = 2

    uoms.step()
    cloud.devrev.switches.calls_per_window = None
    uoms.until_all("registered")

    created = [call for call in calls_to(cloud, "devrev") if call.status == 201]
    assert operations(created) == ["uoms.create pumped_litres", "uoms.create operators"]


def test_a_new_token_is_used_without_a_restart_as_soon_as_it_is_in_its_file(
    cloud: Sandbox, devices: Devices, clock: ManualClock, tmp_path: Path
) -> None:
    token_file = write_token(tmp_path / "token", "expired")
    with steps_of(devices.make(metrics="", token_file=token_file), clock) as uoms:
        uoms.step()
        assert uoms.standings() == {"denied"}

        write_token(token_file, cloud.folder.devrev_token())
        took_s = uoms.until_all("registered")

        assert took_s <= CREDENTIALS_LOOK_S


def test_a_refused_token_is_seldom_tried_again_while_its_file_stays_the_same(cloud: Sandbox, uoms: Steps) -> None:
    cloud.devrev.tokens.clear()

    uoms.live(DAY_S)

    assert len(calls_to(cloud, "devrev")) <= DAY_S / HOUR_S
    assert uoms.standings() == {"denied"}


def test_a_refused_token_is_named_with_its_file_and_never_shown(cloud: Sandbox, uoms: Steps) -> None:
    token = cloud.folder.devrev_token()
    cloud.devrev.switches.expired_tokens.add(token)

    uoms.step()

    (reason,) = uoms.reasons()
    assert "401" in reason
    assert f"{cloud.folder.devrev_token_file} ([devrev] token_file) is expired or wrong" in reason
    assert token not in reason


@pytest.mark.needs_aws
def test_a_new_certificate_is_tried_as_soon_as_it_is_in_its_file(
    cloud: Sandbox, devices: Devices, clock: ManualClock
) -> None:
    cloud.credentials_provider.may_assume = lambda _: False
    agent = devices.make(uoms="")
    with steps_of(agent, clock) as metrics:
        metrics.step()
        assert metrics.standings() == {"denied"}

        cloud.credentials_provider.may_assume = lambda _: True
        cloud.authority.issue(agent.thing, cloud.folder.path / "things")
        took_s = metrics.until_all("registered")

        assert took_s <= CREDENTIALS_LOOK_S


@pytest.mark.needs_aws
@pytest.mark.parametrize(
    ("operation", "kind"),
    [("ListCustomMetrics", "html"), ("ListCustomMetrics", "half"), *(("CreateCustomMetric", kind) for kind in KINDS)],
)
def test_whatever_goes_wrong_once_on_the_way_to_aws_each_metric_is_there_once_at_the_end(
    cloud: Sandbox, metrics: Steps, operation: str, kind: HttpFault
) -> None:
    faults = cloud.http_faults["control plane"]
    faults.kind, faults.only, faults.remaining = kind, operation, 1

    metrics.until_all("registered")

    assert set(cloud.control_plane.metrics) == METRIC_NAMES
    assert faults.remaining == 0


@pytest.mark.parametrize(
    ("operation", "kind"),
    [("uoms.list", "html"), ("uoms.list", "half"), *(("uoms.create", kind) for kind in KINDS)],
)
def test_whatever_goes_wrong_once_on_the_way_to_devrev_each_uom_is_there_once_at_the_end(
    cloud: Sandbox, uoms: Steps, operation: str, kind: HttpFault
) -> None:
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.only, faults.remaining = kind, operation, 1

    uoms.until_all("registered")

    assert sorted(uom.metric_name for uom in cloud.devrev.uoms) == sorted(UOM_NAMES)
    assert faults.remaining == 0


@pytest.mark.needs_aws
def test_a_creation_without_an_answer_is_looked_for_and_not_made_again(cloud: Sandbox, metrics: Steps) -> None:
    faults = cloud.http_faults["control plane"]
    faults.kind, faults.only, faults.remaining = "missing", "CreateCustomMetric", 1

    metrics.until_all("registered")

    asked = operations(calls_to(cloud, "control plane"))
    assert asked.count("CreateCustomMetric memory_used") == 1
    assert "DescribeCustomMetric memory_used" in asked


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_uom_created_without_an_answer_is_not_made_twice_however_late_it_shows(
    cloud: Sandbox, devices: Devices, clock: ManualClock, lag: int
) -> None:
    cloud.devrev.switches.visible_after_lists = lag
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.only, faults.remaining = "missing", "uoms.create", 1
    with steps_of(devices.make(metrics="", uoms=LITRES), clock) as uoms:
        uoms.until_all("registered")

    assert [uom.metric_name for uom in cloud.devrev.uoms] == ["pumped_litres"]


def test_a_proxys_page_in_place_of_devrev_is_said_to_be_one(cloud: Sandbox, uoms: Steps) -> None:
    faults = cloud.http_faults["devrev"]
    faults.kind, faults.status, faults.body = "status", 403, b"<html>Sign in</html>"

    uoms.step()

    assert "that is a proxy or another server" in uoms.registration.trouble
    assert uoms.standings() == set()


@pytest.mark.needs_aws
def test_an_outage_costs_few_calls_and_ends_with_all_registered(cloud: Sandbox, metrics: Steps) -> None:
    faults = cloud.http_faults["control plane"]
    faults.kind = "refused"
    metrics.live(HOUR_S / 4)
    calls = len(calls_to(cloud, "control plane"))
    faults.kind = "none"

    metrics.until_all("registered")

    assert calls < 20
    assert set(cloud.control_plane.metrics) == METRIC_NAMES


def write_token(path: Path, token: str) -> Path:
    """Replace a token file as whoever deploys one does: another file takes its place."""
    new = path.with_suffix(".new")
    new.write_text(token)
    new.chmod(0o600)
    return new.replace(path)
