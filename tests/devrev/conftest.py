"""DevRev on loopback, a token for it, and a registrar that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devrev.devrev_service import DevRevService
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.destinations.https import Https
from thingmeter.testing import ManualClock

PROXY_VARIABLES = ("https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DevRevService]:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    made = DevRevService(tmp_path)
    yield made
    made.close()


@pytest.fixture
def account(service: DevRevService, tmp_path: Path) -> Account:
    token_file = tmp_path / "token"
    token_file.write_text("t0ken\n")
    return Account(service.url, str(token_file), ca_file=service.ca_file)


@pytest.fixture
def https(account: Account) -> Iterator[Https]:
    made = Https(ca_file=account.ca_file, timeout_s=10)
    yield made
    made.close()


@pytest.fixture
def registrar(https: Https, account: Account, clock: ManualClock) -> UomRegistrar:
    return UomRegistrar(https.exchange, account, clock.now)
