"""The seams: what a collector, a transport, a registrar and a clock must offer. Interfaces only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from thingmeter.metrics import Metric, Sample
from thingmeter.plans import Outcome, Plan


class Collector(Protocol):
    """Takes samples of one subject. No base class is needed: any object with these two members is one.

    The agent calls ``collect()`` on a thread of its own, one call at a time, and adds the clock, the log, the time
    limit and the count of failures.
    """

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that ``collect()`` may yield; what is not declared here is refused."""

    def collect(self) -> Iterable[Sample]:
        """Take one sample of each series.

        Raises:
            CollectError: measuring is not possible now; tried again at the next interval.
            Unsupported: this machine has nothing of the kind; not tried again before the next start.
        """


class Transport(Protocol):
    """Carries a message to its destination and learns the outcome."""

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:
        """Return once the destination has accepted the message ``key``; blocks at most about ``timeout_s``.

        Raises:
            Unreachable: not accepted for certain, or no answer; safe to send again.
            Throttled: safe to send again after ``after_s``.
            Rejected: refused for good.
            Unconfirmed: published, but never answered; must not be sent again.
        """

    def close(self) -> None:
        """Give up what is held; a ``send`` in progress ends with Unreachable."""


class Definition(Protocol):
    """What is declared to a service under a name: a custom metric or a UOM."""

    @property
    def name(self) -> str:
        """The name that the service knows it by; unique among the definitions of one registrar."""

    def fingerprint(self) -> str:
        """Return a digest of all that is declared: equal for equal definitions, on every device and at every start."""

    def essence(self) -> str:
        """Return a digest of what decides how it stands with the service: without names for people, and the like."""


DefinitionT_contra = TypeVar("DefinitionT_contra", bound=Definition, contravariant=True)


class Registrar(Protocol[DefinitionT_contra]):
    """Declares definitions to one service; makes one attempt and knows nothing of earlier ones.

    What keeps one definition from being settled does not keep the others: it is raised when they are. Both methods
    block, and both raise:

        Throttled: the service asks to wait; what was not yielded is still to do.
        Unreachable: no answer, or none that decides; what was not yielded is still to do.
        Denied: the service refuses us, whatever we ask for.
    """

    def plan(self, definitions: Sequence[DefinitionT_contra], known: Collection[str]) -> Plan:
        """Look at what the service has and return a step for each definition, in their order; changes nothing.

        Raises only where nothing at all could be seen. What could be seen is worth carrying out, or a service that
        often asks to wait would never see the end: the steps up to there, with the error as the plan's ``trouble``.

        Args:
            definitions: all that are to be declared.
            known: names of those that this device has registered before, unchanged since.
        """

    def apply(self, plan: Plan) -> Iterator[Outcome]:
        """Carry out the plan that ``plan()`` returned last; yield the outcome of each step as soon as it is known.

        Raises the plan's ``trouble``, if it has any, when all that can be done without its cause is done.
        """


class Clock(Protocol):
    """Time, so that tests can move it. Durations come from ``monotonic()``, timestamps from ``now()``."""

    def now(self) -> datetime:
        """Return the wall time, aware UTC; it may step either way."""

    def monotonic(self) -> float:
        """Return seconds that never step and stand still while the machine sleeps."""

    def boottime(self) -> float:
        """Return seconds since boot, sleep included (CLOCK_BOOTTIME)."""

    def boot_id(self) -> str:
        """Return what names this boot: /proc/sys/kernel/random/boot_id."""

    def synchronised(self) -> bool:
        """Return whether the kernel says that the wall time is disciplined by a time source (adjtimex)."""
