"""``outbox totals``: what became of each day's usage, and whether that adds up to what was measured."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from thingmeter.commands.outbox.choosing import USAGE, Choice
from thingmeter.commands.outbox.tables import briefly, exactly, print_json, print_table
from thingmeter.config import Config
from thingmeter.config.wording import escape
from thingmeter.outbox import BEFORE, Count, LedgerRow, Outbox

PLACES: Final = ("delivered", "waiting", "set_aside", "dropped", "unconfirmed")
COLUMNS: Final = ("measured", *PLACES)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: a day of a UOM, or the sum of its days."""

    destination: str
    day: str
    counts: dict[str, Count]

    @property
    def uom(self) -> str:
        """The UOM's metric name."""
        return self.destination.removeprefix(USAGE)

    def holds(self) -> bool:
        """Tell whether what became of the usage is what was measured, to the last unit."""
        return self.counts["measured"] == _sum(self.counts[place] for place in PLACES)


def totals(_config: Config, outbox: Outbox, choice: Choice, *, as_json: bool) -> int:
    """Print a line for each UOM and day, and one for each UOM; 1 where one does not add up."""
    rows = sorted(outbox.ledger(), key=lambda row: (row.destination, row.day))
    days = [_line(row) for row in rows if choice.has(row.destination)]
    sums = list(_sums(days))
    wrong = [line for line in (*days, *sums) if not line.holds()]
    if as_json:
        print_json({"days": list(map(_of_line, days)), "sums": list(map(_of_line, sums)), "holds": not wrong})
    elif days:
        _print(days, sums)
    else:
        print("no usage was measured yet")
    sys.stdout.flush()
    for line in wrong:
        print(f"{escape(line.uom)}, {line.day}: does not add up to what was measured", file=sys.stderr)
    return 1 if wrong else 0


def _line(row: LedgerRow) -> Line:
    day = "before" if row.day == BEFORE else row.day.isoformat()
    return Line(row.destination, day, {column: getattr(row, column) for column in COLUMNS})


def _sums(days: Sequence[Line]) -> Iterator[Line]:
    for destination, lines in groupby(days, key=lambda line: line.destination):
        of_uom = list(lines)
        counts = {column: _sum(line.counts[column] for line in of_uom) for column in COLUMNS}
        yield Line(destination, "sum", counts)


def _sum(counts: Iterable[Count]) -> Count:
    whole = Count()
    for count in counts:
        whole = Count(whole.points + count.points, whole.amount + count.amount)
    return whole


def _print(days: Sequence[Line], sums: Sequence[Line]) -> None:
    """Print points, and behind them in brackets the amount where values add up to one."""
    header = ("UOM", "DAY", *(column.replace("_", " ").upper() for column in COLUMNS))
    rows: list[Sequence[str]] = []
    for total in sums:
        adds_up = any(count.amount for count in total.counts.values())
        rows += [
            (line.uom, line.day, *(_cell(line.counts[column], with_amount=adds_up) for column in COLUMNS))
            for line in (*(day for day in days if day.destination == total.destination), total)
        ]
    print_table(header, rows, right=header[2:])


def _cell(count: Count, *, with_amount: bool) -> str:
    return f"{count.points} ({briefly(count.amount)})" if with_amount and count != Count() else str(count.points)


def _of_line(line: Line) -> dict[str, Any]:
    counts = {
        column: {"points": count.points, "amount": exactly(count.amount)} for column, count in line.counts.items()
    }
    return {"uom": line.uom, "destination": line.destination, "day": line.day, **counts, "holds": line.holds()}
