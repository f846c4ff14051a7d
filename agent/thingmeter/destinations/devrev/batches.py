"""Makes requests of the usage records that wait, and decides what their outcomes mean for each record.

    queues "devrev.NAME", one for each UOM           one request                        what came of it
    ────────────────────────────────────     ──────────────────────────     ───────────────────────────────────────────
    a1 a2 a3 a4 ...  ready                   {"metrics": [a1 a2 b1 ...]}     accepted    all of it deleted at once
    b1               ready                                                  rejected    half of the same; one: set aside
    c1 c2 ...        not ready: they wait                                   unanswered  the same again, ids and bytes
                                                                            not taken   nothing has happened

Before records go out for the first time that is stored (doubts.py): what a crash leaves behind is known as sent.
Doubtful records go out by themselves, before any that were never sent, so that no outage makes more than one request of
them doubtful. A sum or a duration that is doubtful for longer than DevRev is trusted to remember ids is set aside for a
person, since a second copy would be billed. Source of the rules: DevRev's beta API, ``metrics.devrev.ingest``, "id".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from thingmeter.destinations.devrev import usage
from thingmeter.destinations.devrev.doubts import Doubt, Watch, doubt_of_unknown_age, readable, stored
from thingmeter.destinations.devrev.refusals import Refusals
from thingmeter.destinations.devrev.sizing import Limits, Sizing, fair_shares
from thingmeter.errors import DeliveryError, Unanswered
from thingmeter.health import Health
from thingmeter.outbox import Message, Outbox
from thingmeter.protocols import Clock

logger = logging.getLogger(__name__)

DESTINATION = "devrev"
DOUBTS = "devrev.doubts"  # the outbox's name of what is kept here
REST_S = 900.0  # while others go first, a record to which the server had nothing to say but errors


def queue_of(metric_name: str) -> str:
    """Return the name in the outbox under which the records of a UOM wait."""
    return f"{DESTINATION}.{metric_name}"


def metric_name_of(queue: str) -> str:
    """Return the metric name of the UOM whose records wait under this name."""
    return queue.removeprefix(f"{DESTINATION}.")


def usage_queues(outbox: Outbox) -> list[str]:
    """Return the queues of all UOMs that ever had a record, whether or not they are still configured."""
    return [name for name in outbox.destinations() if name.startswith(f"{DESTINATION}.")]


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Feed:
    """What feeds a source of usage.

    Attributes:
        metric_names: of the UOMs that are configured; what the outbox has of any other is served as well.
        is_ready: whether the records of a metric name may be sent: its UOM is known to be registered and enabled.
        limits: of a request.
        is_clock_set: whether the wall clock can be believed.
    """

    metric_names: Sequence[str]
    is_ready: Callable[[str], bool]
    limits: Limits = field(default_factory=Limits)
    is_clock_set: Callable[[], bool] = _always


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records on their way in one request."""

    records: tuple[Message, ...]
    request: Message

    def through(self) -> dict[str, int]:
        """Return the last sequence number of each queue, in the order of the request."""
        return {record.destination: record.seq for record in self.records}


class UsageSource:
    """Where the delivery of usage takes its requests from; for the delivery's thread alone."""

    def __init__(self, feed: Feed, outbox: Outbox, clock: Clock, health: Health) -> None:
        self._names = {queue_of(name): name for name in feed.metric_names}
        self._feed = feed
        self._outbox = outbox
        self._clock = clock
        self._health = health
        self._watch = Watch(clock, feed.is_clock_set)
        self._sizing = Sizing(feed.limits)
        self._refusals = Refusals(clock)
        self._doubts = self._stored_doubts()
        self._batch: _Batch | None = None
        self._known = self._doubts  # doubts without what the batch in hand adds to them
        self._turn = 0
        self._resting: dict[str, float] = {}  # until when, monotonic

    @property
    def queues(self) -> Collection[str]:
        """The names in the outbox of all queues, those of UOMs that left the configuration among them."""
        return self._all_names().keys()

    def hold_s(self) -> float:
        """Return the seconds to wait because record after record was refused, 0 for none."""
        return self._refusals.hold_s()

    def take(self) -> Message | None:
        """Return a request that carries the heads of all queues that are ready; None when none has any.

        Its key is the first record's id, and how many more there are.

        Raises:
            OutboxError: what is to be sent could not be stored as sent.
        """
        while candidates := self._candidates():
            if any(self._is_unusable(record) for record in candidates):
                continue
            frames = [record.payload for record in candidates]
            count = usage.fitting(frames, maximum_points=len(frames), maximum_bytes=self._sizing.bytes)
            batch = _batch_of(candidates[: max(count, 1)])  # one alone may be larger than what was taken last
            self._mark(batch)
            self._batch = batch
            return batch.request
        return None

    def accepted(self, message: Message) -> None:  # noqa: ARG002  # one request is in flight at a time
        """Delete the records of the request in flight, all at once."""
        if self._batch is None:
            return
        left = _without(self._known, through := self._batch.through())
        self._outbox.acknowledge_all(through, state={DOUBTS: stored(left)})
        self._sizing.accepted(self._batch.records)
        self._refusals.accepted()
        self._end(left)

    def rejected(self, message: Message, reason: str) -> None:  # noqa: ARG002  # as above
        """Set the record of the request in flight aside; of several, let the next request be half of them."""
        if self._batch is None:
            return
        records = self._batch.records
        left = self._known
        if len(records) == 1:
            left = _without(left, self._batch.through())
            self._set_aside(records[0], reason, left)
            self._refusals.refused(reason)
        else:
            self._outbox.put_state({DOUBTS: stored(left)})
        self._sizing.rejected(records, len(self._batch.request.payload))
        self._end(left)

    def unconfirmed(self, message: Message, reason: str) -> None:  # noqa: ARG002  # as above
        """Delete the records of the request in flight, which must not be sent again."""
        if self._batch is None:
            return
        left = _without(self._known, through := self._batch.through())
        self._outbox.retire_all(through, reason, state={DOUBTS: stored(left)})
        self._end(left)

    def kept(self, error: DeliveryError) -> None:
        """Note why the request in flight stays: what certainly was not taken is not in doubt for it.

        Raises:
            OutboxError: not stored; its records stay in doubt, which does no harm for the length of the horizon.
        """
        batch, self._batch = self._batch, None
        if batch is None:
            return
        if isinstance(error, Unanswered):
            self._known = self._doubts
            if self._sizing.unanswered(batch.records):
                self._rest(batch.records[0])
            return
        self._sizing.forget_suspects()
        self._outbox.put_state({DOUBTS: stored(self._known)})
        self._doubts = self._known

    def release(self) -> None:
        """Do nothing: what is in doubt stays so until its outcome is told."""

    def _all_names(self) -> Mapping[str, str]:
        """Return the metric names by queue; anew each time, since a last window may yet be frozen."""
        return self._names | {queue: metric_name_of(queue) for queue in usage_queues(self._outbox)}

    def _stored_doubts(self) -> dict[str, Doubt]:
        """Return what an earlier process left in doubt; where the disk has lost that, all that a request can carry."""
        content = self._outbox.state(DOUBTS)
        doubts = None if content is None and self._outbox.damaged() else readable(content)
        if doubts is None:
            limit = max(self._feed.limits.points, Limits().points)
            heads = {queue: self._outbox.waiting(queue, limit) for queue in self.queues}
            doubts = {queue: doubt_of_unknown_age(records[-1].seq) for queue, records in heads.items() if records}
            self._outbox.put_state({DOUBTS: stored(doubts)})
        return doubts

    def _candidates(self) -> Sequence[Message]:
        ready = [queue for queue, name in self._all_names().items() if self._feed.is_ready(name)]
        now = self._clock.monotonic()
        awake = [queue for queue in ready if self._resting.get(queue, now) <= now]
        return self._candidates_of(awake) or (self._candidates_of(ready) if awake != ready else ())

    def _candidates_of(self, queues: Sequence[str]) -> Sequence[Message]:
        """Return what may go out next of ``queues``, within the number of records."""
        if {record.destination for record in self._sizing.suspects} <= set(queues):
            if suspects := self._sizing.next_suspects():
                return suspects
        else:
            self._sizing.forget_suspects()
        doubtful = [record for queue in self._doubts if queue in queues for record in self._doubtful(queue)]
        return doubtful[: self._sizing.points] or self._fresh([queue for queue in queues if queue not in self._doubts])

    def _is_unusable(self, record: Message) -> bool:
        """Return whether no request can carry a record; then it is set aside."""
        try:
            size = usage.size_of([record.payload])
        except ValueError:
            self._set_aside(record, "not a usage record of this version of thingmeter")
            return True
        if size > self._feed.limits.bytes:
            self._set_aside(record, f"{size} bytes, more than maximum_request_bytes = {self._feed.limits.bytes}")
        return size > self._feed.limits.bytes

    def _fresh(self, queues: Sequence[str]) -> list[Message]:
        """Return records that were never sent; another queue is the first one each time."""
        start = self._turn % max(1, len(queues))
        waiting = {queue: self._outbox.counts(queue)["waiting"] for queue in (*queues[start:], *queues[:start])}
        shares = fair_shares(waiting, self._sizing.points)
        return [record for queue, share in shares.items() for record in self._outbox.waiting(queue, share)]

    def _doubtful(self, queue: str) -> list[Message]:
        """Return records of a queue that are in doubt and may be sent again; set aside those that must not."""
        doubt = self._doubts[queue]
        while True:  # a request may have carried more than one does now
            waiting = self._outbox.waiting(queue, self._feed.limits.points)
            records = [record for record in waiting if record.seq <= doubt.through]
            if not records:
                self._doubts = self._known = _without(self._doubts, {queue: doubt.through})
                return []
            costly = [record for record in records if usage.is_ambiguous_costly(record.payload)]
            age_s = self._watch.age_s(doubt) if costly else 0.0
            if age_s is None:
                return []
            if age_s <= self._feed.limits.dedupe_horizon_s:
                return records
            self._give_to_a_person(costly, doubt)
            if left := [record for record in records if record not in costly]:
                return left

    def _give_to_a_person(self, records: Iterable[Message], doubt: Doubt) -> None:
        since = datetime.fromtimestamp(doubt.wall, UTC).isoformat(timespec="seconds")
        sent = f"sent at {since}" if doubt.wall else "perhaps sent, at a time that the disk has lost,"
        reason = (
            f"doubtful: {sent} without a known outcome, and a second copy might be counted again; "
            "replay it if DevRev lacks it, else drop it"
        )
        for record in records:
            self._set_aside(record, reason)
            self._health.count("usage_points_doubtful")

    def _set_aside(self, record: Message, reason: str, doubts: Mapping[str, Doubt] | None = None) -> None:
        self._outbox.set_aside(record, reason, state={DOUBTS: stored(self._doubts if doubts is None else doubts)})
        self._health.count("usage_points_set_aside")
        logger.warning("%s: usage record %s set aside: %s", record.destination, record.key, reason)

    def _mark(self, batch: _Batch) -> None:
        """Store that the records of ``batch`` are sent, those excepted of which that is known."""
        self._known = self._doubts
        new = {queue: self._watch.doubt(seq) for queue, seq in batch.through().items() if queue not in self._doubts}
        if new:
            doubts = {**self._doubts, **new}
            self._outbox.put_state({DOUBTS: stored(doubts)})
            self._doubts = doubts

    def _end(self, doubts: dict[str, Doubt]) -> None:
        self._batch = None
        self._doubts = self._known = doubts
        self._turn += 1

    def _rest(self, record: Message) -> None:
        now = self._clock.monotonic()
        self._resting = {queue: until for queue, until in self._resting.items() if until > now}
        self._resting[record.destination] = now + REST_S
        logger.warning("%s: no answer to record %s alone; others go first", record.destination, record.key)


def _batch_of(records: Sequence[Message]) -> _Batch:
    more = f" and {len(records) - 1} more" if len(records) > 1 else ""
    payload = usage.body([record.payload for record in records])
    return _Batch(tuple(records), Message(DESTINATION, f"{records[0].key}{more}", payload))


def _without(doubts: Mapping[str, Doubt], through: Mapping[str, int]) -> dict[str, Doubt]:
    """Return the doubts that are left when all up to ``through`` is settled."""
    return {queue: doubt for queue, doubt in doubts.items() if doubt.through > through.get(queue, 0)}
