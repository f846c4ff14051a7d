"""What happens to a fleet, and what it then asks of the account: each scenario in figures.

The account allows 10 calls a second of each operation, and 25 to describe. Every device has five custom metrics, the
daemon's defaults, and is switched on in the same second as all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias
from uuid import UUID

from registration.fleet import DEFAULTS, HOUR_S, OPERATIONS, Definitions, Figures, Fleet
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.sandbox.control_plane.pace import CALLS_PER_S

DEVICES = 10_000
DAY_S = 24 * HOUR_S
STORM_S = 0.5 * HOUR_S
FIRST_BOOT_S = 3 * HOUR_S
LOOK_S = 8 * HOUR_S  # within which all devices look once
TAGS = (("team", "pumps"),)
DEFINITIONS: Definitions = (
    CustomMetricDefinition("cpu_usage", "number", "CPU usage (%)", TAGS),
    CustomMetricDefinition("free_memory", "number", "Free memory (bytes)", TAGS),
    CustomMetricDefinition("peers", "ip-address-list", "Peers", TAGS),
    CustomMetricDefinition("services", "string-list", "Services", TAGS),
    CustomMetricDefinition("temperatures", "number-list", "Temperatures (C)", TAGS),
)
LIMITS = {word: CALLS_PER_S[name] for word, name in OPERATIONS.items()}


@dataclass(frozen=True)
class Scale:
    """How large the fleet is.

    A smaller one than the usual has a spread, and storms and outages, as much shorter: it asks as often in a second.
    """

    devices: int = DEVICES

    @property
    def part(self) -> float:
        """The share of the usual size."""
        return self.devices / DEVICES

    @property
    def spread_s(self) -> float:
        """[registration] spread_s; at the usual size its default."""
        return DEFAULTS.spread_s * self.part

    def numbered(self) -> list[str]:
        """Return names as of a series: pump-00001, pump-00002, ..."""
        return [f"pump-{number:05}" for number in range(1, self.devices + 1)]

    def unnumbered(self, seed: int = 1) -> list[str]:
        """Return names as of no series."""
        random = Random(seed)
        return [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(self.devices)]

    def fleet(self, things: Sequence[str] = (), seed: int = 1) -> Fleet:
        """Return a fleet; of numbered things where no names are given."""
        return Fleet(things or self.numbered(), spread_s=self.spread_s, seed=seed)


def changed(display_name: str, *more: str) -> Definitions:
    """Return the definitions after a change: another display name of the first metric, and more metrics."""
    first, *others = DEFINITIONS
    return (
        replace(first, display_name=display_name),
        *others,
        *(CustomMetricDefinition(name, "number", name.title(), TAGS) for name in more),
    )


def life(scale: Scale) -> dict[str, Figures]:
    """Boot a fleet whose things are numbered, boot it again, let it run, and boot it after two days without power."""
    with scale.fleet() as fleet:
        fleet.start(DEFINITIONS)
        first = fleet.measure(FIRST_BOOT_S)
        fleet.start(DEFINITIONS)
        again = fleet.measure(DAY_S - FIRST_BOOT_S)
        look = fleet.measure(LOOK_S)
        for device in fleet.devices:
            device.stop()
        fleet.measure(2 * DAY_S)
        fleet.start(DEFINITIONS)
        return {
            "first boot": first,
            "next boot, nothing changed": again,
            "the next day": look,
            "boot after two days switched off": fleet.measure(FIRST_BOOT_S),
        }


def change(scale: Scale) -> dict[str, Figures]:
    """Change the configuration of every other device: over an hour, and later once more, of all in the same second."""
    with scale.fleet() as fleet:
        fleet.start(DEFINITIONS)
        fleet.measure(FIRST_BOOT_S)
        half = fleet.devices[::2]
        fleet.start(changed("CPU usage, all cores (%)", "humidity"), within_s=HOUR_S, devices=half)
        rolled_out = fleet.measure(2 * DAY_S)
        fleet.start(changed("CPU usage, mean of all cores (%)", "humidity", "pressure"), devices=half)
        return {
            "half changed within an hour, two days": rolled_out,
            "half changed at once, two days": fleet.measure(2 * DAY_S),
        }


def random_names(scale: Scale) -> dict[str, Figures]:
    """Have the first boot of things with random names."""
    with scale.fleet(scale.unnumbered()) as fleet:
        fleet.start(DEFINITIONS)
        return {"first boot, random names": fleet.measure(FIRST_BOOT_S)}


def conflicting_type(scale: Scale) -> dict[str, Figures]:
    """Have the first boot in an account that has one of the names with another type."""
    with scale.fleet() as fleet:
        fleet.service.put(DEFINITIONS[2].name, "number")
        fleet.start(DEFINITIONS)
        return {"first boot, one type conflicts": fleet.measure(FIRST_BOOT_S)}


def throttling_storm(scale: Scale) -> dict[str, Figures]:
    """Have the account throttle every call for half an hour of the first boot."""
    with scale.fleet() as fleet:
        fleet.service.switches.errors = dict.fromkeys(OPERATIONS.values(), "ThrottlingException")
        fleet.start(DEFINITIONS)
        during = fleet.measure(STORM_S * scale.part)
        fleet.service.switches.errors = {}
        return {
            "first boot, all throttled for 30 min": during,
            "and after that": fleet.measure(DAY_S),
        }


def scarce_calls(scale: Scale) -> dict[str, Figures]:
    """Have the first boot in an account that allows a tenth of the usual calls."""
    with scale.fleet() as fleet:
        fleet.service.switches.calls_per_s = {name: CALLS_PER_S[name] / 10 for name in OPERATIONS.values()}
        fleet.start(DEFINITIONS)
        return {"first boot, a tenth of the limits": fleet.measure(2 * DAY_S)}


def day_offline(scale: Scale) -> dict[str, Figures]:
    """Have the first boot without a network, which is back for all at once a day later."""
    with scale.fleet() as fleet:
        fleet.network.is_up = False
        fleet.start(DEFINITIONS)
        during = fleet.measure(DAY_S * scale.part)
        fleet.network.is_up = True
        return {
            "first boot, a day without network": during,
            "the network is back": fleet.measure(DAY_S),
        }


Scenario: TypeAlias = Callable[[Scale], dict[str, Figures]]
"""Returns figures by the name of what they were measured in, in the order of time."""

SCENARIOS: tuple[Scenario, ...] = (
    life,
    change,
    random_names,
    conflicting_type,
    throttling_storm,
    scarce_calls,
    day_offline,
)
