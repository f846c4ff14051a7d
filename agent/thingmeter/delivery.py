"""Carries messages from the outbox to one destination: one at a time, in order, until the outcome is known.

    returned     -> accepted: deleted
    Rejected     -> rejected: set aside with the reason; the next one goes on
    Unconfirmed  -> unconfirmed: counted, never sent again
    Throttled    -> kept for the time that was asked for
    Unreachable  -> kept; back off with full jitter
    Denied       -> likewise, but new credentials on the disk end the wait

What an outcome means for the outbox is the source's affair: one message may stand for many. The thread sleeps until the
outbox has a message, the connection is made or a wait is over; only while the service refuses us it looks at the
credentials once a minute.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, Protocol, TypeAlias

from thingmeter.errors import DeliveryError, Denied, OutboxError, Rejected, Throttled, Unconfirmed, Unreachable
from thingmeter.health import Health
from thingmeter.outbox import Message, Outbox
from thingmeter.protocols import Clock, Transport

logger = logging.getLogger(__name__)

SEND_TIMEOUT_S = 30
RETRY_FIRST_S = 1
RETRY_CAP_S = 900  # a day without the service costs some 200 attempts
LONGEST_WAIT_S = 3600  # a wait without a reason to end still ends, in case a wake-up was missed
CREDENTIALS_LOOK_S = 60  # between two looks at the credentials while the service refuses us: two calls of stat(2)

Outcome: TypeAlias = Literal["accepted", "rejected", "unconfirmed", "throttled", "unreachable"]


class Source(Protocol):
    """Where a delivery takes its messages from, and who commits what became of them. For the delivery's thread alone.

    Each of the three outcomes is final and changes the outbox. Where it raises, it is called again with the same
    arguments until it returns, and nothing is taken before; ``release`` may come in between.
    """

    def take(self) -> Message | None:
        """Return the next message, which is in flight from now on; None when nothing is to be sent.

        Raises:
            OutboxError: what has to be stored before it is sent could not be.
        """

    def accepted(self, message: Message) -> None:
        """Commit that the destination has taken what ``message`` carries.

        Raises:
            OutboxError: not committed.
        """

    def rejected(self, message: Message, reason: str) -> None:
        """Commit that the destination refused ``message`` for good; ``reason`` is for people.

        Raises:
            OutboxError: not committed.
        """

    def unconfirmed(self, message: Message, reason: str) -> None:
        """Commit that ``message`` must not be sent again though nobody knows what became of it.

        Raises:
            OutboxError: not committed.
        """

    def release(self) -> None:
        """Note that no message is in flight any more."""


def _keep(_error: DeliveryError) -> None:
    return None


def _never_changes() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where, and when.

    Attributes:
        destination: by its name in the configuration.
        source: where the messages come from.
        transport: what carries them.
        hold_s: gives the seconds until a message may be sent: 0 for now, infinity until ``Delivery.wake``.
        queues: the names in the outbox that feed the source; empty where it is the destination's own.
        kept: called with the reason when the message in flight was not delivered and stays; may raise OutboxError.
        version: gives another text after the credentials on the disk were replaced.
    """

    destination: str
    source: Source
    transport: Transport
    hold_s: Callable[[], float]
    queues: Collection[str] = ()
    kept: Callable[[DeliveryError], None] = _keep
    version: Callable[[], str] = _never_changes


class Delivery:
    """The delivery thread of one destination."""

    def __init__(self, route: Route, outbox: Outbox, clock: Clock, health: Health) -> None:
        self._route = route
        self._outbox = outbox
        self._clock = clock
        self._health = health
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._not_before = -math.inf  # monotonic; so is the next
        self._throttled_until = -math.inf
        self._uncommitted: Callable[[], None] | None = None  # a final outcome that is not in the outbox yet
        self._denied_version: str | None = None  # of the credentials that were refused last, while they are
        self._down = ""
        self._thread = threading.Thread(target=self._run, name=f"delivery-{route.destination}", daemon=True)

    def start(self) -> None:
        """Begin to deliver what waits in the outbox."""
        for queue in self._route.queues or (self._route.destination,):
            self._outbox.listen(queue, self._wake.set)
        self._thread.start()

    def wake(self) -> None:
        """End a wait early: the destination can be reached again. Backing off begins anew, throttling goes on."""
        self._failures = 0
        self._not_before = -math.inf
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """End after the message in flight; give it up after half of ``timeout_s``. Return whether the thread ended."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is None:  # never started
            self._route.transport.close()
            return True
        self._thread.join(timeout_s / 2)
        self._route.transport.close()
        self._thread.join(timeout_s / 2)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait_s = self.step()
            except OutboxError as error:
                logger.error("%s: %s", self._route.destination, error)  # noqa: TRY400  # the cause is in the message
                wait_s = self._back_off()
            except Exception:  # the top of a thread
                logger.exception("%s: delivering failed unexpectedly", self._route.destination)
                wait_s = self._back_off()
            if wait_s > 0:
                self._wake.wait(min(wait_s, LONGEST_WAIT_S))

    def step(self) -> float:
        """Send one message if it is time for one; return the seconds to wait before the next step.

        Raises:
            OutboxError: the outcome is known, but could not be committed: the next step tries that again, and sends
                nothing before.
        """
        self._look_at_credentials()
        now = self._clock.monotonic()
        if self._uncommitted is not None and self._not_before <= now:
            self._commit()
        wait_s = max(self._route.hold_s(), self._not_before - now, self._throttled_until - now)
        if wait_s > 0:
            if self._uncommitted is not None:
                return self._not_before - now
            return min(wait_s, CREDENTIALS_LOOK_S) if self._denied_version is not None else wait_s
        message = self._route.source.take()
        if message is None:
            return math.inf
        try:
            self._send(message)
        finally:
            self._route.source.release()
        return 0

    def _send(self, message: Message) -> None:
        name, source = self._route.destination, self._route.source
        version = self._route.version()  # before the attempt: what is replaced meanwhile is news
        self._denied_version = None
        try:
            self._route.transport.send(message.payload, key=message.key, timeout_s=SEND_TIMEOUT_S)
        except Rejected as error:
            self._uncommitted = partial(source.rejected, message, str(error))
            logger.warning("%s: message %s rejected: %s", name, message.key, error)
            self._count("rejected", error, last_rejected=self._clock.now())
        except Unconfirmed as error:
            self._uncommitted = partial(source.unconfirmed, message, str(error))
            self._say_down(f"published, outcome unknown: {error}")
            self._count("unconfirmed", error)
        except Throttled as error:
            self._throttled_until = self._clock.monotonic() + error.after_s
            self._say_down(f"not accepted now: {error}")
            self._count("throttled", error, last_rejected=self._clock.now())
            self._route.kept(error)
        except Unreachable as error:
            self._back_off()
            self._denied_version = version if isinstance(error, Denied) else None
            self._say_down(f"not delivered: {error}")
            self._count("unreachable", error)
            self._route.kept(error)
        else:
            self._uncommitted = partial(source.accepted, message)
            self._failures = 0
            self._say_up()
            self._count("accepted", last_accepted=self._clock.now())
        self._commit()

    def _count(self, outcome: Outcome, error: DeliveryError | None = None, **times: datetime) -> None:
        name = self._route.destination
        count = getattr(self._health.destination(name), outcome) + 1
        words = {"last_error": str(error)} if error is not None else {}
        self._health.update_destination(name, **{outcome: count}, **words, **times)

    def _commit(self) -> None:
        if self._uncommitted is not None:
            self._uncommitted()
            self._uncommitted = None

    def _look_at_credentials(self) -> None:
        """End the back-off when what was refused has been replaced."""
        if self._denied_version is not None and self._denied_version != self._route.version():
            logger.info("%s: the credentials were replaced; trying again", self._route.destination)
            self._denied_version = None
            self._failures = 0
            self._not_before = -math.inf

    def _back_off(self) -> float:
        limit = min(RETRY_CAP_S, RETRY_FIRST_S * 2 ** min(self._failures, 20))
        self._failures += 1
        wait_s = random.uniform(0, limit)  # noqa: S311  # full jitter, no secret
        self._not_before = self._clock.monotonic() + wait_s
        return wait_s

    def _say_down(self, what: str) -> None:
        is_news = self._down != what and not self._stopping.is_set()
        logger.log(logging.WARNING if is_news else logging.DEBUG, "%s: %s", self._route.destination, what)
        self._down = what

    def _say_up(self) -> None:
        if self._down:
            logger.info("%s: delivering again", self._route.destination)
        self._down = ""
