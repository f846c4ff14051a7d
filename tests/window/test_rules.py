"""A window folds what it is given by its rules, and says unknown, none and zero apart."""

from datetime import UTC, datetime, timedelta

from thingmeter.metrics import DataPoint, Metric, Sample
from thingmeter.window import Counters, Rule, Window

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(minutes=5)
USAGE = Metric("cpu.usage_percent", "%")
PEER = Metric("sockets.remote_address", "1", type="text")
RECEIVED = Metric("network.received_bytes", "By", kind="counter", dimensions=("interface",))
SENT = Metric("network.sent_bytes", "By", kind="counter", dimensions=("interface",))


def window_of(*rules: Rule) -> Window:
    return Window(rules, Counters("boot-1"))


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def value_of(points: list[DataPoint], name: str) -> object:
    return next((point.value for point in points if point.metric == name), None)


def received(value: int, interface: str = "eth0") -> Sample:
    return RECEIVED.sample(value, {"interface": interface}, at(1))


def test_a_rule_folds_the_samples_of_its_source() -> None:
    window = window_of(Rule("cpu", "cpu.usage_percent", "mean"))
    window.add([USAGE], [USAGE.sample(10, at=at(1))])
    window.add([USAGE], [USAGE.sample(20, at=at(11))])

    points, _ = window.close(START, END)

    assert points == [DataPoint("cpu", 15, START, END, END)]


def test_a_metric_that_was_not_collected_is_unknown() -> None:
    window = window_of(Rule("cpu", "cpu.usage_percent", "mean"), Rule("peers", PEER.name, "distinct"))

    points, _ = window.close(START, END)

    assert points == []


def test_a_list_metric_that_was_collected_and_had_no_sample_is_empty() -> None:
    window = window_of(Rule("peers", PEER.name, "distinct"))
    window.add([PEER], [])

    points, _ = window.close(START, END)

    assert value_of(points, "peers") == ()


def test_a_period_forgets_the_one_before() -> None:
    window = window_of(Rule("cpu", "cpu.usage_percent", "last"))
    window.add([USAGE], [USAGE.sample(10, at=at(1))])
    window.close(START, END)

    points, _ = window.close(END, END + timedelta(minutes=5))

    assert points == []


def test_where_picks_the_series_that_carry_its_dimensions() -> None:
    window = window_of(Rule("eth0", RECEIVED.name, "last", (("interface", "eth0"),)))
    window.add([RECEIVED], [received(1, "eth0"), received(2, "wlan0")])

    points, _ = window.close(START, END)

    assert value_of(points, "eth0") == 1


def test_an_increase_adds_the_series_and_leaves_out_the_first_sight() -> None:
    window = window_of(Rule("bytes_in", RECEIVED.name, "increase"))
    window.add([RECEIVED], [received(100, "eth0"), received(7, "wlan0")])
    window.add([RECEIVED], [received(110, "eth0"), received(9, "wlan0"), received(10**9, "usb0")])

    points, _ = window.close(START, END, {})

    assert value_of(points, "bytes_in") == 12


def test_an_increase_is_unknown_until_a_series_was_seen_twice() -> None:
    window = window_of(Rule("bytes_in", RECEIVED.name, "increase"))
    window.add([RECEIVED], [received(100)])

    points, carried = window.close(START, END, {})

    assert (points, carried) == ([], {})


def test_a_counter_that_stood_still_increased_by_zero() -> None:
    window = window_of(Rule("bytes_in", RECEIVED.name, "increase"))
    window.add([RECEIVED], [received(100)])
    window.add([RECEIVED], [received(100)])

    points, _ = window.close(START, END, {})

    assert value_of(points, "bytes_in") == 0


def test_an_increase_that_nobody_settled_comes_again_with_the_next() -> None:
    window = window_of(Rule("bytes_in", RECEIVED.name, "increase"))
    window.add([RECEIVED], [received(100)])
    window.add([RECEIVED], [received(110)])
    window.close(START, END, {})
    window.add([RECEIVED], [received(111)])

    points, _ = window.close(END, END + timedelta(minutes=5), {})

    assert value_of(points, "bytes_in") == 11


def test_an_increase_leaves_out_what_is_in_flight() -> None:
    window = window_of(Rule("bytes_in", RECEIVED.name, "increase"))
    window.add([RECEIVED], [received(100)])
    window.add([RECEIVED], [received(110)])
    _, in_flight = window.close(START, END, {})
    window.add([RECEIVED], [received(111)])

    points, _ = window.close(END, END + timedelta(minutes=5), in_flight)

    assert value_of(points, "bytes_in") == 1


def test_a_period_without_increases_keeps_them_for_the_next() -> None:
    window = window_of(Rule("bytes_in", RECEIVED.name, "increase"))
    window.add([RECEIVED], [received(100)])
    window.add([RECEIVED], [received(110)])
    first, carried = window.close(START, END, None)

    second, _ = window.close(END, END + timedelta(minutes=5), {})

    assert (first, carried) == ([], {})
    assert value_of(second, "bytes_in") == 10


def test_two_rules_may_fold_one_counter() -> None:
    window = window_of(
        Rule("all", RECEIVED.name, "increase"), Rule("eth0", RECEIVED.name, "increase", (("interface", "eth0"),))
    )
    window.add([RECEIVED], [received(0, "eth0"), received(0, "wlan0")])
    window.add([RECEIVED], [received(3, "eth0"), received(4, "wlan0")])

    points, carried = window.close(START, END, {})

    assert (value_of(points, "all"), value_of(points, "eth0")) == (7, 3)
    assert sum(carried.values()) == 7


def test_what_is_no_counter_has_no_increase() -> None:
    text = Metric(RECEIVED.name, "By", type="text")
    window = window_of(Rule("bytes_in", RECEIVED.name, "increase"))
    window.add([text], [text.sample("many", at=at(1)), text.sample("more", at=at(2))])

    points, _ = window.close(START, END, {})

    assert points == []
