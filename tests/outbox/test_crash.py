from __future__ import annotations

import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from outbox.opened import balance, ledger_balance, open_outbox
from thingmeter.outbox import Count, Outbox

TESTS = Path(__file__).parents[1]
ROUNDS = 6


def run_and_kill(path: Path, round_number: int, after_lines: int) -> dict[str, set[str]]:
    """Run the program on ``path``, kill it with SIGKILL after as many lines; return keys by what it said of them."""
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "outbox" / "killed.py"), str(path), str(round_number)],
        env={"PYTHONPATH": f"{TESTS.parent / 'agent'}:{TESTS}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said: dict[str, set[str]] = defaultdict(set)
    with process:
        for count, line in enumerate(process.stdout):
            if count == after_lines:
                process.kill()
            if line.endswith("\n"):
                what, key = line.split()
                said[what].add(key)
    return said


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, set[str]], Outbox]]:
    """Kill the program several times over one outbox; return all that it said, and the outbox as it was left."""
    path = tmp_path_factory.mktemp("killed") / "outbox.db"
    chance = random.Random(20260514)
    said: dict[str, set[str]] = defaultdict(set)
    for number in range(ROUNDS):
        for what, keys in run_and_kill(path, number, chance.randrange(1, 1500)).items():
            said[what] |= keys
    outbox = open_outbox(path)
    yield said, outbox
    outbox.close()


def keys_left(outbox: Outbox) -> list[str]:
    waiting = [message.key for message in outbox.waiting("usage-sink", 1_000_000)]
    return waiting + [entry.message.key for entry in outbox.set_aside_list("usage-sink", 1_000_000)]


def samples_kept(outbox: Outbox) -> set[str]:
    return {row.payload.decode() for row in outbox.journal()}


@pytest.mark.long
def test_no_put_that_returned_is_lost_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    said, outbox = rounds

    assert said["put"] - said["acknowledging"] <= set(keys_left(outbox))


@pytest.mark.long
def test_no_acknowledge_that_returned_is_undone_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    said, outbox = rounds

    assert not said["acknowledged"] & set(keys_left(outbox))


@pytest.mark.long
def test_no_message_is_there_twice_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    _, outbox = rounds

    keys = keys_left(outbox)

    assert len(keys) == len(set(keys))


@pytest.mark.long
def test_the_counts_add_up_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    _, outbox = rounds

    assert balance(outbox) == 0


@pytest.mark.long
def test_the_ledger_adds_up_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    _, outbox = rounds

    assert [ledger_balance(row) for row in outbox.ledger()] == [Count()]


@pytest.mark.long
def test_the_ledger_has_what_was_frozen_exactly_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    said, outbox = rounds

    measured = outbox.ledger()[0].measured

    # The commit may have been done, and the process killed before it could say so: once in each round.
    assert len(said["frozen"]) <= measured.points <= len(said["frozen"]) + ROUNDS
    assert measured.amount == measured.points * Fraction(0.1)


@pytest.mark.long
def test_no_sample_is_both_in_the_journal_and_frozen_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    said, outbox = rounds

    frozen = {message.key for message in outbox.waiting("devrev.litres", 1_000_000)}

    assert not samples_kept(outbox) & (frozen | said["frozen"])


@pytest.mark.long
def test_no_sample_that_was_kept_is_lost_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    said, outbox = rounds

    missing = said["sampled"] - said["frozen"] - samples_kept(outbox)

    frozen_unsaid = outbox.ledger()[0].measured.points - len(said["frozen"])
    assert len(missing) <= frozen_unsaid


@pytest.mark.long
def test_the_counts_are_those_of_the_rows_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    _, outbox = rounds

    counts = outbox.counts("usage-sink")

    assert counts["waiting"] + counts["set_aside"] == len(keys_left(outbox))


@pytest.mark.long
def test_no_acknowledge_is_counted_that_was_never_begun_over_kill_9(
    rounds: tuple[dict[str, set[str]], Outbox],
) -> None:
    said, outbox = rounds

    delivered = outbox.counts("usage-sink")["delivered"]

    assert len(said["acknowledged"]) <= delivered <= len(said["acknowledging"])


@pytest.mark.long
def test_the_state_is_that_of_the_newest_put_over_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    said, outbox = rounds
    newest: dict[str, int] = {}
    for key in said["put"]:
        prefix, number = key.rsplit(".", 1)
        newest[prefix] = max(int(number), newest.get(prefix, 0))

    found = {prefix: int(outbox.state(prefix) or b"-1") for prefix in newest}

    # The commit may have been done, and the process killed before it could say so.
    assert all(found[prefix] in (number, number + 1) for prefix, number in newest.items())


@pytest.mark.long
def test_nothing_was_damaged_by_kill_9(rounds: tuple[dict[str, set[str]], Outbox]) -> None:
    _, outbox = rounds

    assert outbox.damaged() == 0
