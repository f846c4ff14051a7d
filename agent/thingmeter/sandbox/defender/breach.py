"""The rules that a report can break, by id, and one breach of them.

Sources: S2 docs.aws.amazon.com/iot-device-defender/latest/devguide/device-defender-troubleshoot.html;
S3 .../detect-device-side-metrics.html;
S5 docs.aws.amazon.com/iot/latest/apireference/API_CreateCustomMetric.html;
S7 docs.aws.amazon.com/general/latest/gr/iot-core.html;
S12 github.com/aws/aws-iot-device-sdk-cpp-v2, README of the Device Defender sample;
S14 docs.aws.amazon.com/iot/latest/developerguide/reserved-topics.html; strict: no source says that the service takes
it, so that only a reader as lenient as ours would.
"""

from __future__ import annotations

from dataclasses import dataclass

RULES: dict[str, str] = {
    "size": "S7: at most 128 KB",
    "qos": "S14: published with QoS 1",
    "retain": "S14: published without the retain flag",
    "parse": "S3: one JSON or CBOR map, and nothing behind it",
    "duplicate-key": "strict: a key stands once in a map",
    "finite": "S3: NaN and infinities are no numbers",
    "definite-length": "strict: CBOR of definite lengths",
    "tag": "strict: CBOR without tags",
    "text-key": "S3: keys are text",
    "type": "S3: each field has its type; null stands for none of them",
    "spelling": "S3: long or short names, the same ones throughout a report",
    "unknown-field": "S3: no other fields than the documented ones",
    "required": "S3: header with report_id and version; remote_addr in a connection",
    "report-id": "S3: a positive integer",
    "report-id-order": "S2, S3: unique, and larger than any before of the same thing",
    "version": 'S3: the text "1.0"',
    "content": "S3: metrics or custom_metrics, and something in them",
    "address": "S3: ip:port, an IPv6 address in brackets",
    "port": "S3: 1 to 65535",
    "interface": "S3: the name of an interface",
    "total": "S3: at least 0, and not less than what is listed",
    "delta": "S3: what was added since the last report, never negative",
    "metric-name": "S5: 1 to 128 of A-Z a-z 0-9 : _ - and not beginning with aws:",
    "custom-list": "S2: a list of exactly one map",
    "custom-type": "S3: exactly one of number, number_list, string_list, ip_list",
    "digits": "S12: at most 15 significant digits",
    "ip": "S3: an IPv4 or IPv6 address, without zone or prefix length",
    "characters": "S12: A-Z a-z 0-9 : _ - / . are retained; others are taken and then silently dropped",
}
WARNINGS = frozenset({"characters"})


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a report breaks: which one, where (``custom_metrics.load[0]``) and how, in words."""

    rule: str
    path: str
    message: str

    @property
    def source(self) -> str:
        """Where the rule comes from, and what it says."""
        return RULES[self.rule]

    @property
    def is_warning(self) -> bool:
        """Whether the service takes the report nevertheless."""
        return self.rule in WARNINGS

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
