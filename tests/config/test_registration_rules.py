from __future__ import annotations

import pytest

from config.device import THING, Device
from thingmeter.config.settings import Registration


def test_without_the_table_the_defaults_stand(device: Device) -> None:
    assert device.load(THING).registration == Registration(spread_s=7200, verify_interval_s=86_400)


def test_the_table_is_read_whole(device: Device) -> None:
    config = device.load(THING + "[registration]\nspread_s = 0\nverify_interval_s = 60\n")

    assert config.registration == Registration(spread_s=0, verify_interval_s=60)


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("spread_s = -1", "from 0 to 604800 (seconds)"),
        ("spread_s = 604801", "from 0 to 604800 (seconds)"),
        ("verify_interval_s = 0", "from 60 to 31536000 (seconds)"),
        ("verify_interval_s = 1.5", "from 60 to 31536000 (seconds)"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused(device: Device, line: str, allowed: str) -> None:
    (problem,) = device.problems(THING + f"[registration]\n{line}\n")

    assert problem.startswith(f"thingmeter.toml:4: [registration] {line}: ")
    assert problem.endswith(f"must be an integer {allowed}")
