"""What 10,000 devices ask of one AWS account, in virtual time: calls of each device, and the most in any one second.

    PYTHONPATH=tests python tests/bench/fleet.py [devices]

Real are the parts that decide when and what a device asks, and the account's limits (tests/registration/fleet.py says
what is left out). Prints a line for each scenario: the calls of a device in the mean, the peak of each operation with a
``!`` where it exceeds the account's limit, the calls that were throttled, and how long it took until every device knew
of each of its metrics how it stands. Every run prints the same. Fewer devices have a spread as much shorter and ask as
often in a second; so does the fifth of them that has its configuration changed.
"""

from __future__ import annotations

import gc
import math
import sys
from concurrent.futures import ProcessPoolExecutor

from registration.fleet import OPERATIONS, Figures
from registration.fleet_scenarios import LIMITS, SCENARIOS, Scale, Scenario, change

NAME = 38
NUMBER = 9
WORDS = tuple(OPERATIONS)


def run(scenario: Scenario, scale: Scale) -> dict[str, Figures]:
    """Run a scenario in a process of its own."""
    gc.disable()  # ten thousand devices are much to look through for garbage, and there is none
    return scenario(scale)


def head() -> str:
    """Return the head of the table."""
    wide = NUMBER * len(WORDS)
    groups = f"{'':{NAME}}{'calls of a device':^{wide}}{'':{NUMBER}}{'most calls in a second':^{wide}}"
    names = "".join(f"{word:>{NUMBER}}" for word in WORDS)
    limits = "".join(f"{LIMITS[word]:>{NUMBER}.0f}" for word in WORDS)
    ends = f"{'throttled':>{NUMBER + 2}}{'all known after':>{2 * NUMBER}}"
    return (
        f"{groups}\n{'':{NAME}}{names}{'most':>{NUMBER}}{names}{ends}\n"
        f"{'limits of the account':{NAME}}{'':{wide + NUMBER}}{limits}"
    )


def row(name: str, figures: Figures) -> str:
    """Return a line of the table."""
    calls = "".join(f"{figures.each(word):{NUMBER}.3f}" for word in WORDS)
    peaks = "".join(
        f"{f'{figures.peaks[word]}!' if figures.peaks[word] > LIMITS[word] else figures.peaks[word]:>{NUMBER}}"
        for word in WORDS
    )
    ends = f"{figures.throttled:{NUMBER + 2}}{_minutes(figures.settled_s):>{2 * NUMBER}}"
    return f"{name:{NAME}}{calls}{figures.most_calls:{NUMBER}}{peaks}{ends}"


def _minutes(seconds: float) -> str:
    return "not yet" if seconds == math.inf else f"{seconds / 60:.0f} min"


def main() -> None:
    """Simulate 10,000 devices, or as many as the command line says."""
    scale = Scale(int(sys.argv[1])) if len(sys.argv) > 1 else Scale()
    fifth = Scale(scale.devices // 5)
    scales = [fifth if scenario is change else scale for scenario in SCENARIOS]  # four days of it take long
    sys.stdout.write(f"{head()}\n")
    with ProcessPoolExecutor() as processes:
        for phases in processes.map(run, SCENARIOS, scales):
            for name, figures in phases.items():
                sys.stdout.write(f"{row(name, figures)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
