from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from telemetry.device import Device

MakeDevice: TypeAlias = Callable[..., Device]


@pytest.fixture
def make_device(tmp_path: Path) -> Iterator[MakeDevice]:
    """Make devices whose outbox is closed in the end."""
    made: list[Device] = []

    def make(**parts: Any) -> Device:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Device(folder, **parts))
        return made[-1]

    yield make
    for device in made:
        device.outbox.close()


@pytest.fixture
def device(make_device: MakeDevice) -> Device:
    return make_device()
