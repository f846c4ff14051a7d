"""Puts the newest sample of each series on an MQTT topic, interval by interval; needs no Device Defender.

    collected() ──> newest of each series ── turn() ──> a batch in the outbox ── take() ──> one publish for each sample

One file per role::

    telemetry.py  Telemetry: samples come in, and each interval one batch of them goes into the outbox
    source.py     TelemetrySource: hands a batch out sample by sample, and settles it when all of it is out
    batch.py      how a batch is spelled in the outbox (pure)

A batch is one message of the outbox, so an interval costs one commit when it goes in and one when it is out, however
many series there are. What waits is bounded as all telemetry is, by [outbox] maximum_age_s and maximum_bytes: the
oldest batches are dropped first, and counted there.
"""

from thingmeter.telemetry.source import TelemetrySource
from thingmeter.telemetry.telemetry import DESTINATION, Telemetry

__all__ = ["DESTINATION", "Telemetry", "TelemetrySource"]
