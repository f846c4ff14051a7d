"""Keeps the publishes of samples below what a connection may do, with room for reports, usage and status beside them.

Source: docs.aws.amazon.com/general/latest/gr/iot-core.html: 100 publishes and 512 KB a second for each connection; what
is beyond is thrown away or ends the connection.
"""

from __future__ import annotations

import math

from thingmeter.protocols import Clock

PUBLISHES_PER_S = 80
BYTES_PER_S = 400_000
FRAME_BYTES = 16  # of a PUBLISH beside topic and payload: fixed header, lengths, packet identifier, properties


class Pace:
    """When the next sample may be published. For one thread alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before = -math.inf  # monotonic

    def publishing(self, size: int) -> None:
        """Note that a publish of ``size`` bytes, topic included, begins now."""
        takes_s = max(1 / PUBLISHES_PER_S, (size + FRAME_BYTES) / BYTES_PER_S)
        self._not_before = self._clock.monotonic() + takes_s

    def wait_s(self) -> float:
        """Return the seconds until the next publish may begin, 0 when it may now."""
        return max(0.0, self._not_before - self._clock.monotonic())
