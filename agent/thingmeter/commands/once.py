"""``thingmeter once``: samples for real and prints exactly what would be sent; sends nothing, writes nothing.

Samples are taken twice, a second apart, so that what is measured between two readings has a value.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thingmeter.config import Config
    from thingmeter.config.settings import Defender
    from thingmeter.destinations.defender.report import Report
    from thingmeter.metrics import Sample, Value
    from thingmeter.previews import Preview

HELP = "sample for real and print what would be sent; send nothing"
APART_S = 1.0
PAGE_WIDTH = 100  # characters of a line of the report; one that has no shorter parts may be longer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--json`` and ``--raw``."""
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--raw", action="store_true", help="write the exact bytes of the report and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Print the samples and the messages; 0, or 1 when no collector worked."""
    from thingmeter.config import default_path, load

    config = load(arguments.config or default_path())
    samples, messages = _measure(config)
    if arguments.raw:
        reports = [message for message in messages if message.destination == "defender"]
        for message in reports:
            sys.stdout.buffer.write(message.payload)
        return 0 if reports else 1
    if arguments.json:
        _print_json(samples, messages)
    else:
        _print_tables(samples, messages)
    return 0 if samples else 1


def _measure(config: Config) -> tuple[list[Sample], list[Preview]]:
    """Sample twice and fold both into one report and one usage request, as at the end of a period."""
    import threading

    from thingmeter.clock import SystemClock
    from thingmeter.destinations.defender.mapping import is_empty, report_of, rules_of
    from thingmeter.health import Health
    from thingmeter.loading import load_collectors, usage_without_mistakes, without_mistakes
    from thingmeter.previews import topic_previews, usage_preview
    from thingmeter.sampling import Sampling
    from thingmeter.window import Counters, Window

    clock, health = SystemClock(), Health()
    loaded = load_collectors(config, health)
    defender = without_mistakes(config, loaded)
    window = Window(rules_of(defender) if defender else (), Counters(clock.boot_id()))
    newest: dict[str, Sequence[Sample]] = {}
    taken: list[Sample] = []

    def collected(metrics: Any, samples: Sequence[Sample]) -> None:
        window.add(metrics, samples)
        taken.extend(samples)
        for metric in metrics[:1]:  # none when every sample was refused
            newest[metric.name.partition(".")[0]] = samples

    sampling = Sampling(loaded, collected, clock, health)
    start = clock.now()
    sampling.run_once()
    threading.Event().wait(APART_S)
    sampling.run_once()
    end = clock.now()
    samples = [sample for name in sorted(newest) for sample in newest[name]]
    messages = []
    if defender:
        points, _ = window.close(start, end, {})
        report = report_of(defender, points, int(end.timestamp()), lambda _: None)
        messages += [] if is_empty(report) else [_preview(config.thing.name, defender, report)]
    if usage := usage_without_mistakes(config, loaded):
        messages += usage_preview(usage, config.thing.name, taken, end)
    if config.topic:
        messages += topic_previews(config.topic, config.thing.name, samples)
    return samples, messages


def _preview(thing: str, defender: Defender, report: Report) -> Preview:
    from thingmeter.destinations.defender.report import decode, encode
    from thingmeter.destinations.defender.transport import topic_of
    from thingmeter.previews import Preview

    payload = encode(report, format=defender.format, names=defender.names)
    content = decode(payload, format=defender.format)
    return Preview("defender", topic_of(thing, defender.format), defender.format, payload, content)


def _print_json(samples: Iterable[Sample], messages: Iterable[Preview]) -> None:
    import json

    document = {
        "samples": [
            {
                "metric": sample.metric.name,
                "value": _plain(sample.value),
                "unit": sample.metric.unit,
                "dimensions": dict(sample.dimensions),
                "at": sample.at.isoformat() if sample.at else None,
            }
            for sample in samples
        ],
        "messages": [
            {
                "destination": message.destination,
                "url" if message.is_url else "topic": message.to,
                "format": message.format,
                "bytes": len(message.payload),
                "payload": message.content,
            }
            for message in messages
        ],
    }
    print(json.dumps(document, indent=2))


def _print_tables(samples: Sequence[Sample], messages: Iterable[Preview]) -> None:
    rows = [("METRIC", "DIMENSIONS", "VALUE", "UNIT")]
    for sample in samples:
        dimensions = " ".join(f"{key}={value}" for key, value in sample.dimensions)
        rows.append((sample.metric.name, dimensions, _short(sample.value), sample.metric.unit))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for metric, dimensions, value, unit in rows:
        print(f"{metric:{widths[0]}}  {dimensions:{widths[1]}}  {value:>{widths[2]}}  {unit}".rstrip())
    for message in messages:
        print(f"\n{message.destination}: {len(message.payload)} bytes of {message.format} to {message.to}")
        print(_laid_out(message.content))


def _plain(value: object) -> Any:
    """Return a value as JSON has it: addresses as text, sockets as maps."""
    from thingmeter.metrics import Connection, Listener

    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if isinstance(value, Connection | Listener):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    return value if isinstance(value, int | float | str | None) else str(value)


def _short(value: Value) -> str:
    """Return a value as one cell of a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"({len(value)})"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10**6 else f"{value:.6g}"
    return str(value)


def _laid_out(value: Any, indent: str = "") -> str:
    """Return a value as JSON: what fits on a line stands on one, a list or map that does not has a line a member."""
    import json

    line = json.dumps(value)
    if len(indent) + len(line) <= PAGE_WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        members = [f"{json.dumps(key)}: {_laid_out(member, deeper)}" for key, member in value.items()]
    else:
        members = [_laid_out(member, deeper) for member in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(deeper + member for member in members) + "\n" + indent + closing
