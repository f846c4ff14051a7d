from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.device import Device, MakeDevice, devrev
from thingmeter.config.settings import Uom


@pytest.fixture
def make_device(tmp_path: Path) -> Iterator[MakeDevice]:
    """Make devices whose outbox is closed in the end."""
    made: list[Device] = []

    def make(*uoms: Uom, window_s: int = 60, **parts: Any) -> Device:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        device = Device(folder, parts.pop("settings", None) or devrev(*uoms, window_s=window_s), **parts)
        made.append(device)
        return device

    yield make
    for device in made:
        device.outbox.close()
