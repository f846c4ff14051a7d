"""One connection as the session sees it: publish and subscribe as blocking calls, with their bounds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from thingmeter.errors import Denied, Rejected, Unreachable
from thingmeter.mqtt import reasons
from thingmeter.mqtt.client import Answer, Client, Granted, Lost, lose

log = logging.getLogger(__name__)

MAXIMUM_IN_FLIGHT = 100  # unacknowledged QoS 1 messages that AWS IoT Core takes; a broker may grant less
FILTERS_PER_SUBSCRIBE = 8  # AWS IoT Core's limit
HEADER_BYTES = 5 + 2 + 2 + 1  # PUBLISH: fixed header, length of the topic, packet identifier, no properties
UNANSWERED_LIMIT = 2  # requests given up in a row: the broker answers pings but nothing else, a new connection may help


class Connection:
    """A client that is connected; used until the connection ends, then thrown away."""

    def __init__(self, client: Client, granted: Granted) -> None:
        self.client = client
        self._granted = granted
        self._slots = threading.Semaphore(min(MAXIMUM_IN_FLIGHT, granted.receive_maximum))
        self._lock = threading.Lock()
        self._in_flight: set[Future[Answer]] = set()
        self._filters: dict[str, tuple[Future[tuple[int, ...]], int]] = {}  # filter: its SUBSCRIBE, its place in it
        self._unanswered = 0

    def publish(self, topic: str, payload: bytes, *, retain: bool, timeout_s: float) -> None:
        """Return once the broker has acknowledged.

        Raises:
            Unreachable, Denied, Throttled, Rejected: as ``Session.publish``.
            Lost: the connection had ended before anything was sent.
        """
        size = HEADER_BYTES + len(topic.encode()) + len(payload)
        if size > self._granted.maximum_packet_bytes:
            raise Rejected(f"mqtt: {size} bytes for {topic}; the broker takes {self._granted.maximum_packet_bytes}")
        deadline = time.monotonic() + timeout_s
        if not self._slots.acquire(timeout=max(0.0, timeout_s)):
            raise Unreachable(f"mqtt: too many unacknowledged messages, no room for {topic} within {timeout_s:.3g} s")
        future = self._send(topic, payload, retain=retain)
        try:
            answer = future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            self._give_up()
            raise Unreachable(f"mqtt: no acknowledgement for {topic} within {timeout_s:.3g} s") from error
        except Lost as lost:
            raise reasons.loss(lost, topic) from lost
        self._unanswered = 0
        refusal = reasons.refusal(answer, topic)
        if refusal is not None:
            raise refusal

    def request(self, filters: Sequence[str]) -> None:
        """Send SUBSCRIBE for what is not asked for yet on this connection; do not wait.

        Raises:
            Lost: the connection has ended.
        """
        with self._lock:
            missing = [filter_ for filter_ in dict.fromkeys(filters) if not self._asked(filter_)]
            for start in range(0, len(missing), FILTERS_PER_SUBSCRIBE):
                chunk = missing[start : start + FILTERS_PER_SUBSCRIBE]
                future = self.client.subscribe(chunk)
                self._filters.update({filter_: (future, place) for place, filter_ in enumerate(chunk)})

    def subscribe(self, filters: Sequence[str], *, timeout_s: float) -> None:
        """Return once all ``filters`` are granted on this connection, at once when they are already.

        Raises:
            Unreachable, Denied: as ``Session.subscribe``.
            Lost: the connection had ended before anything was sent.
        """
        deadline = time.monotonic() + timeout_s
        self.request(filters)
        try:
            for filter_ in filters:
                future, place = self._filters[filter_]
                codes = future.result(max(0.0, deadline - time.monotonic()))
                self._unanswered = 0
                code = codes[place] if place < len(codes) else reasons.REFUSED_FROM
                if code >= reasons.REFUSED_FROM:
                    raise Denied(f"mqtt: subscription to {filter_} refused: {reasons.describe(code)}")
        except TimeoutError as error:
            self._give_up()
            names = ", ".join(filters)
            raise Unreachable(f"mqtt: no answer to the subscription to {names} within {timeout_s:.3g} s") from error
        except Lost as lost:
            loss = reasons.loss(lost, ", ".join(filters))
            raise (loss if isinstance(loss, Unreachable) else Unreachable(str(loss))) from lost

    def abandon(self, why: str) -> None:
        """End every publish in flight with Unreachable, though nothing has been heard of the connection."""
        with self._lock:
            waiting = set(self._in_flight)
        lose(waiting, Lost(why))

    def _send(self, topic: str, payload: bytes, *, retain: bool) -> Future[Answer]:
        try:
            future = self.client.publish(topic, payload, retain=retain)
        except Lost:
            self._slots.release()
            raise
        with self._lock:
            self._in_flight.add(future)
        future.add_done_callback(self._landed)  # from now on the slot belongs to the message, not to its sender
        return future

    def _landed(self, future: Future[Answer]) -> None:
        with self._lock:
            self._in_flight.discard(future)
        self._slots.release()

    def _asked(self, filter_: str) -> bool:
        """Return whether a SUBSCRIBE for ``filter_`` is on its way or was granted; a refused one may be tried again."""
        future, place = self._filters.get(filter_, (None, 0))
        if future is None:
            return False
        if not future.done() or future.exception() is not None:
            return True
        codes = future.result()
        return place < len(codes) and codes[place] < reasons.REFUSED_FROM

    def _give_up(self) -> None:
        with self._lock:
            self._unanswered += 1
            useless = self._unanswered >= UNANSWERED_LIMIT
        if useless:
            self.client.disconnect(f"the broker left {UNANSWERED_LIMIT} requests in a row unanswered")
