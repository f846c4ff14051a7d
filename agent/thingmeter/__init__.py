"""The plugin API: everything that a collector needs, and nothing else."""

from thingmeter.errors import CollectError, Unsupported
from thingmeter.metrics import Metric, Sample
from thingmeter.protocols import Collector

__all__ = ["CollectError", "Collector", "Metric", "Sample", "Unsupported"]
