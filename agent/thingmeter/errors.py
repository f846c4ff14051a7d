"""Every error that thingmeter raises on purpose.

ThingmeterError
├── ConfigError             the configuration cannot be used; carries every problem found
├── CollectError            a collector cannot measure now
│   └── Unsupported         this machine has nothing of the kind, now or later
├── DeliveryError           a message did not reach its destination
│   ├── Unreachable         no answer; safe to send again
│   │   ├── Unanswered      it went out, but no answer came: it may have been carried out
│   │   └── Denied          refused until a policy, our certificate or our token changes
│   ├── Throttled           asked to wait; safe to send again after ``after_s``
│   ├── Rejected            refused for good; sending again cannot help
│   └── Unconfirmed         published, outcome unknown; must not be sent again
└── OutboxError             the outbox cannot be used
    ├── OutboxLocked        another process has it
    ├── OutboxNewer         a newer version of thingmeter wrote it
    └── OutboxFull          no room, and nothing that may be given up
"""

from __future__ import annotations

from dataclasses import dataclass


class ThingmeterError(Exception):
    """The root: catching it catches every error raised on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a configuration file.

    ``line`` counts from 1; 0 when the problem belongs to the whole file. ``setting`` is what stands behind the
    place: ``[table] key = value``, or ``[table]``, or nothing.
    """

    file: str
    line: int
    setting: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.setting}: {self.message}" if self.setting else f"{place}: {self.message}"


class ConfigError(ThingmeterError):
    """The configuration cannot be used; ``problems`` lists every mistake, sorted by place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class CollectError(ThingmeterError):
    """A collector cannot measure now; its message is what ``status`` shows."""


class Unsupported(CollectError):
    """This machine has nothing of the kind to measure; the collector rests until the next start."""


class DeliveryError(ThingmeterError):
    """A message did not reach its destination."""


class Unreachable(DeliveryError):
    """No answer; the message may be sent again."""


class Unanswered(Unreachable):
    """It went out, at least in part, and no answer came back: it may have been carried out."""


class Denied(Unreachable):
    """The service refuses us, whatever we send, until a policy, our certificate or our token changes."""


class Throttled(DeliveryError):
    """The destination asks to wait ``after_s`` seconds; the message may be sent again then."""

    def __init__(self, message: str, *, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class Rejected(DeliveryError):
    """Refused for good: sending the same bytes again cannot help."""


class Unconfirmed(DeliveryError):
    """Published and acknowledged by the broker, but the service did not answer; must not be sent again."""


class OutboxError(ThingmeterError):
    """The outbox cannot be used."""


class OutboxLocked(OutboxError):
    """Another process has this outbox open."""


class OutboxNewer(OutboxError):
    """A newer version of thingmeter wrote this outbox; it is left untouched."""


class OutboxFull(OutboxError):
    """No room for the message, and nothing waiting that may be given up for it."""
