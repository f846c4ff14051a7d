"""A custom metric as it is declared to Device Defender: plain data, light enough for the daemon.

Source: the AWS IoT API reference, CreateCustomMetric.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from thingmeter.config.settings import Config, MetricType

TOKEN_PREFIX = "thingmeter-"  # noqa: S105  # tells a reader of CloudTrail who created it; no secret
TOKEN_DIGITS = 32  # 128 bits; the whole stays below the 64 characters that the API takes


@dataclass(frozen=True, slots=True)
class CustomMetricDefinition:
    """One custom metric; ``display_name`` may be empty, ``tags`` are sorted pairs of key and value."""

    name: str
    type: MetricType
    display_name: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    def fingerprint(self) -> str:
        """Return a digest of all that is declared: equal for equal definitions, on every device and at every start."""
        return _digest(asdict(self))

    def essence(self) -> str:
        """Return a digest of the name and the type: a display name and tags decide nothing."""
        return _digest({"name": self.name, "type": self.type})

    def request_token(self) -> str:
        """Return the clientRequestToken of its creation.

        It depends on what can never change, the name and the type, and on nothing else: a device with an older
        display name or other tags that creates at the same moment repeats the same request, as far as AWS compares
        tokens, and does not compete with it. A later display name goes out by an update.
        """
        return TOKEN_PREFIX + self.essence()[:TOKEN_DIGITS]


def definitions_of(config: Config) -> tuple[CustomMetricDefinition, ...]:
    """Return what the configuration declares to Device Defender, in its order."""
    if config.defender is None:
        return ()
    return tuple(
        CustomMetricDefinition(metric.name, metric.type, metric.display_name, tuple(sorted(metric.tags.items())))
        for metric in config.defender.custom_metric
    )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
