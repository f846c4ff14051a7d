"""What Device Defender made of one report, and the answer that says so.

Source: docs.aws.amazon.com/iot-device-defender/latest/devguide/device-defender-troubleshoot.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import cbor2

from thingmeter.sandbox.defender.breach import Breach
from thingmeter.sandbox.defender.payload import Format
from thingmeter.sandbox.defender.tree import Node
from thingmeter.sandbox.faults import AnswerShape

MAXIMUM_WORDS = 500
SHOWN_BREACHES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one report.

    Attributes:
        at: when it arrived, aware UTC.
        thing: whose it is, from its topic.
        format: ``json`` or ``cbor``, from its topic.
        payload: its bytes.
        report: what they decode to; None when they do not.
        report_id: None when there is none that is a positive integer.
        error_code: empty when it was accepted; ``InvalidPayload`` or ``Throttled``, or what the faults asked for.
        error_message: why it was rejected, in words.
        breaches: the first hundred rules that it breaks; an accepted report may have warnings among them.
    """

    at: datetime
    thing: str
    format: Format
    payload: bytes
    report: Node = None
    report_id: int | None = None
    error_code: str = ""
    error_message: str = ""
    breaches: tuple[Breach, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the answer is ``accepted``."""
        return not self.error_code

    @property
    def warnings(self) -> tuple[Breach, ...]:
        """What the service takes, but not as it was meant."""
        return tuple(breach for breach in self.breaches if breach.is_warning)

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the device-side metrics in the report."""
        return _keys(self.report, "metrics", "met")

    @property
    def custom_metrics(self) -> tuple[str, ...]:
        """The names of the custom metrics in the report."""
        return _keys(self.report, "custom_metrics", "cmet")


def encode_answer(verdict: Verdict, shape: AnswerShape, padding_bytes: int = 0) -> bytes:
    """Return the payload that tells the thing of the verdict, in the format of its report."""
    answer: dict[str, Any] = {
        "thingName": verdict.thing,
        "status": "ACCEPTED" if verdict.accepted else "REJECTED",
        "timestamp": int(verdict.at.timestamp() * 1000),
    }
    if not verdict.accepted:
        details = {"ErrorCode": verdict.error_code, "ErrorMessage": verdict.error_message}
        answer["statusDetails"] = details
    if padding_bytes:
        answer["padding"] = "x" * padding_bytes
    if verdict.report_id is not None:
        if shape == "report id":
            answer["reportId"] = verdict.report_id
        elif shape == "report id as key":
            answer = {str(verdict.report_id): answer}
    return json.dumps(answer).encode() if verdict.format == "json" else cbor2.dumps(answer)


def in_words(breaches: tuple[Breach, ...]) -> str:
    """Return breaches as one line: the first few, and how many more there are."""
    shown = "; ".join(f"{breach} [{breach.rule}]" for breach in breaches[:SHOWN_BREACHES])
    more = len(breaches) - SHOWN_BREACHES
    return shown[:MAXIMUM_WORDS] + (f"; and {more} more" if more > 0 else "")


def _keys(report: Node, *names: str) -> tuple[str, ...]:
    if isinstance(report, dict):
        for name in names:
            block = report.get(name)
            if isinstance(block, dict):
                return tuple(block)
    return ()
