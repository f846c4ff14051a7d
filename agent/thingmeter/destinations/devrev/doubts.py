"""Which usage records may have reached DevRev though nobody heard so, and since when: durable, so that a crash is told.

A doubt is stored before records go out for the first time. It ends with an answer: accepted, rejected, or certainly not
taken. What a crash, a timeout or an error of the server leaves behind keeps it, with the time of the first attempt, and
is sent again with the same ids for as long as DevRev is trusted to remember them: that age is ``age_s``.

The time is the boot clock's while the machine runs, which no step of the wall clock touches; over a reboot it is the
wall clock's, once that is set, and until then nobody knows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeAlias

from thingmeter.protocols import Clock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What of one queue may have arrived.

    Attributes:
        through: the highest sequence number that went out; so may all before it that still wait.
        wall: when that was first, in seconds since 1970.
        boottime: the same in seconds since that boot, sleep included.
        boot_id: which boot that was.
        is_set: whether the wall clock was set then.
    """

    through: int
    wall: float
    boottime: float
    boot_id: str
    is_set: bool


Doubts: TypeAlias = Mapping[str, Doubt]
"""By queue, in the order in which the records stood in the request."""


class Watch:
    """Makes doubts and tells their age.

    Args:
        clock: of this machine.
        is_set: whether the wall clock can be believed now.
    """

    def __init__(self, clock: Clock, is_set: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_set = is_set

    def doubt(self, through: int) -> Doubt:
        """Return a doubt that begins now."""
        clock = self._clock
        return Doubt(through, clock.now().timestamp(), clock.boottime(), clock.boot_id(), self._is_set())

    def age_s(self, doubt: Doubt) -> float | None:
        """Return the seconds since the first attempt, at least; None while the clock cannot tell.

        An attempt of an earlier boot by a wall clock that was not set then is older than everything.
        """
        if doubt.boot_id == self._clock.boot_id():
            return max(0.0, self._clock.boottime() - doubt.boottime)
        if not doubt.is_set:
            return float("inf")
        if not self._is_set():
            return None
        return max(self._clock.boottime(), self._clock.now().timestamp() - doubt.wall)


def stored(doubts: Doubts) -> bytes:
    """Return what to store."""
    return json.dumps([[queue, asdict(doubt)] for queue, doubt in doubts.items()], separators=(",", ":")).encode()


def doubt_of_unknown_age(through: int) -> Doubt:
    """Return a doubt of which nobody knows since when it is one: older than everything."""
    return Doubt(through, wall=0.0, boottime=0.0, boot_id="", is_set=False)


def readable(content: bytes | None) -> dict[str, Doubt] | None:
    """Return the doubts that were stored; None, and a warning, where the disk has damaged them."""
    if content is None:
        return {}
    try:
        return {str(queue): _doubt(fields) for queue, fields in json.loads(content)}
    except (ValueError, TypeError, LookupError, AttributeError):
        logger.warning("which usage records may have reached DevRev before is unreadable: it may be the oldest of each")
        return None


def _doubt(fields: Mapping[str, object]) -> Doubt:
    through, wall, boottime = fields["through"], fields["wall"], fields["boottime"]
    if not isinstance(through, int) or not isinstance(wall, int | float) or not isinstance(boottime, int | float):
        raise TypeError("no doubt")
    return Doubt(through, float(wall), float(boottime), str(fields["boot_id"]), fields["is_set"] is True)
