from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.limits import Limits


@pytest.fixture(autouse=True)
def _no_unhandled_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail where asyncio has only logged an exception that nobody took."""
    yield

    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that is in no hurry to refuse: no interval between reports or between connects."""
    settings = Settings(minimum_interval_s=0, limits=Limits(connect_interval_s=0, minimum_keep_alive_s=1))
    with Sandbox(tmp_path / "sandbox", things=("pump-7",), settings=settings) as running:
        yield running
