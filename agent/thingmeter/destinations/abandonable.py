"""A blocking call that its caller can leave behind: when its time is over, or when the agent stops."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as LateError

from thingmeter.errors import Unanswered, Unreachable

GRACE_S = 1.0  # beyond the call's own time limit, which says better what took so long


class AbandonableCall:
    """One call at a time, each on a thread of its own that never keeps the process from ending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._future: Future[None] | None = None
        self._closed = False

    def run(self, call: Callable[[], None], *, timeout_s: float) -> None:
        """Return what ``call`` does; wait at most about ``timeout_s``.

        Raises:
            Unanswered: it was left behind, and may yet do its work.
            Unreachable: ``close`` was called before.
            Exception: whatever ``call`` raises.
        """
        future: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise Unreachable("the agent ends")
            self._future = future
        threading.Thread(target=_carry_out, args=(call, future), name="sending", daemon=True).start()
        try:
            future.result(timeout_s + GRACE_S)
        except LateError:
            if future.done():  # the call itself raised it
                raise
            raise Unanswered(f"no outcome within {timeout_s:g} s") from None

    def close(self) -> None:
        """End the ``run`` in progress with Unanswered, and every later one with Unreachable."""
        with self._lock:
            self._closed = True
            future = self._future
        if future is not None:
            _fail(future, Unanswered("the agent ended before there was an answer"))


def _carry_out(call: Callable[[], None], future: Future[None]) -> None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001  # raised where the result is waited for
        _fail(future, error)
    else:
        with contextlib.suppress(InvalidStateError):  # nobody waits any more
            future.set_result(None)


def _fail(future: Future[None], error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)
