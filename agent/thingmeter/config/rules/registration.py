"""[registration]: nothing but its bounds."""

from __future__ import annotations

from thingmeter.config.reading import Reading
from thingmeter.config.settings import Registration


def read_registration(reading: Reading) -> Registration:
    """Return [registration], the defaults without the table."""
    return reading.struct(Registration, ("registration",))
