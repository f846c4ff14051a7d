"""Switches that make the sandbox misbehave, so that the same broker is the hostile broker of the tests.

A ``Faults`` is read at each step, from the sandbox's own thread; change its fields at any time from any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

AtConnect: TypeAlias = Literal["accept", "refuse", "close", "silence", "garbage", "accept and close"]
PubAckFault: TypeAlias = Literal[
    "once", "late", "missing", "twice", "wrong id", "refused", "close before", "close after", "garbage"
]
DeniedPublish: TypeAlias = Literal["refuse", "disconnect"]
AnswerFault: TypeAlias = Literal["once", "late", "missing", "twice", "rejected", "oversized", "literal"]
AnswerShape: TypeAlias = Literal["report id", "no report id", "report id as key"]


@dataclass(slots=True)
class Faults:
    """What goes wrong; without an argument, nothing.

    Attributes:
        remaining: how many more times ``at_connect``, ``puback`` and ``answer`` go wrong before they go well again;
            None: without end. The other switches hold until they are turned.
        at_connect: what follows a CONNECT.
        connack_reason: of ``at_connect="refuse"``.
        maximum_connects: connects after so many are refused with "Quota exceeded".
        connection_lifetime_s: a connection is ended with "Maximum connect time" when it is so old.
        puback: what follows a PUBLISH of QoS 1.
        puback_delay_s: of ``puback="late"``.
        puback_reason: of ``puback="refused"``.
        denied_publish: what follows a PUBLISH of QoS 1 that the policy denies; one of QoS 0 always disconnects.
        half_open: nothing is read or written any more, and connections stay open.
        byte_delay_s: between two bytes from the broker.
        garbage: the bytes that are sent where garbage is asked for.
        answer: what Device Defender answers to a report. A report that is answered "missing", "late" or "twice" is
            judged as ever; one that is answered "rejected" is not judged.
        answer_delay_s: of ``answer="late"``.
        answer_shape: where an answer carries the report id; all three have been seen.
        answer_payload: of ``answer="literal"``.
        answer_padding_bytes: of ``answer="oversized"``.
        error_code: of ``answer="rejected"``.
        error_message: of ``answer="rejected"``.
    """

    remaining: int | None = None
    at_connect: AtConnect = "accept"
    connack_reason: int = 0x88
    maximum_connects: int | None = None
    connection_lifetime_s: float | None = None
    puback: PubAckFault = "once"
    puback_delay_s: float = 0.2
    puback_reason: int = 0x97
    denied_publish: DeniedPublish = "refuse"
    half_open: bool = False
    byte_delay_s: float = 0.0
    garbage: bytes = b"\xf0\x81\x82\x83\x84\xff\x00"
    answer: AnswerFault = "once"
    answer_delay_s: float = 0.2
    answer_shape: AnswerShape = "report id"
    answer_payload: bytes = b"{"
    answer_padding_bytes: int = 120_000
    error_code: str = "InvalidPayload"
    error_message: str = "Malformed metrics report"
    _usual: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._usual = {each.name: each.default for each in fields(self)}

    def take_at_connect(self) -> AtConnect:
        """Return what follows the CONNECT at hand."""
        return self.at_connect if self._strikes("at_connect") else "accept"

    def take_puback(self) -> PubAckFault:
        """Return what follows the PUBLISH at hand."""
        return self.puback if self._strikes("puback") else "once"

    def take_answer(self) -> AnswerFault:
        """Return what follows the report at hand."""
        return self.answer if self._strikes("answer") else "once"

    def _strikes(self, name: str) -> bool:
        """Return whether the switch is set and faults remain; uses one up."""
        if getattr(self, name) == self._usual[name] or self.remaining == 0:
            return False
        if self.remaining is not None:
            self.remaining -= 1
        return True
