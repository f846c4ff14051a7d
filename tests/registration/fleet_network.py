"""The network of a simulated fleet: what carries the calls of its devices to the service, and how long that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

from registration.fleet_time import VirtualTime
from thingmeter.destinations.https import Answer, Request
from thingmeter.errors import Unreachable
from thingmeter.sandbox.control_plane.custom_metrics import CustomMetrics
from thingmeter.sandbox.control_plane.operations import find_operation
from thingmeter.sandbox.http.messages import HttpRequest

TRIP_S = (0.01, 0.04)  # one way to the service or back: some 50 ms for a call


@dataclass(eq=False)
class Network:
    """What lies between the devices and the service.

    Attributes:
        is_up: whether anything gets through.
        shown: the display names that updates have brought about, in order, without repeats.
    """

    time: VirtualTime
    service: CustomMetrics
    is_up: bool = True
    shown: list[tuple[str, str]] = field(default_factory=list)

    def carry(self, request: Request) -> tuple[str, Answer]:
        """Return the operation that was asked for and the answer; takes no time."""
        parts = urlsplit(request.url)
        asked = HttpRequest(request.method, parts.path, parts.query, request.headers, request.body)
        answer = self.service(asked)
        operation, name = find_operation(asked) or ("unknown", "")
        if operation == "UpdateCustomMetric" and name in self.service.metrics:
            now_shown = (name, self.service.metrics[name].display_name)
            if [now_shown] != self.shown[-1:]:
                self.shown.append(now_shown)
        return operation, Answer(answer.status, answer.headers, answer.body)


class SwitchedOff(BaseException):
    """The device was switched off, or its agent started anew: ends what the agent was about to do."""


class Line:
    """A device's line to the service for one attempt.

    Waits are put on a bill and paid in one when the next call leaves, since nobody can tell before that, and a wait
    costs more than all else here.
    """

    def __init__(self, network: Network, random: Random, calls: Counter[str], is_on: Callable[[], bool]) -> None:
        self._network = network
        self._random = random
        self._calls = calls
        self._is_on = is_on
        self._owed_s = 0.0

    def exchange(self, request: Request) -> Answer:
        """Carry a request to the service and its answer back."""
        if not self._network.is_up:
            raise Unreachable("no route to host")
        self.owe(self._random.uniform(*TRIP_S))
        self.pay()
        operation, answer = self._network.carry(request)
        self._calls[operation] += 1
        self.owe(self._random.uniform(*TRIP_S))
        return answer

    def owe(self, seconds: float) -> None:
        """Put a wait on the bill."""
        self._owed_s += seconds

    def pay(self) -> None:
        """Wait as long as the bill says."""
        owed_s, self._owed_s = self._owed_s, 0.0
        self._network.time.wait(owed_s)
        if not self._is_on():
            raise SwitchedOff
