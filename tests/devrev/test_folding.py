"""What a window of each aggregation type is folded into: which points, of which values, at which times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.config.settings import AggregationType
from thingmeter.destinations.devrev.changes import CHANGES_LIMIT, FIRST_LOOK
from thingmeter.destinations.devrev.folding import FOLDS, Fold, Window, floored, fold_of, window_of

START = datetime(2026, 1, 1, tzinfo=UTC)
QUARTER = Window(START, START + timedelta(seconds=900))
Sampled = tuple[float, float]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def fold(aggregation_type: AggregationType, *samples: Sampled) -> Fold:
    """Return a fold that took samples of (second, value)."""
    made = fold_of(aggregation_type)
    for second, value in samples:
        made.add(value, at(second))
    return made


def points(aggregation_type: AggregationType, *samples: Sampled, part: int = 0) -> list[Sampled]:
    """Return what samples of (second, value) come to, likewise."""
    folded = fold(aggregation_type, *samples).points(QUARTER, part)
    return [((moment - START).total_seconds(), value) for value, moment in folded]


def test_every_aggregation_type_has_its_fold() -> None:
    assert FOLDS.keys() == set(get_args(AggregationType))


@pytest.mark.parametrize("aggregation_type", get_args(AggregationType))
def test_without_samples_there_is_no_point(aggregation_type: AggregationType) -> None:
    assert points(aggregation_type) == []


@pytest.mark.parametrize("aggregation_type", get_args(AggregationType))
def test_points_can_be_asked_for_twice_and_the_fold_goes_on(aggregation_type: AggregationType) -> None:
    made = fold(aggregation_type, (1, 1), (2, 0))
    first = made.points(QUARTER, 0)

    assert made.points(QUARTER, 0) == first


SAMPLED = st.lists(
    st.tuples(st.integers(0, 900_000_000 - 1), st.one_of(st.integers(-5, 5), st.floats(-1e9, 1e9), st.booleans())),
    min_size=1,
    max_size=20,
)


@pytest.mark.parametrize("aggregation_type", get_args(AggregationType))
@given(samples=SAMPLED, part=st.integers(0, 2_000_000))
def test_points_lie_in_the_window_at_increasing_whole_milliseconds(
    aggregation_type: AggregationType, samples: Sequence[tuple[int, float]], part: int
) -> None:
    made = fold_of(aggregation_type)
    for microsecond, value in samples:
        made.add(value, START + timedelta(microseconds=microsecond))

    times = [moment for _, moment in made.points(QUARTER, part)]

    assert times == sorted(set(times))
    assert all(QUARTER.start <= moment < QUARTER.end and floored(moment) == moment for moment in times)


@pytest.mark.parametrize("aggregation_type", get_args(AggregationType))
def test_booleans_come_out_as_one_point_nought_and_nought_point_nought(aggregation_type: AggregationType) -> None:
    values = [value for _, value in points(aggregation_type, (1, True), (2, False))]

    assert {repr(value) for value in values} <= {"1.0", "0.0"}


def test_a_sum_is_one_point_in_the_middle() -> None:
    assert points("sum", (1, 2), (899, 3)) == [(450, 5)]


def test_a_sum_of_integers_is_spelled_as_one() -> None:
    [(_, total)] = points("sum", (1, 2**60), (2, 1))

    assert repr(total) == repr(2**60 + 1)


def test_a_sum_loses_nothing_between_large_and_small() -> None:
    assert points("sum", (1, 1e16), (2, 1.0), (3, -1e16)) == [(450, 1.0)]


def test_a_sum_of_nought_is_a_point_all_the_same() -> None:
    assert points("sum", (1, 5), (2, -5)) == [(450, 0)]


@pytest.mark.parametrize("large", [1.7e308, 17 * 10**307])
def test_a_sum_beyond_the_range_of_a_double_is_no_point_and_its_samples_are_lost(large: float) -> None:
    made = fold("sum", (1, large), (2, large))

    assert made.points(QUARTER, 0) == []
    assert made.lost == 2


def test_a_sum_that_came_back_into_range_is_whole() -> None:
    made = fold("sum", (1, 1.7e308), (2, 1.7e308), (3, -1.7e308))

    assert [value for value, _ in made.points(QUARTER, 0)] == [1.7e308]
    assert made.lost == 0


@pytest.mark.parametrize("aggregation_type", ["sum", "unique_count"])
def test_each_further_part_is_stamped_a_millisecond_later(aggregation_type: AggregationType) -> None:
    assert [points(aggregation_type, (1, 1), part=part)[0][0] for part in range(3)] == [450, 450.001, 450.002]


def test_parts_beyond_the_window_share_its_last_millisecond() -> None:
    second = window_of(START, 1)

    assert second.middle(499) == second.middle(500) == START + timedelta(milliseconds=999)


@pytest.mark.parametrize(("aggregation_type", "expected"), [("maximum", (2, 7)), ("minimum", (3, -1))])
def test_an_extreme_has_its_own_time(aggregation_type: AggregationType, expected: Sampled) -> None:
    assert points(aggregation_type, (1, 4), (2, 7), (3, -1), (4, 0)) == [expected]


@pytest.mark.parametrize("aggregation_type", ["maximum", "minimum"])
def test_of_equal_extremes_the_earliest_counts(aggregation_type: AggregationType) -> None:
    assert points(aggregation_type, (5, 2), (1, 2), (3, 2)) == [(1, 2)]


@pytest.mark.parametrize(("aggregation_type", "expected"), [("latest", (9, 1)), ("oldest", (2, 3))])
def test_latest_and_oldest_go_by_time_not_by_arrival(aggregation_type: AggregationType, expected: Sampled) -> None:
    assert points(aggregation_type, (5, 2), (9, 1), (2, 3), (7, 4)) == [expected]


@pytest.mark.parametrize(("aggregation_type", "expected"), [("latest", 2), ("oldest", 1)])
def test_of_equal_times_the_one_added_last_is_latest_and_the_first_oldest(
    aggregation_type: AggregationType, expected: float
) -> None:
    assert points(aggregation_type, (5, 1), (5, 2)) == [(5, expected)]


def test_within_a_millisecond_the_true_order_counts() -> None:
    assert points("latest", (5.0009, 1), (5.0001, 2)) == [(5, 1)]


def test_a_unique_count_says_once_that_its_value_was_there() -> None:
    assert points("unique_count", (1, 17), (2, 0), (3, -4)) == [(450, 1.0)]


def test_a_running_total_that_stays_on_says_when_it_was_on_last() -> None:
    assert points("running_total", (1, 1), (5, 0), (9, 7)) == [(9, 1.0)]


def test_a_running_total_that_ends_off_says_so_at_the_time_of_the_last_sample() -> None:
    assert points("running_total", (1, 1), (5, 0), (9, 0)) == [(1, 1.0), (9, 0.0)]


def test_a_running_total_that_was_never_on_says_that_it_is_off() -> None:
    assert points("running_total", (1, 0), (5, 0)) == [(5, 0.0)]


def test_of_equal_times_the_state_added_last_stands() -> None:
    assert points("running_total", (5, 0), (5, 1)) == [(5, 1.0)]


def test_on_and_off_in_one_millisecond_stay_in_order() -> None:
    assert points("running_total", (5, 1), (5, 0)) == [(4.999, 1.0), (5, 0.0)]


def test_on_and_off_at_the_very_start_stay_in_the_window() -> None:
    assert points("running_total", (0, 1), (0, 0)) == [(0, 1.0), (0.001, 0.0)]


def test_a_state_that_a_later_part_adds_before_the_end_leaves_the_state_at_the_end() -> None:
    """On at 2 and 6 s in the first part, off at 4 s in the second: it is on."""
    both = points("running_total", (2, 1), (6, 1)) + points("running_total", (4, 0), part=1)

    assert max(both) == (6, 1.0)


def test_a_duration_has_a_point_for_every_change() -> None:
    assert points("duration", (1, 4), (3, 0), (5, 5)) == [(1, 4), (3, 0), (5, 5)]


def test_a_duration_drops_exact_repeats_alone() -> None:
    assert points("duration", (1, 4), (2, 4.0), (3, 4.5), (4, 4)) == [(1, 4), (3, 4.5), (4, 4)]


def test_a_duration_repeats_its_state_in_each_window() -> None:
    assert points("duration", (1, 1)) == points("duration", (1, 1), part=1) == [(1, 1)]


def test_a_late_sample_of_a_duration_ends_where_a_repeat_stood() -> None:
    assert points("duration", (1, 1), (5, 1), (3, 0)) == [(1, 1), (3, 0), (5, 1)]


def test_a_state_shorter_than_a_millisecond_is_not_sent() -> None:
    assert points("duration", (1, 1), (5.0001, 0), (5.0002, 1), (7, 0)) == [(1, 1), (7, 0)]


def test_many_repeats_take_bounded_room() -> None:
    made = fold("duration", *((second / 100, 1) for second in range(9 * FIRST_LOOK)))

    assert made.points(QUARTER, 0) == [(1, START)]
    assert made.lost == 0


def test_a_sample_later_than_many_repeats_ends_with_the_newest() -> None:
    repeats = [(second / 100, 1) for second in range(FIRST_LOOK)]

    assert points("duration", *repeats, (3.5, 0)) == [(0, 1), (3.5, 0), ((FIRST_LOOK - 1) / 100, 1)]


def test_of_too_many_changes_the_first_ones_and_the_state_at_the_end_are_sent() -> None:
    count = 3 * CHANGES_LIMIT
    made = fold("duration", *((change / 100, change % 7) for change in range(count)))

    folded = made.points(QUARTER, 0)

    assert len(folded) == CHANGES_LIMIT
    assert folded[:2] == [(0, START), (1, at(0.01))]
    assert folded[-1] == ((count - 1) % 7, at((count - 1) / 100))
    assert made.lost == count - CHANGES_LIMIT


@pytest.mark.parametrize("window_s", [second for second in range(1, 901) if 900 % second == 0])
@given(moment=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # bounds
def test_a_window_is_aligned_to_utc_and_holds_its_instant(window_s: int, moment: datetime) -> None:
    window = window_of(moment, window_s)

    assert window.start <= moment < window.end
    assert window.second % window_s == 0
    assert window.end - window.start == timedelta(seconds=window_s)


def test_a_window_is_the_same_in_every_time_zone() -> None:
    moment = datetime.fromisoformat("2026-01-01T05:59:59.999+05:45")

    assert window_of(moment, 900) == window_of(moment.astimezone(UTC), 900)
    assert window_of(moment, 900).start == datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
