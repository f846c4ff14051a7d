from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.device import Device, device_in
from config.toml_text import toml_texts
from thingmeter.config import load
from thingmeter.config.settings import Config
from thingmeter.config.sources import sources
from thingmeter.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config" / "thingmeter.toml"
MISTAKES = (Path(__file__).parent / "thirty_mistakes.toml").read_text(encoding="utf-8").splitlines()
SETTINGS = [line.removeprefix("#") for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line[:2] != "# "]


@pytest.fixture(scope="module")
def shared() -> Iterator[Device]:
    with tempfile.TemporaryDirectory() as folder:
        yield device_in(Path(folder))


def load_or_refuse(device: Device) -> Config | ConfigError:
    try:
        return load(device.file, environment={"HOME": "/srv/pump", "SITE": "north"})
    except ConfigError as error:
        return error


def holds(device: Device, content: bytes) -> None:
    """Load ``content``: a whole configuration or a list of problems that can be printed comes of it."""
    device.write("thingmeter.toml", content)
    outcome = load_or_refuse(device)
    if isinstance(outcome, Config):
        assert sources(outcome)
    else:
        assert outcome.problems
        assert all(problem.message and problem.file for problem in outcome.problems)
        assert str(outcome).replace("\n", "").isprintable()


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_problems(shared: Device, content: bytes) -> None:
    holds(shared, content)


@settings(deadline=None)
@given(text=st.text(alphabet="[]{}=.,\"'#\\\n\t ${}ab1-:T\u202e", max_size=60))
def test_any_text_of_toml_signs_is_a_configuration_or_problems(shared: Device, text: str) -> None:
    holds(shared, text.encode())


@settings(deadline=None)
@given(text=toml_texts())
def test_any_toml_is_a_configuration_or_problems(shared: Device, text: str) -> None:
    holds(shared, text.encode())


@settings(deadline=None)
@given(lines=st.lists(st.sampled_from(SETTINGS + MISTAKES), max_size=30))
def test_settings_in_any_order_are_a_configuration_or_problems(shared: Device, lines: list[str]) -> None:
    holds(shared, "\n".join(lines).encode())


KNOWN = st.sampled_from(
    [
        "thing",
        "mqtt",
        "mqtt.tls",
        "aws",
        "registration",
        "defender",
        "defender.blocks",
        "defender.custom_metric",
        "devrev",
        "devrev.uom",
        "clock",
        "topic",
        "outbox",
        "collectors.cpu",
    ]
)
KEYS = st.sampled_from(
    [
        *("name", "host", "port", "blocks", "tags", "where", "from", "type", "path", "interval_s", "x", "region"),
        *("role_alias", "endpoint_url", "token_file", "unit", "metric_name", "dimensions", "unique_dimension"),
        *("route", "topic", "account_ref", "account_dimension", "window_s", "maximum_increase", "template", "metrics"),
        *("maximum_request_bytes", "sync_wait_s"),
    ]
)
VALUES = st.sampled_from(
    ["1", "-1", "nan", "1e400", "true", '""', '"x"', '"${X}"', "[]", "[[]]", "[{}]", "{}", '{ x = "y" }', "07:00:00"]
)


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(KNOWN, KEYS, VALUES), max_size=6, unique_by=lambda part: part[:2]))
def test_any_value_at_any_setting_is_a_configuration_or_problems(
    shared: Device, pairs: list[tuple[str, str, str]]
) -> None:
    holds(shared, "\n".join(f"{table}.{key} = {value}" for table, key, value in pairs).encode())


@settings(deadline=None)
@given(at=st.integers(0, 10_000), cut=st.integers(0, 40), put=st.text(alphabet="[]{}=.\"'#\n$x1", max_size=3))
def test_an_example_with_a_slip_is_a_configuration_or_problems(shared: Device, at: int, cut: int, put: str) -> None:
    text = "\n".join(SETTINGS)
    at %= len(text)

    holds(shared, (text[:at] + put + text[at + cut :]).encode())
