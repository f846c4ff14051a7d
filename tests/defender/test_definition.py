"""A custom metric's definition: what of it decides about its fingerprint and about its token."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

import msgspec
import pytest

from thingmeter.config.settings import Config, CustomMetric, Defender, Thing
from thingmeter.destinations.defender.definition import CustomMetricDefinition, definitions_of

DEFINITION = CustomMetricDefinition("cpu_usage", "number", "CPU usage (%)", (("site", "north"), ("team", "pumps")))
LONGEST = CustomMetricDefinition("a" * 128, "ip-address-list", "b" * 128)


@pytest.mark.parametrize("definition", [DEFINITION, LONGEST])
def test_a_token_is_one_that_the_api_takes(definition: CustomMetricDefinition) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", definition.request_token())


def test_a_token_is_the_same_for_ever() -> None:
    assert DEFINITION.request_token() == "thingmeter-afd6d18f03e641a2ccb3a037736126ed"


@pytest.mark.parametrize("change", [{"display_name": "CPU"}, {"tags": ()}])
def test_what_may_change_later_leaves_the_token(change: dict[str, object]) -> None:
    assert replace(DEFINITION, **change).request_token() == DEFINITION.request_token()  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"name": "cpu_usage2"}, {"type": "number-list"}])
def test_another_name_or_type_has_another_token(change: dict[str, object]) -> None:
    assert replace(DEFINITION, **change).request_token() != DEFINITION.request_token()  # type: ignore[arg-type]


def test_equal_definitions_have_one_fingerprint() -> None:
    assert replace(DEFINITION).fingerprint() == DEFINITION.fingerprint()


@pytest.mark.parametrize(
    "change", [{"name": "x"}, {"type": "number-list"}, {"display_name": ""}, {"tags": (("team", "pumps"),)}]
)
def test_every_change_shows_in_the_fingerprint(change: dict[str, object]) -> None:
    assert replace(DEFINITION, **change).fingerprint() != DEFINITION.fingerprint()  # type: ignore[arg-type]


def test_a_definition_survives_json() -> None:
    written = json.dumps(asdict(DEFINITION))

    assert msgspec.convert(json.loads(written), CustomMetricDefinition) == DEFINITION


def test_the_configuration_declares_its_custom_metrics_with_sorted_tags() -> None:
    metric = CustomMetric(
        name="cpu_usage", type="number", display_name="CPU usage (%)", tags={"team": "pumps", "site": "north"}
    )
    config = Config(thing=Thing(name="pump-7"), defender=Defender(custom_metric=(metric,)))

    assert definitions_of(config) == (DEFINITION,)


def test_without_reports_nothing_is_declared() -> None:
    assert definitions_of(Config(thing=Thing(name="pump-7"))) == ()
