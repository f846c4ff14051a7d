from __future__ import annotations

from config.device import SMALLEST, THING, Device
from thingmeter.config import Config
from thingmeter.config.fields import fields_of
from thingmeter.config.settings import Outbox
from thingmeter.config.sources import Source, sources


def source(config: Config, table: str, key: str) -> Source:
    (found,) = (one for one in sources(config) if (one.table, one.key) == (table, key))
    return found


def test_a_value_from_a_file_has_its_line(device: Device) -> None:
    config = device.load(SMALLEST)

    assert source(config, "mqtt", "host") == Source("mqtt", "host", '"broker.example.com"', f"{device.file}:4")


def test_a_value_from_a_drop_in_has_its_file(device: Device) -> None:
    file = device.write("conf.d/10.toml", "[mqtt]\nport = 443\n")

    config = device.load(SMALLEST)

    assert source(config, "mqtt", "port") == Source("mqtt", "port", "443", f"{file}:2")


def test_a_value_that_nobody_gave_is_a_default(device: Device) -> None:
    config = device.load(SMALLEST)

    assert source(config, "mqtt", "port") == Source("mqtt", "port", "8883", "default")


def test_a_value_made_from_a_variable_names_it(device: Device) -> None:
    config = device.load('[thing]\nname = "pump-${NUMBER}"\n', NUMBER="7")

    assert source(config, "thing", "name").origin == f"{device.file}:2, environment NUMBER"


def test_a_default_from_the_environment_names_the_variable(device: Device) -> None:
    config = device.load(THING, STATE_DIRECTORY="/state")

    assert source(config, "outbox", "path") == Source(
        "outbox", "path", '"/state/outbox.db"', "environment STATE_DIRECTORY"
    )


def test_options_of_a_collector_are_listed(device: Device) -> None:
    config = device.load(THING + "[collectors.pump]\ngpio = 17\n")

    assert source(config, "collectors.pump", "gpio").value == "17"


def test_secret_options_are_masked(device: Device) -> None:
    config = device.load(THING + '[collectors.pump]\npin_password = "hunter2"\nother = "${API_TOKEN}"\n', API_TOKEN="h")

    assert {one.value for one in sources(config) if one.table == "collectors.pump" and one.origin != "default"} == {
        '"***"'
    }


def test_each_custom_metric_is_listed(device: Device) -> None:
    metric = '[[defender.custom_metric]]\nname = "{}"\ntype = "number"\n'
    config = device.load(SMALLEST + "[defender]\n" + metric.format("a") + metric.format("b"))

    assert source(config, "defender.custom_metric.1", "name").value == '"b"'


def test_every_setting_of_a_table_is_listed(device: Device) -> None:
    config = device.load(THING)

    listed = [one.key for one in sources(config) if one.table == "outbox"]

    assert listed == [field.key for field in fields_of(Outbox)]
