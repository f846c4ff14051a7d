from __future__ import annotations

from pathlib import Path

import pytest

from config.device import Device, device_in


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return device_in(tmp_path)
