"""Carries messages from the outbox to one destination: one at a time, in order, until the outcome is known.

    returned     -> acknowledge: deleted
    Rejected     -> set aside with the reason; the next one goes on
    Unconfirmed  -> retired: counted, never sent again
    Throttled    -> kept for the time that was asked for
    Unreachable  -> kept; back off with full jitter

The thread sleeps until the outbox has a message, the connection is made or a wait is over; it never polls.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from thingmeter.errors import OutboxError, Rejected, Throttled, Unconfirmed, Unreachable
from thingmeter.health import Health
from thingmeter.outbox import Message, Outbox
from thingmeter.protocols import Clock, Transport

logger = logging.getLogger(__name__)

SEND_TIMEOUT_S = 30
RETRY_FIRST_S = 1
RETRY_CAP_S = 900  # a day without the service costs some 200 attempts
LONGEST_WAIT_S = 3600  # a wait without a reason to end still ends, in case a wake-up was missed


class Source(Protocol):
    """Where a delivery takes its messages from."""

    def take(self) -> Message | None:
        """Return the next message, which is in flight from now on."""

    def settle(self) -> Mapping[str, bytes]:
        """Note that the outcome of the message in flight is final; return state to commit with it.

        Called again when that commit failed: then it only returns the state as it is now.
        """

    def release(self) -> None:
        """Note that no message is in flight any more."""


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where, and when.

    ``destination`` is the name in the outbox. ``hold_s`` gives the seconds until a message may be sent: 0 for now,
    infinity until ``Delivery.wake``.
    """

    destination: str
    source: Source
    transport: Transport
    hold_s: Callable[[], float]


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
        self._uncommitted: Callable[..., None] | None = None  # a final outcome that is not in the outbox yet
        self._down = ""
        self._thread = threading.Thread(target=self._run, name=f"delivery-{route.destination}", daemon=True)

    def start(self) -> None:
        """Begin to deliver what waits in the outbox."""
        self._outbox.listen(self._route.destination, self._wake.set)
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
        now = self._clock.monotonic()
        if self._uncommitted is not None and self._not_before <= now:
            self._commit()
        wait_s = max(self._route.hold_s(), self._not_before - now, self._throttled_until - now)
        if wait_s > 0:
            return self._not_before - now if self._uncommitted is not None else wait_s
        message = self._route.source.take()
        if message is None:
            return math.inf
        try:
            self._send(message)
        finally:
            self._route.source.release()
        return 0

    def _send(self, message: Message) -> None:
        name = self._route.destination
        fares = self._health.destination(name)
        try:
            self._route.transport.send(message.payload, key=message.key, timeout_s=SEND_TIMEOUT_S)
        except Rejected as error:
            self._uncommitted = partial(self._outbox.set_aside, message, str(error))
            changes = {"rejected": fares.rejected + 1, "last_rejected": self._clock.now(), "last_error": str(error)}
            logger.warning("%s: message %s rejected and set aside: %s", name, message.key, error)
        except Unconfirmed as error:
            self._uncommitted = partial(self._outbox.retire, message, str(error))
            changes = {"unconfirmed": fares.unconfirmed + 1, "last_error": str(error)}
            self._say_down(f"published, outcome unknown: {error}")
        except Throttled as error:
            self._throttled_until = self._clock.monotonic() + error.after_s
            changes = {"throttled": fares.throttled + 1, "last_rejected": self._clock.now(), "last_error": str(error)}
            self._say_down(f"not accepted now: {error}")
        except Unreachable as error:
            self._back_off()
            changes = {"unreachable": fares.unreachable + 1, "last_error": str(error)}
            self._say_down(f"not delivered: {error}")
        else:
            self._uncommitted = partial(self._outbox.acknowledge, message)
            changes = {"accepted": fares.accepted + 1, "last_accepted": self._clock.now()}
            self._failures = 0
            self._say_up()
        self._health.update_destination(name, **changes)
        self._commit()

    def _commit(self) -> None:
        if self._uncommitted is not None:
            self._uncommitted(state=self._route.source.settle())
            self._uncommitted = None

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
