"""[clock]: nothing but its bounds."""

from __future__ import annotations

from thingmeter.config.reading import Reading
from thingmeter.config.settings import Clock


def read_clock(reading: Reading) -> Clock:
    """Return [clock], the defaults without the table."""
    return reading.struct(Clock, ("clock",))
