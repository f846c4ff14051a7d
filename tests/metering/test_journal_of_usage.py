from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.config.settings import AggregationType
from thingmeter.destinations.devrev.folding import window_of
from thingmeter.destinations.devrev.points import Group
from thingmeter.metering.journal import StampedRow, UnstampedRow, read, stamped_rows, unstamped_row
from thingmeter.metering.measured import Measured, Moment, Series, Unstamped
from thingmeter.outbox import JournalRow

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = Moment("boot-1", 1234.5, START)

texts = st.text(max_size=9)
values = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
dimensions = st.lists(st.tuples(texts, texts), max_size=3).map(lambda each: tuple(sorted(each)))
groups = st.builds(Group, texts, texts, texts, texts, dimensions)
series = st.builds(Series, groups, st.sampled_from(get_args(AggregationType)), texts)
times = st.datetimes(datetime(1970, 1, 2), datetime(8999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone


@given(st.lists(st.builds(Measured, series, values, times), max_size=9))
def test_the_rows_of_windows_say_what_was_measured(samples: list[Measured]) -> None:
    rows = [read(row) for row in stamped_rows(samples, 900, NOW)]

    found = [sample for row in rows if isinstance(row, StampedRow) for sample in row.samples]
    assert sorted(found, key=repr) == sorted(samples, key=repr)


@given(st.lists(st.builds(Measured, series, values, times), max_size=9), st.sampled_from((1, 60, 900)))
def test_a_row_holds_samples_of_its_window_alone(samples: list[Measured], window_s: int) -> None:
    rows = stamped_rows(samples, window_s, NOW)

    for row in rows:
        found = read(row)
        assert isinstance(found, StampedRow)
        assert {window_of(sample.at, window_s).second for sample in found.samples} == {row.window}


@given(st.lists(st.builds(Unstamped, series, values, st.integers(0, 10**12).map(lambda us: us / 1e6)), max_size=9))
def test_a_row_without_wall_times_says_what_was_measured(samples: list[Unstamped]) -> None:
    found = read(unstamped_row(samples, 7, NOW))

    assert found == UnstampedRow("boot-1", 7, tuple(samples))


def test_a_row_knows_when_it_was_committed() -> None:
    sample = Measured(Series(Group("litres", "ACC-1"), "sum"), 5, START)

    [found] = [read(row) for row in stamped_rows([sample], 60, NOW)]

    assert found == StampedRow("boot-1", 1234.5, 60, (sample,))


def test_samples_of_one_series_name_it_once() -> None:
    group = Group("litres", "ACC-1")
    samples = [Measured(Series(group, "sum"), 5, START + timedelta(seconds=second)) for second in range(50)]

    [row] = stamped_rows(samples, 900, NOW)

    assert row.payload.count(b"litres") == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"boot_id":"b","uptime_s":1,"window_s":0,"number":0,"series":[],"samples":[]}',
        b'{"boot_id":"b","uptime_s":1,"window_s":60,"number":0,"series":[],"samples":[[0,1,1]]}',
        b'{"boot_id":"b","uptime_s":1,"window_s":60,"number":0,"series":[["mean","","n","a","","",[]]],"samples":[]}',
        b'{"boot_id":"b","uptime_s":1,"window_s":60,"number":0,"series":[["sum","","n","a","","",[]]],"samples":[[0,"x",1]]}',
        b'{"boot_id":"b","uptime_s":1,"window_s":60,"number":0,"series":[["sum","","n","a","","",[]]],"samples":[[0,NaN,1]]}',
        b'{"boot_id":"b","uptime_s":1,"window_s":60,"number":0,"series":[["sum","","n","a","","",[]]],"samples":[[0,1,1e99]]}',
    ],
)
def test_what_is_no_row_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"journal|window"):
        read(JournalRow(0, payload))
