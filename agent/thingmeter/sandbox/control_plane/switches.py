"""What an operator of the sandbox can turn: errors on demand, and everything that AWS does not document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from thingmeter.sandbox.control_plane.operations import Operation
from thingmeter.sandbox.control_plane.pace import CALLS_PER_S
from thingmeter.sandbox.control_plane.refusal import TypePlace
from thingmeter.sandbox.http.messages import HttpAnswer

Repeated: TypeAlias = Literal["replay", "exists", "invalid"]

DETECT_CLOSED = HttpAnswer.of_json(
    400,
    {"message": "Device Defender Detect is not available to this account"},
    {"x-amzn-errortype": "FeatureNotAvailableException"},
)
"""What an account might get to which Detect is closed. The real error is unknown; this type is in no model."""


@dataclass(slots=True)
class Switches:
    """How the control plane behaves; without an argument as AWS does, as far as that is known.

    Attributes:
        errors: the type of the error that an operation ends in, whatever is asked, such as
            {"CreateCustomMetric": "AccessDeniedException"}.
        remaining: how many more times ``errors`` strike; None: without end.
        closed: the answer to everything, such as ``DETECT_CLOSED``; None: the service is open.
        error_type: where an error's type stands in its answer.
        repeated: what follows a request whose token was used for the metric before, but with another type, display
            name or tags: it is answered as then, the metric "exists", or the request is "invalid". Not documented.
        quota: custom metrics of the account.
        page: names in a page of a list when the caller does not say. Not documented.
        calls_per_s: calls of each operation that the account may make in a second; one that is not there may be
            called at any rate.
    """

    errors: dict[Operation, str] = field(default_factory=dict)
    remaining: int | None = None
    closed: HttpAnswer | None = None
    error_type: TypePlace = "header"
    repeated: Repeated = "replay"
    quota: int = 100
    page: int = 100
    calls_per_s: dict[Operation, float] = field(default_factory=lambda: dict(CALLS_PER_S))

    def take_error(self, operation: Operation) -> str:
        """Return the type of the error that the call at hand ends in, or nothing."""
        error = self.errors.get(operation, "")
        if not error or self.remaining == 0:
            return ""
        if self.remaining is not None:
            self.remaining -= 1
        return error
