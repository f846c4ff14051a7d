"""The street of servers, and no proxy but a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from destinations.https_peers import Street
from thingmeter.destinations.https import Https

PROXY_VARIABLES = ("https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Street]:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    made = Street(tmp_path)
    yield made
    made.close()


@pytest.fixture
def https(street: Street) -> Iterator[Https]:
    made = Https(ca_file=street.ca_file, timeout_s=10)
    yield made
    made.close()
