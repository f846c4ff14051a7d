"""How tables, times and exact amounts are written for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from thingmeter.config.wording import escape

DIGITS = 15  # that every double has right


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """Print rows below their header, the columns named in ``right`` aligned to the right."""
    lines = [tuple(header), *(tuple(map(escape, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(line, widths, header, strict=True)
        )
        print("  ".join(cells).rstrip())


def print_json(document: object) -> None:
    """Print a document."""
    print(json.dumps(document, indent=2))


def time_of(at: datetime | None) -> str:
    """Return a time in UTC to the second, nothing for None."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def exactly(amount: Fraction) -> str:
    """Return an amount as a decimal with all its digits; as a fraction where no decimal ends."""
    places, rest = 0, amount.denominator
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest //= prime
            power += 1
        places = max(places, power)
    if rest != 1:
        return str(amount)
    digits = str(abs(amount.numerator) * 10**places // amount.denominator).rjust(places + 1, "0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def briefly(amount: Fraction) -> str:
    """Return an amount as a decimal: exactly where that is short, else to 15 digits behind a ``~``.

    A tenth has no end in binary: what a computer keeps in its place has 55 digits.
    """
    exact = exactly(amount)
    if amount.denominator == 1 or sum(map(str.isdigit, exact)) <= DIGITS:
        return exact
    return f"~{float(amount):.{DIGITS}g}"
