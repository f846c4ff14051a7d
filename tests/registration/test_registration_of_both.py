"""Registration whole: a real outbox, child processes and the registrars, and the sandbox in the place of the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest

from thingmeter.clock import SystemClock
from thingmeter.destinations.defender.account import Account as AwsAccount
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.devrev.account import Account as DevRevAccount
from thingmeter.destinations.devrev.definition import UomDefinition
from thingmeter.outbox import Outbox
from thingmeter.registration.child import Attempts, Job
from thingmeter.registration.registration import Registration, Subject
from thingmeter.registration.spread import Timing
from thingmeter.sandbox.cloud import Sandbox

THING = "pump-7"
METRICS = (CustomMetricDefinition("cpu_usage", "number"), CustomMetricDefinition("listeners", "string-list"))
UOMS = (UomDefinition("litres", "Litres", "PROD-1", "litre", "number", "sum"),)

pytestmark = pytest.mark.needs_aws


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A cloud that knows of nothing yet."""
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with Sandbox(tmp_path / "sandbox", things=(THING,)) as sandbox:
        yield sandbox


def custom_metrics(sandbox: Sandbox, outbox: Outbox) -> Registration:
    """Return the registration of METRICS by an agent that has just started."""
    credentials = sandbox.credentials(THING)
    account = AwsAccount(
        THING,
        sandbox.region,
        endpoint_url=sandbox.control_plane_url,
        role_alias=sandbox.role_alias,
        credentials_endpoint=sandbox.credentials_endpoint,
        ca_file=str(sandbox.ca_file),
        credentials_ca_file=str(sandbox.ca_file),
        certificate_file=str(credentials.certificate_file),
        private_key_file=str(credentials.private_key_file),
    )
    job = Job("defender", asdict(account), [asdict(metric) for metric in METRICS], 0)
    attempts = Attempts(job, SystemClock())
    subject = Subject("defender", METRICS, account.identity(), attempts.apply, account.version, attempts.stop)
    return Registration(subject, Timing(THING, 0, 86_400), outbox, SystemClock(), Random(1))


def uoms(sandbox: Sandbox, outbox: Outbox) -> Registration:
    """Return the registration of UOMS by an agent that has just started."""
    token_file = str(sandbox.folder.devrev_token_file)
    account = DevRevAccount(sandbox.devrev_url, token_file, "Bearer", str(sandbox.ca_file))
    job = Job("devrev", asdict(account), [asdict(uom) for uom in UOMS], 0)
    attempts = Attempts(job, SystemClock())
    subject = Subject("devrev", UOMS, account.identity(), attempts.apply, account.version, attempts.stop)
    return Registration(subject, Timing(THING, 0, 86_400), outbox, SystemClock(), Random(1))


def test_custom_metrics_are_registered_in_one_step(sandbox: Sandbox, outbox: Outbox) -> None:
    registration = custom_metrics(sandbox, outbox)

    registration.step()

    assert [registration.standing(metric.name) for metric in METRICS] == ["registered", "registered"]


def test_uoms_are_registered_in_one_step(sandbox: Sandbox, outbox: Outbox) -> None:
    registration = uoms(sandbox, outbox)

    registration.step()

    assert registration.is_ready("litres")


def test_after_a_restart_nothing_is_asked(sandbox: Sandbox, outbox: Outbox) -> None:
    custom_metrics(sandbox, outbox).step()
    uoms(sandbox, outbox).step()
    before = len(sandbox.calls.all())

    custom_metrics(sandbox, outbox).step()
    uoms(sandbox, outbox).step()

    assert len(sandbox.calls.all()) == before


def test_services_that_are_down_are_unreachable(sandbox: Sandbox, outbox: Outbox) -> None:
    registration = custom_metrics(sandbox, outbox)
    sandbox.services_down()

    registration.step()

    assert "localhost" in registration.trouble
    assert registration.standing("cpu_usage") == "pending"
