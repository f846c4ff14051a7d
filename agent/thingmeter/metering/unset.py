"""The wall time of samples that were taken before the clock was set. Pure.

Time since boot does not step, so within one boot everything has its right time as soon as one instant of it is known in
both times: now, or the last commit before the clock was lost. A boot that ended before any instant of it was known is
bounded by its neighbours: it came after the last known time and before the boot behind it began. Its samples are placed
as late as that allows, with the spaces between them as they were; where they would begin before the last known time,
the spaces are shrunk. Their order is kept in any case.

    known wall time ...| boot 2, never set |: boot 3, never set |: boot 4, set now
                       ^ not before                              ^ began at (now - uptime)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thingmeter.destinations.devrev.folding import EPOCH, MICROSECOND
from thingmeter.metering.measured import Measured, Moment, Unstamped

BOOT_S = 1.0  # that a reboot takes at least: what was before it is before what is behind it


@dataclass(slots=True)
class Boot:
    """What is to be known of a boot in which samples without a wall time were taken; seconds count from the boot.

    Attributes:
        boot_id: which.
        first_s: when its first one was taken.
        last_s: when its last one was.
    """

    boot_id: str
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """An instant of a boot with its wall time, and by how much the time between its samples is shrunk.

    ``is_bounded``: the wall time is no more than one that it may have.
    """

    wall: datetime
    uptime_s: float
    scale: float = 1.0
    is_bounded: bool = False

    def wall_at(self, uptime_s: float) -> datetime:
        """Return the wall time of an instant of the boot."""
        return self.wall - timedelta(seconds=(self.uptime_s - uptime_s) * self.scale)


@dataclass(frozen=True, slots=True)
class Found:
    """A sample with the wall time that was found for it.

    Attributes:
        measured: both.
        uptime_s: seconds since this boot; 0 of an earlier one: it was measured by then.
        is_bounded: the time is no more than one that it may have.
    """

    measured: Measured
    uptime_s: float
    is_bounded: bool


def note(boots: list[Boot], boot_id: str, samples: Sequence[Unstamped]) -> None:
    """Add samples of a boot, behind all that were noted before, to what is known of the boots."""
    if not samples:
        return
    if not boots or boots[-1].boot_id != boot_id:
        boots.append(Boot(boot_id, samples[0].uptime_s, samples[0].uptime_s))
    boots[-1].last_s = max(boots[-1].last_s, *(sample.uptime_s for sample in samples))


def anchors(boots: Sequence[Boot], known: Moment | None, now: Moment) -> dict[str, Anchor]:
    """Return an instant with a wall time for each boot.

    Args:
        boots: in their order.
        known: the last instant before all of their samples whose wall time was known.
        now: an instant whose wall time is known, after all of them.
    """
    found: dict[str, Anchor] = {}
    bounded: list[Boot] = []
    for boot in boots:
        moment = next((each for each in (now, known) if each is not None and each.boot_id == boot.boot_id), None)
        if moment is None:
            bounded.append(boot)
            continue
        found |= _between(bounded, known, moment)
        found[boot.boot_id] = Anchor(moment.wall, moment.uptime_s)
        bounded = []
    return found | _between(bounded, known, now)


def stamp(samples: Iterable[Unstamped], boot_id: str, anchor: Anchor, now: Moment) -> list[Found]:
    """Return samples of one boot with their wall time, in their order."""
    return [
        Found(
            Measured(sample.series, sample.value, anchor.wall_at(sample.uptime_s)),
            sample.uptime_s if boot_id == now.boot_id else 0.0,
            anchor.is_bounded,
        )
        for sample in samples
    ]


def _between(bounded: Sequence[Boot], known: Moment | None, behind: Moment) -> dict[str, Anchor]:
    """Place boots of which nothing is known before the boot of ``behind``, and after ``known``.

    Boots last until just after their last sample.
    """
    if not bounded:
        return {}
    upper = behind.wall_at(0)
    lasted = [BOOT_S + boot.last_s for boot in bounded]
    before_s = sum(lasted) - bounded[0].first_s
    room_s = (upper - known.wall).total_seconds() if known else before_s
    scale = room_s / before_s if 0 < room_s < before_s else 1.0
    return {
        boot.boot_id: Anchor(upper, sum(lasted[number:]), scale, is_bounded=True) for number, boot in enumerate(bounded)
    }


def known_state(now: Moment) -> bytes:
    """Return a known instant as JSON for the outbox."""
    wall = (now.wall - EPOCH) // MICROSECOND
    return json.dumps({"boot_id": now.boot_id, "uptime_s": now.uptime_s, "wall": wall}).encode()


def known_from(stored: bytes | None) -> Moment | None:
    """Return what ``known_state()`` gave; None for nothing, or nothing that can be read."""
    if stored is None:
        return None
    try:
        document = json.loads(stored)
        wall = EPOCH + int(document["wall"]) * MICROSECOND
        return Moment(str(document["boot_id"]), float(document["uptime_s"]), wall)
    except (LookupError, TypeError, ValueError, OverflowError):
        return None


def bounds_of(found: Iterable[Found]) -> tuple[int, datetime, datetime] | None:
    """Return how many times are bounded only, the first and the last of them; None when none is."""
    times = sorted(each.measured.at for each in found if each.is_bounded)
    return (len(times), times[0], times[-1]) if times else None
