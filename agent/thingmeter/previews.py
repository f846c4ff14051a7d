"""What would be sent besides a report, for ``thingmeter once``: a usage request, and the messages of a topic. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from thingmeter.config.settings import DevRev, Topic, Uom
from thingmeter.destinations.devrev import usage
from thingmeter.destinations.devrev.folding import Fold, fold_of, window_of
from thingmeter.destinations.devrev.grouping import Misfit, Projection
from thingmeter.destinations.devrev.points import Group, UsagePoint
from thingmeter.destinations.topic import sample as telemetry
from thingmeter.metrics import Sample
from thingmeter.window import Counters

INGEST = "metrics.devrev.ingest"


@dataclass(frozen=True, slots=True)
class Preview:
    """A message as it would be sent, with its payload's content.

    ``to`` is the topic, or the URL where ``is_url``.
    """

    destination: str
    to: str
    format: str
    payload: bytes
    content: Any
    is_url: bool = False


def usage_preview(devrev: DevRev, thing: str, samples: Iterable[Sample], at: datetime) -> list[Preview]:
    """Return the request of the usage in ``samples``, as if their window ended with them; empty without any.

    Ids are made when records are frozen: here they say so.
    """
    taken = list(samples)
    frames = [frame for uom in devrev.uom for frame in _frames(uom, devrev, f"{thing}.preview", taken, at)]
    if not frames:
        return []
    payload = usage.body(frames)
    over_mqtt = devrev.route == "mqtt"
    to = devrev.topic if over_mqtt else f"{devrev.endpoint_url}/{INGEST}"
    return [Preview("devrev", to, "json", payload, json.loads(payload), is_url=not over_mqtt)]


def topic_previews(topic: Topic, thing: str, samples: Iterable[Sample]) -> list[Preview]:
    """Return a message for each of ``samples`` that goes to the topic."""
    previews = []
    for sample in samples:
        name = sample.metric.name
        if (
            sample.at
            and telemetry.is_publishable(sample.metric)
            and any(fnmatchcase(name, one) for one in topic.metrics)
        ):
            payload = telemetry.encode(sample, sample.at, thing)
            previews.append(Preview("topic", topic.template, "json", payload, json.loads(payload)))
    return previews


def _frames(uom: Uom, devrev: DevRev, id_before: str, samples: Sequence[Sample], at: datetime) -> list[bytes]:
    projection, counters = Projection(uom, devrev), Counters("")
    folds: dict[Group, Fold] = {}
    for sample in samples:
        group = projection.group(sample.dimensions) if projection.takes(sample.metric.name, sample.dimensions) else None
        if group is None or isinstance(group, Misfit) or sample.at is None:
            continue
        value = projection.number(sample.value)
        if sample.metric.kind == "counter" and uom.aggregation_type == "sum":
            counters.add(sample)
            increase = counters.unreported({})
            counters.settle(increase)
            if not increase:
                continue
            value = sum(increase.values())
        folds.setdefault(group, fold_of(uom.aggregation_type)).add(value, sample.at)
    window = window_of(at, devrev.window_s)
    return [
        usage.encode(UsagePoint(group, value, when), f"{id_before}.{number}", uom.aggregation_type)
        for group, fold in sorted(folds.items())
        for number, (value, when) in enumerate(fold.points(window, 0), 1)
    ]
