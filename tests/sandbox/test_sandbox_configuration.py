from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from thingmeter.config import load
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.configuration import Places, render, write

EXAMPLE = Path(__file__).parents[2] / "config" / "sandbox.toml"


def places_of(sandbox: Sandbox) -> Places:
    return Places(
        host=sandbox.host,
        port=sandbox.port,
        control_plane_url=sandbox.control_plane_url,
        credentials_endpoint=sandbox.credentials_endpoint,
        devrev_url=sandbox.devrev_url,
    )


def test_the_agent_can_load_the_configuration(tmp_path: Path) -> None:
    with Sandbox(tmp_path, things=("pump-7",)) as sandbox:
        write(sandbox.folder.configuration_file, render("pump-7", places_of(sandbox)))

        config = load(sandbox.folder.configuration_file)

    assert (config.thing.name, config.mqtt and config.mqtt.port) == ("pump-7", sandbox.port)


def test_the_configuration_names_the_places_where_things_are_registered(tmp_path: Path) -> None:
    with Sandbox(tmp_path, things=("pump-7",)) as sandbox:
        configuration = tomllib.loads(render("pump-7", places_of(sandbox)))

        aws, devrev = configuration["aws"], configuration["devrev"]
        assert (aws["endpoint_url"], aws["credentials_endpoint"], aws["role_alias"], devrev["endpoint_url"]) == (
            sandbox.control_plane_url,
            sandbox.credentials_endpoint,
            sandbox.role_alias,
            sandbox.devrev_url,
        )


@pytest.mark.parametrize("name", ["ca/ca.pem", "devrev-token", "things/pump-7.pem"])
def test_the_files_that_the_configuration_names_are_in_the_folder(tmp_path: Path, name: str) -> None:
    with Sandbox(tmp_path, things=("pump-7",)) as sandbox:
        text = render("pump-7", places_of(sandbox))

    assert (f'= "{name}"' in text, (tmp_path / name).is_file()) == (True, True)


def test_two_uoms_show_the_shape() -> None:
    configuration = tomllib.loads(render("pump-7", Places()))

    assert [uom["metric_name"] for uom in configuration["devrev"]["uom"]] == ["received_bytes", "peak_memory"]


def test_every_type_of_custom_metric_is_shown() -> None:
    configuration = tomllib.loads(render("pump-7", Places()))

    types = {metric["type"] for metric in configuration["defender"]["custom_metric"]}
    assert types == {"number", "number-list", "string-list", "ip-address-list"}


def test_the_example_in_config_is_what_is_written() -> None:
    assert EXAMPLE.read_text("utf-8") == render("pump-7", Places())


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
