"""Collectors for tests of usage, loaded by the agent as a plugin: what a test hands over, and numbered pieces.

``Handed`` takes the lines that a test appends to FOLDER/handed.jsonl, each line once, over restarts as well.
``Numbered`` counts without end: each collect gives as many pieces as its table says, with the next serial numbers, and
what a counter stands at by then. FOLDER/given.jsonl says which serials each process gave; FOLDER/quiet silences it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from thingmeter import Metric, Sample

LITRES_PER_PIECE = 3

DIMENSIONS = ("site", "line", "customer", "operator")
LEVEL = Metric("level", unit="l", dimensions=DIMENSIONS)
IS_ON = Metric("is_on", unit="1", type="boolean", dimensions=DIMENSIONS)
VOLUME = Metric("volume", unit="l", kind="counter", dimensions=DIMENSIONS, resets="never")
PIECE = Metric("piece", unit="1", dimensions=("serial",))
LITRES = Metric("litres", unit="l", kind="counter", resets="never")


class Handed:
    """Samples that a test wrote into a file."""

    metrics = (LEVEL, IS_ON, VOLUME)

    def __init__(self, folder: str) -> None:
        self._file = Path(folder) / "handed.jsonl"
        self._taken = Path(folder) / "handed.taken"
        self._metrics = {metric.name: metric for metric in self.metrics}

    def collect(self) -> Iterator[Sample]:
        taken = int(self._taken.read_text()) if self._taken.exists() else 0
        lines = self._file.read_bytes().splitlines()
        replace(self._taken, str(len(lines)))
        if taken == len(lines):  # so the collect before has come to its end
            sys.stderr.write(f"handed over: {taken} lines in all; nothing new\n")
        for line in lines[taken:]:
            read = json.loads(line)
            at = datetime.fromisoformat(read["at"]) if "at" in read else None
            yield self._metrics[read["metric"]].sample(read["value"], read["dimensions"], at)


class Numbered:
    """Pieces that bear serial numbers, and a counter that tells how many there were."""

    metrics = (PIECE, LITRES)

    def __init__(self, folder: str, pieces: int) -> None:
        self._folder = Path(folder)
        self._pieces = pieces
        self._serial = self._folder / "serial"

    def collect(self) -> Iterator[Sample]:
        if (self._folder / "quiet").exists():
            return
        first = int(self._serial.read_text()) if self._serial.exists() else 0
        last = first + self._pieces
        replace(self._serial, str(last))
        with (self._folder / "given.jsonl").open("a") as given:
            given.write(json.dumps({"process": os.getpid(), "first": first + 1, "last": last}) + "\n")
        for serial in range(first + 1, last + 1):
            yield PIECE.sample(serial, {"serial": str(serial)})
        yield LITRES.sample(last * LITRES_PER_PIECE)


def replace(file: Path, text: str) -> None:
    """Write a file so that a kill leaves the old text or the new one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)
