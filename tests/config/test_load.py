from __future__ import annotations

import socket
from pathlib import Path

import pytest

from config.device import MQTT, SMALLEST, THING, Device
from thingmeter.config import default_path, load
from thingmeter.config.settings import Config, CustomMetric, Defender, Mqtt, Outbox


def mqtt_of(config: Config) -> Mqtt:
    assert config.mqtt is not None
    return config.mqtt


def defender_of(config: Config) -> Defender:
    assert config.defender is not None
    return config.defender


METRIC = '[defender]\n[[defender.custom_metric]]\nname = "x"\n'


def test_without_a_name_the_thing_is_named_after_the_host(device: Device) -> None:
    config = device.load(MQTT)

    assert config.thing.name == socket.gethostname().partition(".")[0]


def test_without_a_client_id_the_thing_name_is_the_client_id(device: Device) -> None:
    config = device.load(SMALLEST)

    assert mqtt_of(config).client_id == "pump-7"


def test_the_thing_name_stands_in_the_status_topic(device: Device) -> None:
    config = device.load(SMALLEST.replace("[mqtt]", '[mqtt]\nstatus_topic = "status/{thing}/agent"'))

    assert mqtt_of(config).status_topic == "status/pump-7/agent"


def test_a_relative_file_starts_at_the_folder_of_the_file_that_names_it(device: Device) -> None:
    device.write("conf.d/other.pem", "PEM")
    device.write("conf.d/10.toml", '[mqtt.tls]\nca_file = "other.pem"\n')

    tls = mqtt_of(device.load(SMALLEST)).tls

    assert (tls.ca_file, tls.certificate_file) == (
        str(device.folder / "conf.d/other.pem"),
        str(device.folder / "certificate.pem"),
    )


def test_files_are_absolute_wherever_the_agent_runs(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.write("thingmeter.toml", SMALLEST)
    monkeypatch.chdir(device.folder)

    config = load(Path("thingmeter.toml"), environment=device.environment)

    assert mqtt_of(config).tls.ca_file == str(device.folder / "ca.pem")


@pytest.mark.parametrize(
    ("kind", "aggregate"),
    [("number", "last"), ("number-list", "values"), ("string-list", "distinct"), ("ip-address-list", "distinct")],
)
def test_the_type_decides_the_aggregate_that_is_not_given(device: Device, kind: str, aggregate: str) -> None:
    config = device.load(SMALLEST + METRIC + f'type = "{kind}"\n')

    assert defender_of(config).custom_metric[0].aggregate == aggregate


def test_a_custom_metric_without_a_source_is_fed_under_its_own_name(device: Device) -> None:
    config = device.load(SMALLEST + METRIC + 'type = "number"\n')

    assert defender_of(config).custom_metric[0].from_ == "x"


def test_a_custom_metric_is_read_whole(device: Device) -> None:
    config = device.load(
        SMALLEST
        + METRIC
        + 'type = "number"\ndisplay_name = "X (%)"\nfrom = "network.bytes_in"\naggregate = "increase"\n'
        'where = { interface = "eth0" }\ntags = { team = "pumps" }\n'
    )

    assert defender_of(config).custom_metric == (
        CustomMetric(
            name="x",
            type="number",
            display_name="X (%)",
            from_="network.bytes_in",
            aggregate="increase",
            where={"interface": "eth0"},
            tags={"team": "pumps"},
        ),
    )


def test_without_a_collectors_table_every_built_in_collector_runs(device: Device) -> None:
    config = device.load(THING)

    assert (config.all_built_in, config.collectors) == (True, ())


def test_with_a_collectors_table_only_those_named_run(device: Device) -> None:
    config = device.load(THING + "[collectors.memory]\n[collectors.cpu]\n")

    assert (config.all_built_in, [collector.name for collector in config.collectors]) == (False, ["memory", "cpu"])


def test_an_empty_collectors_table_means_none(device: Device) -> None:
    config = device.load(THING + "[collectors]\n")

    assert (config.all_built_in, config.collectors) == (False, ())


def test_what_is_no_setting_of_a_collector_is_its_option(device: Device) -> None:
    config = device.load(THING + '[collectors.pump]\nuse = "acme-pump"\ninterval_s = 60\ngpio = 17\nname = "x"\n')

    assert config.collectors[0].options == {"gpio": 17, "name": "x"}


@pytest.mark.parametrize(("interval_s", "timeout_s"), [("2", 2), ("2.5", 2.5), ("60", 5)])
def test_a_collector_times_out_after_5_s_or_its_interval(device: Device, interval_s: str, timeout_s: float) -> None:
    config = device.load(THING + f"[collectors.cpu]\ninterval_s = {interval_s}\n")

    assert config.collectors[0].timeout_s == timeout_s


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"STATE_DIRECTORY": "/state/a:/state/b"}, "/state/a/outbox.db"),
        ({"STATE_DIRECTORY": "/state", "XDG_STATE_HOME": "/xdg"}, "/state/outbox.db"),
    ],
)
def test_the_outbox_lies_in_the_state_directory(device: Device, environment: dict[str, str], path: str) -> None:
    config = device.load(THING, **environment)

    assert config.outbox.path == path


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"XDG_STATE_HOME": "/xdg"}, "/xdg/thingmeter/outbox.db"),
        ({"XDG_STATE_HOME": "relative"}, "/srv/pump/.local/state/thingmeter/outbox.db"),
        ({}, "/srv/pump/.local/state/thingmeter/outbox.db"),
    ],
)
def test_the_outbox_of_an_ordinary_user_lies_in_their_state(
    device: Device, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], path: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    config = device.load(THING, **environment)

    assert config.outbox.path == path


def test_the_outbox_of_root_lies_in_var_lib(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)

    config = device.load(THING, XDG_STATE_HOME="/xdg")

    assert config.outbox.path == "/var/lib/thingmeter/outbox.db"


def test_a_relative_outbox_starts_at_the_folder_of_the_file(device: Device) -> None:
    config = device.load(THING + '[outbox]\npath = "state/outbox.db"\n')

    assert config.outbox.path == str(device.folder / "state/outbox.db")


def test_what_is_not_given_has_its_default(device: Device) -> None:
    config = device.load(SMALLEST + "[defender]\n", STATE_DIRECTORY="/state")

    assert (config.defender, config.outbox) == (Defender(), Outbox(path="/state/outbox.db"))


def test_without_a_path_the_system_file_is_read() -> None:
    assert default_path() == Path("/etc/thingmeter/thingmeter.toml")


def test_a_printed_configuration_does_not_repeat_the_file(device: Device) -> None:
    config = device.load("[thing]\nname = 'x'\n[mqtt]\n" + MQTT.partition("\n")[2])

    assert "document" not in repr(config)
