"""The Device Defender service: judges each report that is published, and answers on ``accepted`` or ``rejected``.

Sources: docs.aws.amazon.com/iot/latest/developerguide/reserved-topics.html (topics, formats of the answers);
docs.aws.amazon.com/general/latest/gr/iot_device_defender.html (the minimum interval of a thing's reports)
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from thingmeter.sandbox.defender.breach import Breach
from thingmeter.sandbox.defender.ledger import Ledger
from thingmeter.sandbox.defender.payload import Format, judge_payload
from thingmeter.sandbox.defender.tree import Node
from thingmeter.sandbox.defender.verdict import Verdict, encode_answer, in_words
from thingmeter.sandbox.hub import Hub
from thingmeter.sandbox.packets import Message
from thingmeter.sandbox.permission import REPORT_TOPIC
from thingmeter.sandbox.stream import Stream

MAXIMUM_BREACHES = 100
ARRIVAL_SLACK_S = 0.5  # a report that waited on its way makes the next one seem early
INVALID = "InvalidPayload"
THROTTLED = "Throttled"


class DefenderService:
    """Judges reports; a ``router.Service``."""

    def __init__(self, hub: Hub, ledger: Ledger, verdicts: Stream[Verdict], *, minimum_interval_s: float) -> None:
        self._hub = hub
        self._ledger = ledger
        self._verdicts = verdicts
        self._minimum_interval_s = minimum_interval_s
        self._accepted_at: dict[str, float] = {}

    def takes(self, topic: str) -> bool:
        """Return whether a report is published on ``topic``."""
        return REPORT_TOPIC.fullmatch(topic) is not None

    def receive(self, message: Message) -> None:
        """Judge a report and answer it soon."""
        faults = self._hub.faults
        fault = faults.take_answer()
        verdict = self._judge(message)
        if fault == "rejected":
            verdict = replace(verdict, error_code=faults.error_code, error_message=faults.error_message)
        elif verdict.accepted and verdict.report_id is not None:
            self._ledger.note(verdict.thing, verdict.report_id)
            self._accepted_at[verdict.thing] = self._hub.clock.monotonic()
        self._verdicts.add(verdict)
        if fault == "missing":
            return
        payload = encode_answer(
            verdict, faults.answer_shape, faults.answer_padding_bytes if fault == "oversized" else 0
        )
        topic = f"{message.topic}/{'accepted' if verdict.accepted else 'rejected'}"
        answer = Message(topic, faults.answer_payload if fault == "literal" else payload, qos=1)
        delay_s = faults.answer_delay_s if fault == "late" else 0
        for _ in range(2 if fault == "twice" else 1):
            asyncio.get_running_loop().call_later(delay_s, self._hub.router.publish, answer)

    def _judge(self, message: Message) -> Verdict:
        thing, report_format = _address(message.topic)
        verdict = Verdict(self._hub.clock.now(), thing, report_format, message.payload)
        report, found = judge_payload(message.payload, report_format)
        verdict = replace(verdict, report=report, report_id=_report_id(report))
        breaches = (*_check_message(message), *found, *self._check_order(verdict))
        verdict = replace(verdict, breaches=breaches[:MAXIMUM_BREACHES])
        wrong = tuple(breach for breach in breaches if not breach.is_warning)
        if wrong:
            return replace(verdict, error_code=INVALID, error_message=f"Malformed metrics report: {in_words(wrong)}")
        early = self._early_words(thing)
        return replace(verdict, error_code=THROTTLED, error_message=early) if early else verdict

    def _check_order(self, verdict: Verdict) -> Iterator[Breach]:
        last = self._ledger.last(verdict.thing)
        if verdict.report_id is not None and verdict.report_id <= last:
            message = f"{verdict.report_id} is not larger than {last}, which was accepted before"
            yield Breach("report-id-order", "header.report_id", message)

    def _early_words(self, thing: str) -> str:
        """Return why a report of the thing comes too early, or nothing. Throttled ones do not count for the next."""
        last = self._accepted_at.get(thing)
        if last is None:
            return ""
        since_s = self._hub.clock.monotonic() - last
        if since_s >= self._minimum_interval_s - min(ARRIVAL_SLACK_S, self._minimum_interval_s / 2):
            return ""
        return f"{since_s:.1f} s after the last report; at least {self._minimum_interval_s:g} s must lie between two"


def _address(topic: str) -> tuple[str, Format]:
    found = REPORT_TOPIC.fullmatch(topic)
    assert found is not None  # noqa: S101 - takes() has seen it
    return found[1], cast("Format", found[2])


def _check_message(message: Message) -> Iterator[Breach]:
    if message.qos != 1:
        yield Breach("qos", "", f"published with QoS {message.qos}")
    if message.retain:
        yield Breach("retain", "", "published with the retain flag")


def _report_id(report: Node) -> int | None:
    header = report.get("header", report.get("hed")) if isinstance(report, dict) else None
    report_id = header.get("report_id", header.get("rid")) if isinstance(header, dict) else None
    valid = isinstance(report_id, int) and not isinstance(report_id, bool) and report_id > 0
    return report_id if valid and isinstance(report_id, int) else None
