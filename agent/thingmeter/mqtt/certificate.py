"""The dates of an X.509 certificate, read with a DER walk of a few lines.

The standard library shows the dates of a verified peer only, and the cryptography package is too large to stay in the
daemon. Source: RFC 5280, sections 4.1 and 4.1.2.5; ITU-T X.690.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
SEQUENCE, INTEGER, VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0x02, 0xA0, 0x17, 0x18
LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate can be used; both aware UTC, both included."""

    not_before: datetime
    not_after: datetime


def first_der(pem: str) -> bytes:
    """Return the first certificate of a PEM file as DER.

    Raises:
        ValueError: there is none.
    """
    start = pem.find(BEGIN)
    end = pem.find(END, start)
    if start < 0 or end < 0:
        raise ValueError("no certificate in it")
    return ssl.PEM_cert_to_DER_cert(pem[start : end + len(END)])


def validity(der: bytes) -> Validity:
    """Return the dates in a DER certificate.

    Raises:
        ValueError: not a certificate.
    """
    try:
        certificate, _ = _enter(der, 0, SEQUENCE)
        at, _ = _enter(der, certificate, SEQUENCE)
        if der[at] == VERSION:
            at = _skip(der, at)
        _enter(der, at, INTEGER)  # the serial number
        for _ in ("serial number", "signature algorithm", "issuer"):
            at = _skip(der, at)
        at, _ = _enter(der, at, SEQUENCE)
        return Validity(_time(der, at), _time(der, _skip(der, at)))
    except IndexError as error:
        raise ValueError("it ends too early") from error


def _length(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at ``at`` starts and how long it is."""
    first = der[at + 1]
    if first < LONG_FORM:
        return at + 2, first
    count = first - LONG_FORM
    content = at + 2 + count
    return content, int.from_bytes(der[at + 2 : content], "big")


def _enter(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return start and end of the content of the element at ``at``, which must have this tag."""
    if der[at] != tag:
        raise ValueError("not a certificate")
    start, length = _length(der, at)
    return start, start + length


def _skip(der: bytes, at: int) -> int:
    start, length = _length(der, at)
    return start + length


def _time(der: bytes, at: int) -> datetime:
    tag = der[at]
    start, end = _enter(der, at, tag)
    text = der[start:end].decode("latin-1")
    if tag == UTC_TIME:  # two digits of a year; 50 and above belong to the 20th century
        text = ("19" if text >= "50" else "20") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("not a certificate: no date where one belongs")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError("not a certificate: a date that is none") from error
