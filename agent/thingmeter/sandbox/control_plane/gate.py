"""The control plane's gate: only what is signed as it should be gets through to the service."""

from __future__ import annotations

from dataclasses import dataclass

from thingmeter.sandbox.control_plane.custom_metrics import CustomMetrics
from thingmeter.sandbox.control_plane.refusal import Refusal, answer_of
from thingmeter.sandbox.control_plane.sigv4 import Verifier
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest


@dataclass(frozen=True, slots=True)
class SignedCustomMetrics:
    """A ``Service``: the custom metrics, for those who sign."""

    verifier: Verifier
    custom_metrics: CustomMetrics

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request."""
        try:
            self.verifier.owner(request)
        except Refusal as refusal:
            return answer_of(refusal, self.custom_metrics.switches.error_type)
        return self.custom_metrics(request)
