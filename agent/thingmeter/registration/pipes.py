"""The pipes of a child process: one line goes in, lines come out, on one thread and within bounds of time and size.

Both outputs are read as they come: a child that prints much to stderr must not wait for us while we wait for its next
line. Its stdin is not closed before ``close()``.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Iterator
from typing import IO

from thingmeter.protocols import Clock

LINE_BYTES = 65_536
STDERR_BYTES = 4096  # its end is kept, where a traceback says what was raised
CHUNK_BYTES = 65_536  # as much as a pipe holds


class Pipes:
    """What goes into ``process`` and comes out of it.

    Attributes:
        stderr: the end of what was printed there.
        is_over: whether the process closed its stdout.
        problem: why ``lines()`` stopped before that, or empty.

    Args:
        process: with three pipes, not buffered.
        request: what goes in.
        clock: for the time limit.
    """

    def __init__(self, process: subprocess.Popen[bytes], request: bytes, clock: Clock) -> None:
        self.stderr = b""
        self.is_over = False
        self.problem = ""
        self._in, self._out, self._error = (_of(pipe) for pipe in (process.stdin, process.stdout, process.stderr))
        self._unsent = memoryview(request)
        self._clock = clock

    def lines(self, limit_s: float, limit_lines: int) -> Iterator[bytes]:
        """Yield each line of stdout as it comes, until it is closed or a limit is reached."""
        deadline = self._clock.monotonic() + limit_s
        unread, count = b"", 0
        with selectors.DefaultSelector() as selector:
            for pipe, event in (
                (self._in, selectors.EVENT_WRITE),
                (self._out, selectors.EVENT_READ),
                (self._error, selectors.EVENT_READ),
            ):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, event)
            while not self.is_over:
                left_s = deadline - self._clock.monotonic()
                if left_s <= 0:
                    self.problem = f"registration took longer than {limit_s:.0f} s"
                    return
                for key, _ in selector.select(left_s):
                    unread += self._move(key.fileobj, selector)
                *whole, unread = unread.split(b"\n")
                for line in whole:
                    count += 1
                    yield line
                if count > limit_lines or len(unread) > LINE_BYTES:
                    self.problem = "registration printed what was not asked for"
                    return

    def close(self) -> None:
        """Take what is left on stderr and close all pipes; the process has ended, or has been killed."""
        self._keep(_read(self._error) or b"")
        for pipe in (self._in, self._out, self._error):
            pipe.close()

    def _move(self, pipe: object, selector: selectors.BaseSelector) -> bytes:
        """Move what one pipe is ready for; return what came from stdout."""
        if pipe is self._in:
            self._send(selector)
            return b""
        chunk = _read(self._out if pipe is self._out else self._error)
        if chunk == b"":
            selector.unregister(self._out if pipe is self._out else self._error)
            self.is_over = self.is_over or pipe is self._out
        if pipe is self._out:
            return chunk or b""
        self._keep(chunk or b"")
        return b""

    def _send(self, selector: selectors.BaseSelector) -> None:
        try:
            sent = os.write(self._in.fileno(), self._unsent[:CHUNK_BYTES])
        except BlockingIOError:
            return
        except BrokenPipeError:  # it has ended, and stdout will say so
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            selector.unregister(self._in)

    def _keep(self, chunk: bytes) -> None:
        self.stderr = (self.stderr + chunk)[-STDERR_BYTES:]


def _of(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError("a process without that pipe")
    return pipe


def _read(pipe: IO[bytes]) -> bytes | None:
    """Return what is there, nothing at the end, None when there is nothing yet."""
    try:
        return os.read(pipe.fileno(), CHUNK_BYTES)
    except BlockingIOError:
        return None
