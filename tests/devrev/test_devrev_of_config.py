"""What a configuration declares to DevRev, and where."""

from __future__ import annotations

import subprocess
import sys

import pytest

from devrev.uom_definitions import FULL, LITRES
from thingmeter.config.settings import Config, DevRev, Thing, Unit, Uom
from thingmeter.destinations.devrev.account import Account, account_of
from thingmeter.destinations.devrev.definition import UomDefinition, definitions_of


def declared(definition: UomDefinition) -> Uom:
    return Uom(
        metric_name=definition.metric_name,
        name=definition.display_name,
        product_id=definition.product_id,
        part_id=definition.part_id,
        description=definition.description,
        unit=Unit(name=definition.unit_name, type=definition.unit_type),
        aggregation_type=definition.aggregation_type,
        unique_dimension=definition.unique_dimension,
        dimensions=definition.dimensions,
    )


def config(devrev: DevRev | None) -> Config:
    return Config(thing=Thing(name="pump-7"), devrev=devrev)


def test_every_member_of_a_uom_is_declared() -> None:
    devrev = DevRev(token_file="/token", uom=(declared(FULL), declared(LITRES)))

    assert definitions_of(config(devrev)) == (FULL, LITRES)


def test_without_the_table_nothing_is_declared() -> None:
    assert definitions_of(config(None)) == ()


def test_the_account_is_that_of_the_table() -> None:
    devrev = DevRev(
        endpoint_url="https://localhost:8443/", ca_file="/ca.pem", token_file="/t", scheme="", uom=(declared(LITRES),)
    )

    assert account_of(config(devrev)) == Account("https://localhost:8443", "/t", "", "/ca.pem")


@pytest.mark.parametrize(
    "devrev",
    [
        None,
        DevRev(token_file="/token"),
        DevRev(token_file="/token", registration="off", uom=(declared(LITRES),)),
    ],
)
def test_there_may_be_nothing_to_do(devrev: DevRev | None) -> None:
    assert account_of(config(devrev)) is None


def test_the_daemons_part_loads_no_library_of_the_control_plane() -> None:
    script = (
        "import sys, thingmeter.destinations.devrev.account, thingmeter.destinations.devrev.definition\n"
        "print(sorted({'urllib3', 'http.client', 'awscrt', 'asyncio'} & set(sys.modules)))"
    )

    printed = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert printed.stdout.strip() == "[]"
