from __future__ import annotations

import tomllib
from pathlib import Path

from thingmeter.config import load
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.configuration import render, write

EXAMPLE = Path(__file__).parents[2] / "config" / "sandbox.toml"


def test_the_agent_can_load_the_configuration(tmp_path: Path) -> None:
    with Sandbox(tmp_path, things=("pump-7",)) as sandbox:
        write(sandbox.folder.configuration_file, render("pump-7", host=sandbox.host, port=sandbox.port))

        config = load(sandbox.folder.configuration_file)

    assert (config.thing.name, config.mqtt and config.mqtt.port) == ("pump-7", sandbox.port)


def test_every_type_of_custom_metric_is_shown() -> None:
    configuration = tomllib.loads(render("pump-7", host="localhost", port=8883))

    types = {metric["type"] for metric in configuration["defender"]["custom_metric"]}
    assert types == {"number", "number-list", "string-list", "ip-address-list"}


def test_the_example_in_config_is_what_is_written() -> None:
    assert EXAMPLE.read_text("utf-8") == render("pump-7", host="localhost", port=8883)


def test_a_configuration_that_nobody_edited_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "thingmeter.toml"
    write(path, "old")

    assert (write(path, "new"), path.read_text()) == (True, "new")


def test_a_configuration_that_someone_edited_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "thingmeter.toml"
    write(path, "old")
    path.write_text("mine")

    assert (write(path, "new"), path.read_text()) == (False, "mine")


def test_a_configuration_that_someone_else_wrote_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "thingmeter.toml"
    path.write_text("mine")

    assert (write(path, "new"), path.read_text()) == (False, "mine")
