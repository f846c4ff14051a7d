"""At the end of a period: closes the window, encodes the report, puts it into the outbox.

Guarantees: report ids only grow, over restarts and clock steps; the id, the counters' unreported increases and the
report are committed in one transaction; what a report carried is taken off the counters when it is published, so a
report that was replaced before it went out loses no increase, and a crash before its answer counts none twice. What an
earlier run left waiting is never sent: the first report replaces it, and what it carried comes with the second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from thingmeter.config.changes import with_custom_metrics
from thingmeter.config.settings import Defender
from thingmeter.destinations.defender.mapping import is_empty, report_of, rules_of
from thingmeter.destinations.defender.report import Report, encode
from thingmeter.health import Health
from thingmeter.metrics import Metric, Sample
from thingmeter.outbox import Message, Outbox
from thingmeter.protocols import Clock
from thingmeter.window import Amounts, Counters, Window

logger = logging.getLogger(__name__)

DESTINATION = "defender"
COUNTERS = "defender.counters"  # the outbox's names of what is kept here
REPORT_ID = "defender.report_id"
PACE = "defender.pace"  # when the newest report was published
ID_DIGITS = 15  # a number beyond is none of ours: the epoch second has 10


class Reporting:
    """Makes Device Defender reports. Samples come from the collectors' threads, ``report()`` from the schedule's.

    ``settled`` is called, on the delivery thread, each time a report was published and its outcome is final.
    """

    def __init__(
        self, settings: Defender, outbox: Outbox, clock: Clock, health: Health, settled: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._sent = settings  # without what is left out
        self._outbox = outbox
        self._clock = clock
        self._health = health
        self._settled = settled
        self._lock = threading.Lock()
        self._counters = Counters(clock.boot_id(), outbox.state(COUNTERS))
        self._window = Window(rules_of(settings), self._counters)
        self._start = clock.now()
        self._report_id = _readable_id(outbox.state(REPORT_ID))
        self._first = True
        self._carried: dict[str, Amounts] = {}  # by the waiting report's key
        self._in_flight: Amounts = {}
        self._published: Amounts = {}  # of the report in flight, once the broker has it
        self._refused: set[str] = set()

    def collected(self, metrics: tuple[Metric, ...], samples: Sequence[Sample]) -> None:
        """Take what one collect gave; ``metrics`` are all that it could have given."""
        with self._lock:
            self._window.add(metrics, samples)

    def leave_out(self, names: Collection[str]) -> None:
        """Report every custom metric but these from now on: Device Defender has others of their names, or none."""
        with self._lock:
            sent = (metric for metric in self._settings.custom_metric if metric.name not in names)
            self._sent = with_custom_metrics(self._settings, sent)

    def report(self) -> Message | None:
        """Close the period and leave its report in the outbox; None when nothing is known to report.

        The first report after a start carries no increases: they wait for the second.
        """
        with self._lock:
            report, carried = self._close()
            if lost := self._counters.take_lost():
                self._health.count("counter_series_lost", lost)
            if is_empty(report):
                self._first = False  # increases may be all that there ever is to report
                logger.debug("nothing to report to Device Defender")
                return None
            payload = encode(report, format=self._settings.format, names=self._settings.names)
            state = {REPORT_ID: str(report.report_id).encode(), COUNTERS: self._counters.state()}
            key = str(report.report_id)
            message = self._outbox.put(DESTINATION, key, payload, state=state, keep="newest")
            self._first = False
            self._carried = {key: carried}
            return message

    def take(self) -> Message | None:
        """Return the waiting report; what it carries is in no other report until it is settled or released."""
        with self._lock:
            message = self._outbox.next(DESTINATION)
            if message is None or message.key not in self._carried:
                return None
            self._in_flight = self._carried[message.key]
            return message

    def publishing(self, mark: bytes) -> None:
        """Store when the report in flight is published."""
        self._outbox.put_state({PACE: mark})

    def published(self, mark: bytes) -> None:
        """Store when the report in flight was published, and take what it carried off the counters."""
        with self._lock:
            self._counters.settle(self._in_flight)
            self._published, self._in_flight = self._in_flight, {}
            self._outbox.put_state({PACE: mark, COUNTERS: self._counters.state()})

    def release(self) -> None:
        """Note that no report is in flight any more; one that was published and is kept all the same is sent again."""
        with self._lock:
            self._counters.give_back(self._published)
            self._published, self._in_flight = {}, {}

    def accepted(self, message: Message) -> None:
        """Delete the report, which Device Defender has parsed, and take what it carried off the counters."""
        self._outbox.acknowledge(message, state=self._settle())

    def rejected(self, message: Message, reason: str) -> None:
        """Set the report aside; what it carried is in no other."""
        self._outbox.set_aside(message, reason, state=self._settle())

    def unconfirmed(self, message: Message, reason: str) -> None:
        """Delete the report, which was published and never answered; what it carried is in no other."""
        self._outbox.retire(message, reason, state=self._settle())

    def _settle(self) -> Mapping[str, bytes]:
        """Take what the report in flight carried off the counters; return the state to commit with its outcome.

        Called again when that commit failed: then it only returns the state as it is now.
        """
        with self._lock:
            self._counters.settle(self._in_flight)
            self._published, self._in_flight = {}, {}
            state = {COUNTERS: self._counters.state()}
        self._settled()
        return state

    def _close(self) -> tuple[Report, Amounts]:
        end = self._clock.now()
        points, carried = self._window.close(self._start, end, None if self._first else self._in_flight)
        self._start = end
        self._report_id = self._next_id(end)
        return report_of(self._sent, points, self._report_id, self._refuse), carried

    def _next_id(self, now: datetime) -> int:
        """Return the epoch second, or one more than the last id where the clock or the pace leaves no new second."""
        return max(int(now.timestamp()), self._report_id + 1, 1)

    def _refuse(self, name: str) -> None:
        self._health.count("custom_metric_values_refused")
        if name not in self._refused:
            self._refused.add(name)
            logger.warning(
                "[defender] custom_metric %s: a value was left out, since Device Defender would not keep it: "
                "strings hold A-Z a-z 0-9 : _ - / . only, addresses no zone, numbers are finite",
                name,
            )


def _readable_id(stored: bytes | None) -> int:
    """Return the last report id; 0, which lets ids begin at the time of day, where the disk has damaged it."""
    text = (stored or b"0").decode("ascii", "replace")
    if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS:
        return int(text)
    logger.warning("the last report id is unreadable; ids go on from the clock")
    return 0
