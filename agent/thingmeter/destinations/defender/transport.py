"""Publishes a report and waits for what Device Defender answers.

    subscribe to accepted and rejected -> note the time -> publish -> PUBACK -> note it -> wait for the answer
                                          (durable)                            (durable)

A PUBACK only says that the broker has the report; ``accepted`` that the service parsed it. No answer in
``ANSWER_TIMEOUT_S`` leaves the outcome unknown for good: such a report is never sent again, because a report has no
time of its own and the next one says it better.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Literal, Protocol

from thingmeter.destinations.defender.answers import Answer, parse
from thingmeter.destinations.defender.pace import Pace
from thingmeter.errors import OutboxError, Rejected, Throttled, Unconfirmed, Unreachable
from thingmeter.health import Health
from thingmeter.mqtt.session import Session

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 30
ODD_CODES = 20  # different unknown codes that are said; the set of codes is open
LASTING_CODES = {"InvalidPayload"}  # the only one that AWS documents as the report's own fault


def topic_of(thing: str, format: Literal["json", "cbor"]) -> str:
    """Return the topic of a thing's reports; answers come on the same with ``/accepted`` or ``/rejected`` behind."""
    return f"$aws/things/{thing}/defender/metrics/{format}"


class Ledger(Protocol):
    """What is durable of a publish; ``mark`` is the pace's."""

    def publishing(self, mark: bytes) -> None:
        """Store that the report in flight may be out."""

    def published(self, mark: bytes) -> None:
        """Store that the broker has the report in flight."""


class DefenderTransport:
    """One report in flight at a time."""

    def __init__(self, session: Session, topic: str, pace: Pace, ledger: Ledger, health: Health) -> None:
        self._session = session
        self._topic = topic
        self._pace = pace
        self._ledger = ledger
        self._health = health
        self._answered = threading.Condition()
        self._report_id: int | None = None
        self._answer: Answer | None = None
        self._closed = False
        self._odd_codes: set[str] = set()

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:
        """Return once the report ``key`` (its id) is accepted; blocks up to ``timeout_s`` and ANSWER_TIMEOUT_S more.

        Raises:
            Unreachable: not published, or the broker did not say that it has it.
            Throttled: rejected with a code that does not blame the report.
            Rejected: the report is malformed.
            Unconfirmed: published, not answered.
        """
        self._session.subscribe(
            (f"{self._topic}/accepted", f"{self._topic}/rejected"), self._on_answer, timeout_s=timeout_s
        )
        self._ledger.publishing(self._pace.mark())
        with self._answered:  # not before: until now an answer that names no report is to an earlier one
            self._report_id, self._answer = int(key), None
        try:
            answer = self._publish(payload, timeout_s)
            self._settle(answer)
        finally:
            with self._answered:
                self._report_id = None

    def close(self) -> None:
        """End the wait for an answer: its report is unconfirmed."""
        with self._answered:
            self._closed = True
            self._answered.notify_all()

    def _publish(self, payload: bytes, timeout_s: float) -> Answer | None:
        try:
            self._session.publish(self._topic, payload, timeout_s=timeout_s)
        except Unreachable:
            self._note(self._ledger.publishing)
            with self._answered:
                answer = self._answer
            if answer is None:
                raise
            return answer  # the answer overtook the PUBACK, which then was lost
        self._note(self._ledger.published)
        with self._answered:
            self._answered.wait_for(lambda: self._answer or self._closed, timeout=ANSWER_TIMEOUT_S)
            return self._answer

    def _note(self, store: Callable[[bytes], None]) -> None:
        """Note the time again, since what counts is when the service saw the report: no later than now."""
        mark = self._pace.mark()
        with contextlib.suppress(OutboxError):  # the outcome counts for more; the time before the publish is stored
            store(mark)

    def _settle(self, answer: Answer | None) -> None:
        if answer is None and self._closed:
            raise Unconfirmed("the agent ended before Device Defender answered")
        if answer is None:
            raise Unconfirmed(
                f"no answer from Device Defender within {ANSWER_TIMEOUT_S} s; "
                "has this broker one, and is Detect open to the account?"
            )
        if answer.verdict == "accepted":
            return
        reason = f"{answer.code or 'no code'}: {answer.reason or 'no reason given'}"
        if answer.code in LASTING_CODES:
            raise Rejected(reason)
        if not answer.code.lower().startswith("throttl"):
            self._say_once(answer.code, reason)
        raise Throttled(reason, after_s=self._pace.minimum_interval_s)

    def _say_once(self, code: str, reason: str) -> None:
        if code not in self._odd_codes and len(self._odd_codes) < ODD_CODES:
            self._odd_codes.add(code)
            logger.warning("Device Defender rejected a report with a code unknown to this agent: %s", reason)

    def _on_answer(self, topic: str, payload: bytes) -> None:
        answer = parse(payload, "accepted" if topic.endswith("/accepted") else "rejected")
        with self._answered:
            if answer is None:
                self._health.count("defender_answers_unreadable")
            elif self._report_id is None or answer.report_id not in (None, self._report_id):
                self._health.count("defender_answers_late")
            elif self._answer is None:
                self._answer = answer
                self._answered.notify_all()
