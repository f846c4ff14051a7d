"""How the rows of the journal are spelled. Pure.

A row holds the samples of one window that were committed together, with all that is needed to fold them as they were
measured, whatever the settings say by then. As JSON::

    {"boot_id": ..., "uptime_s": of the commit, "window_s": 900, "number": 0,
     "series": [[AGGREGATION TYPE, REASON, METRIC NAME, ACCOUNT, ORG, USER, [[KEY, VALUE], ...]], ...],
     "samples": [[NUMBER OF THE SERIES, VALUE, MICROSECONDS], ...]}

Microseconds count from 1970; in the rows of samples without a wall time, from the boot. Those rows have a ``number``
of their own, so that it can be remembered up to which they have got one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from thingmeter.config.settings import AggregationType
from thingmeter.destinations.devrev.folding import EPOCH, MICROSECOND, window_of
from thingmeter.destinations.devrev.points import Group
from thingmeter.metering.measured import Measured, Moment, Series, Unstamped, by_series
from thingmeter.outbox import JournalRow

UNSTAMPED = -1  # the window of what has no wall time yet
SECOND = 1_000_000  # in microseconds
KINDS = frozenset(get_args(AggregationType))


@dataclass(frozen=True, slots=True)
class StampedRow:
    """What a row of a window says: who was up for how long at the commit, how long the window is, the samples."""

    boot_id: str
    uptime_s: float
    window_s: int
    samples: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class UnstampedRow:
    """What a row of samples without a wall time says; all are from the boot ``boot_id``."""

    boot_id: str
    number: int
    samples: tuple[Unstamped, ...]


def stamped_rows(samples: Sequence[Measured], window_s: int, now: Moment) -> list[JournalRow]:
    """Return a row for each window, in the order of the windows' first samples."""
    windows: dict[int, list[Measured]] = {}
    for sample in samples:
        windows.setdefault(window_of(sample.at, window_s).second, []).append(sample)
    rows = []
    for start, own in windows.items():
        numbers = by_series(own)
        times = [[numbers[each.series], each.value, (each.at - EPOCH) // MICROSECOND] for each in own]
        rows.append(JournalRow(start, _row(now, numbers, times, window_s=window_s)))
    return rows


def unstamped_row(samples: Sequence[Unstamped], number: int, now: Moment) -> JournalRow:
    """Return the row number ``number`` of samples without a wall time."""
    numbers = by_series(samples)
    times = [[numbers[each.series], each.value, round(each.uptime_s * SECOND)] for each in samples]
    return JournalRow(UNSTAMPED, _row(now, numbers, times, number=number))


def read(row: JournalRow) -> StampedRow | UnstampedRow:
    """Return what a row says.

    Raises:
        ValueError: it is none of this version.
    """
    try:
        document = json.loads(row.payload, parse_constant=_refuse)
        series = [_series(each) for each in document["series"]]
        boot_id, uptime_s, window_s = str(document["boot_id"]), float(document["uptime_s"]), int(document["window_s"])
        samples = [(series[number], value + 0, int(time)) for number, value, time in document["samples"]]
        if row.window == UNSTAMPED:
            unstamped = (Unstamped(own, value, time / SECOND) for own, value, time in samples)
            return UnstampedRow(boot_id, int(document["number"]), tuple(unstamped))
        stamped = tuple(Measured(own, value, EPOCH + time * MICROSECOND) for own, value, time in samples)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError("a row of the journal is not of this version of thingmeter") from error
    if window_s < 1:
        raise ValueError(f"no window has {window_s} s")
    return StampedRow(boot_id, uptime_s, window_s, stamped)


def _refuse(constant: str) -> None:
    raise ValueError(f"no number: {constant}")


def _row(now: Moment, numbers: dict[Series, int], samples: list[list[Any]], **more: int) -> bytes:
    document: dict[str, Any] = {"boot_id": now.boot_id, "uptime_s": now.uptime_s, "window_s": 0, "number": 0, **more}
    document["series"] = [_spelled(series) for series in numbers]
    document["samples"] = samples
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def _spelled(series: Series) -> list[Any]:
    group = series.group
    names = [group.metric_name, group.account_ref, group.org_ref, group.user_ref]
    return [series.aggregation_type, series.reason, *names, group.dimensions]


def _series(spelled: list[Any]) -> Series:
    kind, reason, name, account, org, user, dimensions = spelled
    if kind not in KINDS:
        raise ValueError(f"no aggregation type: {kind}")
    group = Group(name, account, org, user, tuple((str(key), str(value)) for key, value in dimensions))
    return Series(group, cast("AggregationType", kind), reason)
