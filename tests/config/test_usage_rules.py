from __future__ import annotations

import pytest

from config.device import MQTT, SMALLEST, THING, Device
from config.test_devrev_rules import DEVREV, devrev_of, reason_of, uom
from thingmeter.config.settings import Clock
from thingmeter.config.sources import sources

OFF = THING + '[devrev]\nregistration = "off"\n'
OVER_MQTT = SMALLEST + '[devrev]\nregistration = "off"\nroute = "mqtt"\ntopic = "usage/{thing}"\n'
FED = '"pump.litres"'
FED_UOM = uom(from_=FED).replace("from_", "from")


def fed(**changed: str | None) -> str:
    """Return a UOM that a collector feeds."""
    return FED_UOM.replace('from = "pump.litres"\n', uom_lines(changed) + 'from = "pump.litres"\n')


def uom_lines(changed: dict[str, str | None]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in changed.items())


def test_what_is_not_given_of_usage_has_its_default(device: Device) -> None:
    devrev = devrev_of(device, DEVREV)

    assert (devrev.route, devrev.topic, devrev.account_ref, devrev.org_ref, devrev.user_ref) == ("https", *[""] * 4)


def test_windows_and_requests_have_their_defaults(device: Device) -> None:
    devrev = devrev_of(device, DEVREV)

    limits = (devrev.window_s, devrev.maximum_points, devrev.maximum_request_bytes, devrev.dedupe_horizon_s)
    assert limits == (900, 500, 262_144, 86_400)


def test_what_feeds_a_uom_is_read_whole(device: Device) -> None:
    text = DEVREV + fed(where='{ line = "1" }', maximum_increase="500", account_ref='"ACC-9"', user_dimension='"who"')

    (read,) = devrev_of(device, text).uom
    assert (read.from_, read.where, read.maximum_increase) == ("pump.litres", {"line": "1"}, 500.0)


def test_a_uom_that_is_not_fed_says_so(device: Device) -> None:
    (read,) = devrev_of(device, DEVREV + uom()).uom

    assert (read.from_, read.maximum_increase, read.account_ref) == ("", None, "")


def test_an_increase_without_a_bound_is_listed_as_nothing(device: Device) -> None:
    shown = {source.key: source.value for source in sources(device.load(DEVREV + uom()))}

    assert shown["maximum_increase"] == '""'


def test_a_uom_that_is_fed_needs_an_account(device: Device) -> None:
    (problem,) = device.problems(DEVREV + fed())

    assert problem == (
        "thingmeter.toml:5: [[devrev.uom]]: nobody would be billed for its records: give account_ref here, or "
        "account_ref in [devrev] for all UOMs, or account_dimension here, the dimension whose value is the account"
    )


def test_a_uom_that_is_not_fed_needs_no_account(device: Device) -> None:
    assert device.problems(DEVREV + uom()) == []


@pytest.mark.parametrize("own", [{"account_ref": '"ACC-1"'}, {"account_dimension": '"customer"'}])
def test_an_account_may_be_the_own_one_of_a_uom(device: Device, own: dict[str, str | None]) -> None:
    assert device.problems(DEVREV + fed(**own)) == []


@pytest.mark.parametrize("own", [{}, {"account_ref": '"ACC-1"'}, {"account_dimension": '"customer"'}])
def test_an_account_may_be_that_of_all(device: Device, own: dict[str, str | None]) -> None:
    assert device.problems(DEVREV + 'account_ref = "ACC-123"\n' + fed(**own)) == []


def test_a_mistyped_account_is_not_missing_as_well(device: Device) -> None:
    reason = reason_of(device, DEVREV + "account_ref = 7\n" + fed())

    assert reason == (
        "[devrev] account_ref = 7: is an integer, must be 1 to 256 characters that neither begin nor end with a space"
    )


@pytest.mark.parametrize("whose", ["account", "org", "user"])
def test_a_reference_and_its_dimension_exclude_each_other(device: Device, whose: str) -> None:
    both = {f"{whose}_ref": '"X-1"', f"{whose}_dimension": '"key"'}

    reason = reason_of(device, DEVREV + 'account_ref = "ACC-1"\n' + fed(**both))

    assert reason == (
        f'[[devrev.uom]] {whose}_dimension = "key": excludes {whose}_ref: a record has one {whose}; '
        "leave one of the two out"
    )


@pytest.mark.parametrize("ref", ["A", "don:identity:dvrv-us-1:devo/0:account/156", "Müller & Söhne", "x" * 256])
def test_a_reference_is_whatever_the_customer_calls_himself(device: Device, ref: str) -> None:
    assert devrev_of(device, DEVREV + f'account_ref = "{ref}"\n').account_ref == ref


@pytest.mark.parametrize("ref", ["", " ", " A", "A ", "x" * 257])
def test_a_reference_that_says_nothing_is_refused(device: Device, ref: str) -> None:
    assert "must be 1 to 256 characters" in reason_of(device, DEVREV + f'user_ref = "{ref}"\n')


@pytest.mark.parametrize("window", [1, 9, 60, 225, 450, 900])
def test_a_window_divides_a_quarter_of_an_hour(device: Device, window: int) -> None:
    assert devrev_of(device, DEVREV + f"window_s = {window}\n").window_s == window


@pytest.mark.parametrize(
    ("window", "hint"), [("7", "must divide 900"), ("0", "a divisor of 900"), ("1800", "a divisor of 900")]
)
def test_another_window_is_refused(device: Device, window: str, hint: str) -> None:
    assert hint in reason_of(device, DEVREV + f"window_s = {window}\n")


@pytest.mark.parametrize(
    "line",
    [
        "maximum_points = 0",
        "maximum_points = 10001",
        "maximum_request_bytes = 32767",
        "maximum_request_bytes = 4194305",
        "dedupe_horizon_s = 59",
        "dedupe_horizon_s = 1e5",
        'route = "http"',
    ],
)
def test_a_limit_out_of_its_bounds_is_refused(device: Device, line: str) -> None:
    assert reason_of(device, f"{DEVREV}{line}\n").startswith(f"[devrev] {line.partition(' =')[0]} = ")


@pytest.mark.parametrize("increase", ["0", "-1", "nan", "inf", "1e300", '"5"', "true"])
def test_an_increase_that_bounds_nothing_is_refused(device: Device, increase: str) -> None:
    reason = reason_of(device, DEVREV + fed(account_ref='"A"', maximum_increase=increase))

    assert reason.endswith("must be a number above 0, at most 2^53; for the aggregation type sum")


def test_only_what_is_summed_up_has_an_increase(device: Device) -> None:
    text = DEVREV + fed(account_ref='"A"', maximum_increase="5").replace('"sum"', '"latest"')

    assert 'maximum_increase = 5: is for the aggregation type "sum"' in reason_of(device, text)


@pytest.mark.parametrize("source", ["pump", "pump.litres.today", "Pump.litres", ""])
def test_what_feeds_a_uom_is_a_metric_of_a_collector(device: Device, source: str) -> None:
    reason = reason_of(device, DEVREV + FED_UOM.replace("pump.litres", source))

    assert reason == f'[[devrev.uom]] from = "{source}": must be collector.metric, such as pump.litres'


def test_over_https_what_is_fed_needs_the_token_even_where_nothing_is_registered(device: Device) -> None:
    reason = reason_of(device, OFF + fed(account_ref='"A"'))

    assert reason == (
        "[devrev]: token_file is missing: the path of a file with DevRev's token; "
        'or set route = "mqtt", and the topic of something that holds it'
    )


def test_over_mqtt_no_device_needs_the_token(device: Device) -> None:
    assert device.problems(OVER_MQTT + fed(account_ref='"A"')) == []


def test_the_thing_is_put_into_the_topic_of_usage(device: Device) -> None:
    assert devrev_of(device, OVER_MQTT).topic == "usage/pump-7"


def test_the_route_by_mqtt_needs_a_topic(device: Device) -> None:
    reason = reason_of(device, OVER_MQTT.replace('topic = "usage/{thing}"\n', ""))

    assert (
        reason == '[devrev] route = "mqtt": needs topic as well: where records are published, such as "usage/{thing}"'
    )


def test_the_route_by_mqtt_needs_a_broker(device: Device) -> None:
    reason = reason_of(device, OVER_MQTT.replace(MQTT, ""))

    assert reason == '[devrev] route = "mqtt": needs the tables [mqtt] and [mqtt.tls], which say where records go'


def test_a_topic_without_its_route_is_refused(device: Device) -> None:
    reason = reason_of(device, DEVREV + 'topic = "usage"\n')

    assert reason.endswith('has no effect by the default route "https": set route = "mqtt" as well')


def test_a_topic_may_stay_where_the_route_is_said_to_be_another(device: Device) -> None:
    assert device.problems(DEVREV + 'route = "https"\ntopic = "usage"\n') == []


@pytest.mark.parametrize("topic", ["a/+", "$aws/things/x", "{other}", "a/b/c/d/e/f/g/h/i"])
def test_a_topic_of_usage_that_cannot_be_published_to_is_refused(device: Device, topic: str) -> None:
    reason = reason_of(device, OVER_MQTT.replace("usage/{thing}", topic))

    assert reason.startswith(f'[devrev] topic = "{topic}": ')


def test_usage_may_go_straight_to_a_rule(device: Device) -> None:
    assert devrev_of(device, OVER_MQTT.replace("usage/", "$aws/rules/usage/")).topic == "$aws/rules/usage/pump-7"


def test_a_request_over_mqtt_is_no_larger_than_aws_iot_takes(device: Device) -> None:
    assert devrev_of(device, OVER_MQTT).maximum_request_bytes == 131_072


def test_a_smaller_request_over_mqtt_stays_as_it_is(device: Device) -> None:
    assert devrev_of(device, OVER_MQTT + "maximum_request_bytes = 40000\n").maximum_request_bytes == 40_000


def test_a_larger_request_over_mqtt_is_refused(device: Device) -> None:
    reason = reason_of(device, OVER_MQTT + "maximum_request_bytes = 131073\n")

    assert reason.endswith('must be at most 131072, the limit of AWS IoT, where route is "mqtt"')


def test_the_clock_is_waited_for_five_minutes(device: Device) -> None:
    assert device.load(THING).clock == Clock(sync_wait_s=300)


def test_the_clock_can_be_trusted_at_once(device: Device) -> None:
    assert device.load(THING + "[clock]\nsync_wait_s = 0\n").clock.sync_wait_s == 0


@pytest.mark.parametrize("wait", ["-1", "86401", "0.5", '"300"'])
def test_a_wait_for_the_clock_out_of_its_bounds_is_refused(device: Device, wait: str) -> None:
    assert reason_of(device, THING + f"[clock]\nsync_wait_s = {wait}\n").endswith(
        "an integer from 0 to 86400 (seconds)"
    )
