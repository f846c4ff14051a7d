"""What collectors measure reaches DevRev with its value, time, dimensions and account, and comes to the same there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from end_to_end.usage_device import Device, Meters, cloud, devices, meters
from end_to_end.usage_settings import ACCOUNT, LEVELS, VOLUMES, Meter

__all__ = ["cloud", "devices", "meters"]  # fixtures

LINES = {"dimensions": ("line",), "unique_dimension": "line"}
OF_EACH_TYPE = (
    Meter("total", "handed.level"),
    Meter("peak", "handed.level", "maximum"),
    Meter("bottom", "handed.level", "minimum"),
    Meter("newest", "handed.level", "latest"),
    Meter("first", "handed.level", "oldest"),
    Meter("lines", "handed.level", "unique_count", **LINES),  # type: ignore[arg-type]
    Meter("ever_on", "handed.is_on", "running_total", **LINES),  # type: ignore[arg-type]
    Meter("time_on", "handed.is_on", "duration", **LINES),  # type: ignore[arg-type]
)


def ago(seconds: float) -> datetime:
    """Return an instant at a tenth of a second, so far from any edge of a window."""
    return datetime.now(UTC).replace(microsecond=100_000) - timedelta(seconds=seconds)


def test_samples_of_a_window_become_one_record_with_its_time_dimensions_and_account(meters: Meters) -> None:
    device = meters.make(LEVELS)
    at = ago(2)
    device.hand_over("level", 2, 3, 4.25, at=at, site="north", line="1")

    device.agent.start()
    (point,) = meters.billed.points("levels", 1)

    assert (point.value, point.at) == (9.25, at.replace(microsecond=500_000))
    assert (point.account_ref, point.dimensions) == (ACCOUNT, (("site", "north"),))


def test_what_a_collector_does_not_stamp_bears_the_time_at_which_it_was_collected(meters: Meters) -> None:
    device = meters.make(Meter("newest", "handed.level", "latest"))
    device.hand_over("level", 5)
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # times are cut to the millisecond

    device.agent.start()
    (point,) = meters.billed.points("newest", 1)

    assert before <= point.at <= datetime.now(UTC)


def test_each_aggregation_type_comes_to_what_the_samples_come_to(meters: Meters) -> None:
    device = meters.make(*OF_EACH_TYPE)
    start = ago(30)
    for after_s, value, line in ((0, 3, "1"), (0.5, 7, "2"), (1.2, 2, "1"), (4.0, 5, "3"), (4.3, 4, "1")):
        device.hand_over("level", value, at=start + timedelta(seconds=after_s), line=line)
    for after_s, is_on, line in ((0, True, "1"), (0.5, True, "1"), (2.0, False, "1"), (1, False, "2"), (3, True, "3")):
        device.hand_over("is_on", is_on, at=start + timedelta(seconds=after_s), line=line)
    device.hand_over("is_on", False, at=start + timedelta(seconds=7.5), line="3")

    device.agent.start()
    meters.billed.points("time_on", 5)
    meters.billed.points("lines", 4)

    billed = {meter.name: meters.billed.totals(meter.name)[ACCOUNT, ()] for meter in OF_EACH_TYPE}
    assert billed == {
        "total": 21,
        "peak": 7,
        "bottom": 2,
        "newest": 4,
        "first": 3,
        "lines": 3,
        "ever_on": 2,
        "time_on": 2.0 + 4.5,
    }


def test_samples_handed_over_bit_by_bit_add_up_to_the_last_unit(meters: Meters) -> None:
    device = meters.make(LEVELS)
    device.agent.start()

    for number in range(1, 4):
        device.hand_over("level", *range(1, 101), site="north")
        meters.billed.until_total("levels", number * 5050)
    device.agent.stop()

    assert device.totals().amounts("delivered")["levels"] == 3 * 5050


def test_who_is_billed_may_stand_in_a_dimension(meters: Meters) -> None:
    device = meters.make(
        Meter("of_customers", "handed.level", more='account_dimension = "customer"\nuser_dimension = "operator"'),
        Meter("of_another", "handed.level", more='account_ref = "ACC-8"\norg_ref = "ORG-1"'),
    )
    device.hand_over("level", 3, customer="ACC-1", operator="U1")
    device.hand_over("level", 4, customer="ACC-2")

    device.agent.start()
    meters.billed.until_total("of_another", 7)
    meters.billed.until_total("of_customers", 7)

    customers = {(point.account_ref, point.user_ref, point.value) for point in meters.billed.points("of_customers")}
    others = {(point.account_ref, point.org_ref) for point in meters.billed.points("of_another")}
    assert customers == {("ACC-1", "U1", 3), ("ACC-2", "", 4)}
    assert others == {("ACC-8", "ORG-1")}


def test_an_increase_that_a_counter_cannot_have_made_is_set_aside_and_not_billed(meters: Meters) -> None:
    device = meters.make(Meter("volumes", "handed.volume", more="maximum_increase = 100"))
    device.hand_over("volume", 10, 30, 1030, 1040)

    device.agent.start()
    meters.billed.until_total("volumes", 30)
    device.agent.stop()

    totals = device.totals()
    assert (totals.amounts("set_aside"), totals.amounts("delivered")) == ({"volumes": 1000}, {"volumes": 30})


def test_a_sum_over_restarts_is_what_the_counter_rose_by(meters: Meters) -> None:
    device = meters.make(VOLUMES)
    device.hand_over("volume", 1000, 1001, site="north")

    for value in (1001, 1250, 5000):  # the first is where it stands already; the others it reaches while nothing runs
        device.hand_over("volume", value, site="north")
        run_until_billed(meters, device, value - 1000)

    assert device.totals().amounts("delivered")["volumes"] == 4000


def run_until_billed(meters: Meters, device: Device, total: float) -> None:
    device.agent.start()
    meters.billed.until_total("volumes", total)
    device.agent.stop()
