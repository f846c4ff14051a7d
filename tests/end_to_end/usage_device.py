"""Agents that meter usage for the sandbox's DevRev, as processes of their own, and what DevRev made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from end_to_end.agent import Agent, run
from end_to_end.registration_device import Devices, cloud, devices
from end_to_end.usage_billed import INGEST, Billed
from end_to_end.usage_feed import LITRES_PER_PIECE
from end_to_end.usage_settings import HANDED, NUMBERED, NUMBERED_METERS, Meter, Metering
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.http.messages import HttpRequest

__all__ = ["cloud", "devices"]  # fixtures

TESTS = Path(__file__).parents[1]
BACK_S = 60.0  # the longest wait for the next attempt, after as few failures as these tests have


@dataclass(frozen=True)
class Device:
    """A metering agent, and what the collectors of ``usage_feed.py`` give it."""

    agent: Agent

    @property
    def folder(self) -> Path:
        return self.agent.config.folder

    def hand_over(self, metric: str, *values: float, at: datetime | None = None, **dimensions: str) -> None:
        """Have the next collect give these samples; with the time ``at`` (aware), or stamped by the agent."""
        time_of = {"at": at.isoformat()} if at else {}
        lines = [
            json.dumps({"metric": metric, "value": value, "dimensions": dimensions, **time_of}) + "\n"
            for value in values
        ]
        with (self.folder / "handed.jsonl").open("a") as file:
            file.write("".join(lines))  # one write: a collect sees all of them

    def wait_until_taken(self) -> None:
        """Return when what was handed over so far has been collected, by the newest process."""
        lines = len((self.folder / "handed.jsonl").read_bytes().splitlines())
        self.agent.wait_for(f"handed over: {lines} lines in all; nothing new")

    def silence(self) -> None:
        """Let ``Numbered`` give nothing from the next collect on."""
        (self.folder / "quiet").touch()

    def given(self) -> list[range]:
        """Return the serials that each process has given, process by process."""
        processes: dict[int, list[int]] = {}
        for batch in self._batches():
            processes.setdefault(batch["process"], []).extend((batch["first"], batch["last"]))
        return [range(min(serials), max(serials) + 1) for serials in processes.values()]

    def wait_until_settled(self, billed: Billed, timeout_s: float = BACK_S) -> None:
        """Return when DevRev has the last piece, and the two sums say what the pieces do; fail when they do not."""
        billed.until(lambda: self._is_settled(billed), f"all of {self.given()}, {self.rise()} litres", timeout_s)

    def rise(self) -> int:
        """Return what the counter rose by; the first collect only set its baseline."""
        batches = self._batches()
        return LITRES_PER_PIECE * (batches[-1]["last"] - batches[0]["last"])

    def lost(self, billed: Billed) -> list[int]:
        """Return the pieces that were given and that DevRev has not."""
        serials = billed.serials()
        return [serial for given in self.given() for serial in given if serial not in serials]

    def totals(self) -> Totals:
        """Return what ``thingmeter outbox totals`` says; fail where something does not add up."""
        outcome = self.command("outbox", "totals", "--json")
        return Totals({line["uom"]: line for line in json.loads(outcome)["sums"]})

    def command(self, *arguments: str) -> str:
        """Return what a command for the stopped agent prints; fail when it fails."""
        outcome = run(*arguments, "-c", str(self.agent.file))
        assert outcome.returncode == 0, outcome.stderr.decode()
        return outcome.stdout.decode()

    def _is_settled(self, billed: Billed) -> bool:
        serials = billed.serials()
        has_last = self._batches()[-1]["last"] in serials
        return has_last and billed.total("weights") == sum(serials) and billed.total("litres") == self.rise()

    def _batches(self) -> list[dict[str, int]]:
        return [json.loads(line) for line in (self.folder / "given.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Totals:
    """What became of each UOM's records, by the agent's own account."""

    sums: Mapping[str, Mapping[str, Any]]

    def points(self, place: str) -> dict[str, int]:
        """Return how many records of each UOM are ``delivered``, ``waiting``, ``set_aside`` and so on."""
        return {name: line[place]["points"] for name, line in self.sums.items()}

    def amounts(self, place: str) -> dict[str, Fraction | int]:
        """Return what these add up to, where values of the UOM do."""
        return {name: Fraction(line[place]["amount"]) for name, line in self.sums.items()}


@dataclass
class Meters:
    """Makes metering devices for one sandbox."""

    devices: Devices
    plugin: str
    billed: Billed = field(init=False)

    def __post_init__(self) -> None:
        self.billed = Billed(self.cloud)

    @property
    def cloud(self) -> Sandbox:
        return self.devices.cloud

    def make(self, *meters: Meter, are_known: bool = True, **changes: object) -> Device:
        """Return a device, not yet started, whose UOMs DevRev has if they ``are_known``; ``changes`` are settings."""
        if are_known:
            self.declare(*meters)
        thing = next(self.devices.names)
        folder = self.devices.agents.folder / thing
        given: dict[str, Any] = {"collectors": HANDED, **changes}
        settings = Metering(
            mqtt=self.devices._mqtt(thing), folder=folder, thing=thing, cloud=self.cloud, meters=meters, **given
        )
        agent = self.devices.agents.make(settings)
        agent.environment = {"PYTHONPATH": self.plugin}
        (folder / "handed.jsonl").touch()
        return Device(agent)

    def numbered(self, **changes: Any) -> Device:
        """Return a device with numbered pieces."""
        return self.make(*NUMBERED_METERS, **{"collectors": NUMBERED, **changes})

    def declare(self, *meters: Meter, is_enabled: bool = True) -> None:
        """Let DevRev have UOMs."""
        uoms = self.cloud.devrev.uoms
        for meter in meters:
            known = uoms.named(meter.name)
            uoms.put(meter.uom(known.serial if known else uoms.next_serial, is_enabled=is_enabled))


@pytest.fixture
def meters(devices: Devices, tmp_path: Path) -> Meters:
    """Return what makes metering devices for the cloud of ``devices``."""
    return Meters(devices, plugin_in(tmp_path / "site"))


def plugin_in(site: Path) -> str:
    """Install the collectors of ``usage_feed.py``; return the path for the agent's interpreter."""
    metadata = site / "feed-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: feed\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[thingmeter.collectors]\nhanded = end_to_end.usage_feed:Handed\nnumbered = end_to_end.usage_feed:Numbered\n"
    )
    return f"{site}:{TESTS}"


def consumer_of(cloud: Sandbox, topic: str) -> None:
    """Hand every message of a topic to DevRev from now on, as the rule and the function behind it do in the cloud."""
    headers = {
        "authorization": f"Bearer {cloud.folder.devrev_token()}",
        "content-type": "application/json",
        "x-devrev-scope": "beta",
    }

    def forward(event: Any) -> None:
        if event.kind == "published" and event.detail == topic:
            cloud.devrev.answer(HttpRequest("POST", f"/{INGEST}", headers=headers, body=event.payload))

    cloud.events.follow(forward)
