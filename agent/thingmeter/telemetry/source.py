"""Hands batches out sample by sample: each a publish of its own, and the batch deleted once all of it is out.

    outbox: batch 1 (a b c), batch 2 (d e)     take() a, b, c ── acknowledge 1 ── d, e ── acknowledge 2

How far a batch is out is kept in memory: after a failure it goes on where it stopped, after a restart its first samples
are published again, with the same bytes. A sample that is refused does not stop those behind it; the batch it is in is
set aside when the rest is out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thingmeter.health import Health
from thingmeter.outbox import Message, Outbox
from thingmeter.telemetry.batch import lines_of
from thingmeter.telemetry.telemetry import DESTINATION


@dataclass(slots=True)
class _Progress:
    """How far one batch is out.

    Attributes:
        batch: as it stands in the outbox.
        lines: its samples.
        done: how many have their outcome.
        refused: how many were rejected.
        unknown: how many were published without a known outcome.
        reason: of the first of these.
    """

    batch: Message
    lines: list[bytes] = field(repr=False)
    done: int = 0
    refused: int = 0
    unknown: int = 0
    reason: str = ""


class TelemetrySource:
    """Where the delivery of telemetry takes its samples from; for the delivery's thread alone."""

    def __init__(self, outbox: Outbox, health: Health) -> None:
        self._outbox = outbox
        self._health = health
        self._progress: _Progress | None = None
        self._is_current = (
            False  # the batch was in the outbox when it was last looked for, and nothing has failed since
        )
        self._in_flight = False  # a sample was taken and has no outcome yet

    def take(self) -> Message | None:
        """Return the next sample; its key is its batch's and its place in it.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        if not self._is_current or self._progress is None:
            batch = self._outbox.next(DESTINATION)  # anew after a failure: it may have grown too old, or made room
            if batch is None:
                self._progress = None
                return None
            if self._progress is None or self._progress.batch != batch:
                self._progress = _Progress(batch, lines_of(batch.payload))
            self._is_current = True
        progress = self._progress
        self._in_flight = True
        key = f"{progress.batch.key}#{progress.done + 1}"
        return Message(DESTINATION, key, progress.lines[progress.done], progress.batch.seq, progress.batch.created)

    def accepted(self, message: Message) -> None:  # noqa: ARG002  # one sample is in flight at a time
        """Note that the sample in flight is out; delete its batch when it was the last one."""
        self._settle()

    def rejected(self, message: Message, reason: str) -> None:
        """Note that the sample in flight was refused; set its batch aside when it was the last one."""
        self._settle(refused=1, reason=f"{message.key}: {reason}")

    def unconfirmed(self, message: Message, reason: str) -> None:
        """Note that the sample in flight must not be sent again, as ``accepted`` does."""
        self._settle(unknown=1, reason=f"{message.key}: {reason}")

    def release(self) -> None:
        """Look at the outbox again before the next sample, unless the one in flight has its outcome."""
        if self._in_flight:
            self._is_current = False

    def _settle(self, *, refused: int = 0, unknown: int = 0, reason: str = "") -> None:
        """Give the sample in flight its outcome; nothing has changed when the commit fails."""
        progress = self._progress
        if progress is None:
            return
        refused, unknown = progress.refused + refused, progress.unknown + unknown
        reason = progress.reason or reason
        if progress.done + 1 == len(progress.lines):
            self._finish(progress, refused, unknown, reason)
            self._progress = None
        else:
            progress.done += 1
            progress.refused, progress.unknown, progress.reason = refused, unknown, reason
        self._in_flight = False

    def _finish(self, progress: _Progress, refused: int, unknown: int, reason: str) -> None:
        samples = len(progress.lines)
        if refused:
            self._outbox.set_aside(progress.batch, f"{refused} of {samples} samples rejected; {reason}")
            self._health.count("telemetry_samples_rejected", refused)
        elif unknown:
            self._outbox.retire(progress.batch, f"{unknown} of {samples} samples without an answer; {reason}")
        else:
            self._outbox.acknowledge(progress.batch)
