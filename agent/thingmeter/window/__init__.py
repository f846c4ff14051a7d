"""Folds the samples of one period into data points: pure, no clock, no I/O."""

from thingmeter.window.counters import Amounts, Counters, Series
from thingmeter.window.folds import Aggregation
from thingmeter.window.rules import Rule, Window

__all__ = ["Aggregation", "Amounts", "Counters", "Rule", "Series", "Window"]
