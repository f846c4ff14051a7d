"""Reads what Device Defender answers to a report, in all the shapes that AWS documents, and survives any other.

Accepted: ``{"thingName", "status": "ACCEPTED", "timestamp", "reportId"?}``. Rejected: the same with ``"REJECTED"`` and
``"statusDetails": {"ErrorCode", "ErrorMessage"}``. One page of AWS shows the report id as a key of the map instead.
Source: AWS IoT Core developer guide, "Reserved topics"; Device Defender developer guide, "Troubleshooting".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import cbor2
import msgspec

MAXIMUM_BYTES = 16 * 1024  # an answer has a few hundred
MAXIMUM_TEXT = 300  # characters of a reason that are kept
MAXIMUM_DEPTH = 8  # a documented answer has two levels
REPORT_ID = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said of one report; ``report_id`` is None where it did not say of which."""

    verdict: Literal["accepted", "rejected"]
    report_id: int | None = None
    code: str = ""
    reason: str = ""


def parse(payload: bytes, verdict: Literal["accepted", "rejected"]) -> Answer | None:
    """Return the answer that arrived on the topic ``.../accepted`` or ``.../rejected``, or None if it is none.

    JSON and CBOR are read on either topic. The topic decides the verdict, the payload only tells more of it.
    """
    if len(payload) > MAXIMUM_BYTES:
        return None
    document = _decode(payload)
    if not isinstance(document, Mapping):
        return None
    details = document.get("statusDetails")
    if not isinstance(details, Mapping):
        details = {}
    return Answer(verdict, _report_id(document), _text(details.get("ErrorCode")), _text(details.get("ErrorMessage")))


def _decode(payload: bytes) -> object:
    try:
        return msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        pass
    try:
        return cbor2.loads(payload, max_depth=MAXIMUM_DEPTH, allow_indefinite=True, semantic_decoders={})
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        return None


def _report_id(document: Mapping[object, object]) -> int | None:
    value = document.get("reportId")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    for candidate in (value, *document):  # the id as text, or as a key
        if isinstance(candidate, str) and REPORT_ID.fullmatch(candidate):
            return int(candidate)
    return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(character if character.isprintable() else " " for character in value[:MAXIMUM_TEXT])
