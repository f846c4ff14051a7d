from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from thingmeter.mqtt.backoff import CAP_S, SPACING_S, TAKEOVER_CAP_S, TAKEOVER_FIRST_S, Backoff


class Highest(Random):
    def uniform(self, _a: float, b: float) -> float:
        return b


class Lowest(Random):
    def uniform(self, a: float, _b: float) -> float:
        return a


def test_the_delay_grows_with_failures() -> None:
    backoff = Backoff(Highest())

    delays = []
    for _ in range(4):
        backoff.failed()
        delays.append(backoff.delay_s(100))

    assert delays == [4, 8, 16, 32]


def test_the_delay_is_capped_after_years_of_failures() -> None:
    backoff = Backoff(Highest())

    for _ in range(100_000):
        backoff.failed()

    assert backoff.delay_s(100) == CAP_S


def test_a_connection_that_lasted_resets_the_delay() -> None:
    backoff = Backoff(Highest())
    for _ in range(5):
        backoff.failed()

    backoff.ended(3600, taken_over=False)

    assert backoff.delay_s(3600) == 2


def test_a_connection_that_was_dropped_at_once_counts_as_a_failure() -> None:
    backoff = Backoff(Highest())
    for _ in range(5):
        backoff.failed()

    backoff.ended(2, taken_over=False)

    assert backoff.delay_s(2) == CAP_S


def test_a_takeover_waits_a_minute_at_least() -> None:
    backoff = Backoff(Lowest())

    backoff.ended(3600, taken_over=True)

    assert backoff.delay_s(3600) == TAKEOVER_FIRST_S


def test_takeovers_in_a_row_wait_longer_and_longer() -> None:
    backoff = Backoff(Lowest())

    delays = []
    for _ in range(6):
        backoff.ended(120, taken_over=True)
        delays.append(backoff.delay_s(120))

    assert delays == [60, 120, 240, 480, TAKEOVER_CAP_S, TAKEOVER_CAP_S]


def test_a_long_connection_without_a_rival_forgets_the_takeovers() -> None:
    backoff = Backoff(Highest())
    backoff.ended(120, taken_over=True)

    backoff.ended(120, taken_over=False)

    assert backoff.delay_s(120) == 2


@given(st.lists(st.one_of(st.none(), st.tuples(st.floats(0, 1e7), st.booleans()))), st.floats(0, 10), st.integers())
def test_two_attempts_are_never_closer_than_a_second(
    history: list[tuple[float, bool] | None], since_attempt_s: float, seed: int
) -> None:
    backoff = Backoff(Random(seed))
    for event in history:
        if event is None:
            backoff.failed()
        else:
            backoff.ended(event[0], taken_over=event[1])

    delay_s = backoff.delay_s(since_attempt_s)

    assert delay_s + since_attempt_s >= SPACING_S - 1e-9
