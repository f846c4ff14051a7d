"""A DevRev of its own: the calls for UOMs and usage records, judged strictly, and totals as a bill would have them."""

from __future__ import annotations

from thingmeter.sandbox.devrev.calls import Call
from thingmeter.sandbox.devrev.faults import Fault
from thingmeter.sandbox.devrev.service import DevRev
from thingmeter.sandbox.devrev.switches import Switches

__all__ = ["Call", "DevRev", "Fault", "Switches"]
