"""A device whose agent is stopped: its configuration, its outbox, and the command that looks into it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from thingmeter.cli import run_command
from thingmeter.clock import SystemClock
from thingmeter.commands import outbox as command
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.destinations.devrev.points import Group, UsagePoint
from thingmeter.destinations.devrev.usage import amount_of, encode
from thingmeter.outbox import Entry, Outbox

LITRES = "devrev.pumped_litres"
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
CONFIGURATION = """\
[thing]
name = "pump-7"
[outbox]
path = "outbox.db"
"""


@dataclass(frozen=True)
class Told:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def table(self) -> list[list[str]]:
        """The words of each line."""
        return [line.split() for line in self.out.splitlines()]


@dataclass(frozen=True)
class StoppedAgent:
    """A folder with thingmeter.toml and, once it was opened, an outbox."""

    folder: Path
    captured: pytest.CaptureFixture[str]

    @contextmanager
    def opened(self) -> Iterator[Outbox]:
        limits = OutboxSettings(minimum_free_bytes=0)
        outbox = Outbox.open(self.folder / "outbox.db", limits=limits, clock=SystemClock())
        try:
            yield outbox
        finally:
            outbox.close()

    def outbox(self, *words: str) -> Told:
        """Run ``thingmeter outbox`` with ``words`` behind it."""
        parser = argparse.ArgumentParser()
        parser.add_argument("-c", "--config", type=Path)
        command.add_arguments(parser)
        parser.set_defaults(run=command.run)
        self.captured.readouterr()
        code = run_command(parser.parse_args([*words, "-c", str(self.folder / "thingmeter.toml")]))
        return Told(code, *self.captured.readouterr())


def record(number: int, value: float = 1, *, name: str = "pumped_litres", kind: str = "sum") -> Entry:
    """Return the usage record of the window ``number`` of 2026; its key ends in ``number``."""
    at = MIDNIGHT + timedelta(seconds=900 * number + 450)
    frame = encode(UsagePoint(Group(name, "ACC-1"), value, at), f"pump-7.1.2.{number}", kind)  # type: ignore[arg-type]
    return Entry(f"pump-7.1.2.{number}", frame, at.date(), amount_of(frame))


def refuse(outbox: Outbox, count: int, reason: str, *, destination: str = LITRES) -> None:
    """Have the oldest ``count`` messages of a destination set aside."""
    for message in outbox.waiting(destination, count):
        outbox.set_aside(message, reason)
