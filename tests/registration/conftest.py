"""A device that everything about registration happens to."""

from __future__ import annotations

import pytest

from registration.devices import Device
from thingmeter.outbox import Outbox
from thingmeter.testing import ManualClock


@pytest.fixture
def device(outbox: Outbox, clock: ManualClock) -> Device:
    """A device with an empty outbox."""
    return Device(outbox, clock)
