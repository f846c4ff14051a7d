"""A window's folds as entries for the outbox: encoded, with ids, final."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from thingmeter.destinations.devrev.batches import queue_of
from thingmeter.destinations.devrev.points import UsagePoint
from thingmeter.destinations.devrev.usage import encode
from thingmeter.metering.identity import Identity
from thingmeter.metering.measured import Series
from thingmeter.metering.parts import Parts
from thingmeter.metering.windows import OpenWindow
from thingmeter.outbox import Entry


@dataclass(slots=True)
class Frozen:
    """What some windows come to.

    Attributes:
        puts: by queue, what is to be sent.
        aside: by queue, what a person decides about, and why.
        windows: their starts.
        places: start and UOM's metric name of each part that was made.
        lost: how many samples are in no point: a sum beyond any number, more changes than a fold keeps, a text that is
            not Unicode.
    """

    puts: dict[str, list[Entry]] = field(default_factory=dict)
    aside: dict[str, list[tuple[Entry, str]]] = field(default_factory=dict)
    windows: list[int] = field(default_factory=list)
    places: set[tuple[int, str]] = field(default_factory=set)
    lost: int = 0

    def entries(self) -> int:
        """Return how many points are to be sent."""
        return sum(map(len, self.puts.values()))

    def entries_aside(self) -> int:
        """Return how many points are for a person."""
        return sum(map(len, self.aside.values()))


def freeze(windows: Iterable[OpenWindow], parts: Parts, identity: Identity) -> Frozen:
    """Return the windows' points as entries. Changes nothing but the ids that are used up."""
    frozen = Frozen()
    for held in windows:
        frozen.windows.append(held.start)
        for (window_s, series), fold in held.folds.items():
            name = series.group.metric_name
            stamped = fold.points(held.window(window_s), parts.of(held.start, name))
            points = [UsagePoint(series.group, value, at) for value, at in stamped]
            frozen.lost += fold.lost
            for point in points:
                _enter(frozen, series, point, identity)
            if points:
                frozen.places.add((held.start, name))
    return frozen


def _enter(frozen: Frozen, series: Series, point: UsagePoint, identity: Identity) -> None:
    key = identity.next()
    try:
        frame = encode(point, key, series.aggregation_type)
    except ValueError:
        frozen.lost += 1
        return
    entry = Entry(key, frame, point.at.date(), point.value if series.aggregation_type == "sum" else 0)
    queue = queue_of(series.group.metric_name)
    if series.reason:
        frozen.aside.setdefault(queue, []).append((entry, series.reason))
    else:
        frozen.puts.setdefault(queue, []).append(entry)
