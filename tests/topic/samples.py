"""Samples of every kind that can be published."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

from thingmeter.metrics import Metric, Sample

AT = datetime(2026, 1, 1, 0, 0, 0, 250_999, tzinfo=UTC)

USAGE_PERCENT = Metric("cpu.usage_percent", unit="%", dimensions=("cpu",))
USED = Metric("disk.used_bytes", unit="By", dimensions=("device", "mount"))
ON_MAINS = Metric("power.on_mains", unit="", type="boolean")
KERNEL = Metric("host.kernel", unit="", type="text")
GATEWAY = Metric("network.gateway", unit="", type="address")
CONNECTIONS = Metric("sockets.connections", unit="1", type="connections")

ALL: tuple[Sample, ...] = (
    USAGE_PERCENT.sample(12.5, at=AT),
    USAGE_PERCENT.sample(100.0, {"cpu": "0"}, at=AT),
    USED.sample(18_446_744_073_709_551_615, {"mount": '/srv/größe "x"', "device": "sda1"}, at=AT),
    ON_MAINS.sample(True, at=AT),
    KERNEL.sample("6.1.0-18-arm64\\x", at=AT),
    GATEWAY.sample(ip_address("2001:db8::1"), at=AT),
)
