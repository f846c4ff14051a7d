"""Spells one sample as the JSON that rules read. Pure.

    {"thing":"pump-7","timestamp":1767225600250,"metric":"disk.used_percent","series":"disk.used_percent{mount=/}",
     "value":41.5,"unit":"%","dimensions":{"mount":"/"}}

One flat object for each sample, since a rule of AWS IoT sees one object at a time, and its CloudWatch and Timestream
actions take single values out of it. ``series`` says in one text what ``metric`` and ``dimensions`` say apart: the
CloudWatch action has no dimensions, so that without it two disks would end in one metric. ``value`` is a number, 1 or 0
of a boolean, so that every action can use it; of text and addresses it is a string, which the rule's
``abs(value) >= 0`` leaves out. Only ``unit`` may be absent. Source: AWS IoT Core, "SQL reference", "Rule actions".
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

import msgspec

from thingmeter.metrics import Dimensions, Metric, Sample

EPOCH = datetime.fromtimestamp(0, UTC)
MILLISECOND = timedelta(milliseconds=1)
LISTS = frozenset({"connections", "listeners"})

_to_json = msgspec.json.Encoder().encode


def is_publishable(metric: Metric) -> bool:
    """Return whether samples of ``metric`` can be published: lists of sockets are for Device Defender alone."""
    return metric.type not in LISTS


def encode(sample: Sample, at: datetime, thing: str) -> bytes:
    """Return the payload of one publish: compact JSON in one line.

    Args:
        sample: its metric is under its full name, ``collector.metric``.
        at: the sample's time, aware; rounded down to the millisecond, as in usage records.
        thing: the thing's name.

    Raises:
        ValueError: the value is one that JSON lacks, or a list.
    """
    metric = sample.metric
    body: dict[str, object] = {
        "thing": thing,
        "timestamp": (at - EPOCH) // MILLISECOND,
        "metric": metric.name,
        "series": series_of(metric.name, sample.dimensions),
        "value": _plain(sample),
    }
    if metric.unit:
        body["unit"] = metric.unit
    body["dimensions"] = dict(sample.dimensions)
    return _to_json(body)


def series_of(name: str, dimensions: Dimensions) -> str:
    """Return what tells a series from every other of its thing: ``disk.used_percent{mount=/}``."""
    if not dimensions:
        return name
    return f"{name}{{{','.join(f'{key}={value}' for key, value in dimensions)}}}"


def _plain(sample: Sample) -> int | float | str:
    match sample.value:
        case bool() as truth:
            return int(truth)
        case int() as whole:
            return whole
        case float() as number if math.isfinite(number):
            return number
        case str() as text:
            return text
        case IPv4Address() | IPv6Address() as address:
            return str(address)
        case other:
            raise ValueError(f"{sample.metric.name}: a rule can read no such {type(other).__name__}")
