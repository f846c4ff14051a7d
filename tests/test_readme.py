"""What the README shows is what is there: the collector, the commands, the tests behind each guarantee."""

import json
import re
from pathlib import Path

import pytest

from thingmeter.cli import parser
from thingmeter.commands import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def between(name: str) -> str:
    return README.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]


def test_the_collector_in_the_readme_is_the_one_that_is_tested() -> None:
    example = (ROOT / "tests/fixtures/example_plugin/pump.py").read_text("utf-8")

    assert between("collector") == f"```python\n{example}```\n"


def test_the_collector_in_the_readme_has_about_thirty_lines() -> None:
    assert len(between("collector").splitlines()) <= 35


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"| `thingmeter {command}` |" in README


def test_the_readme_names_no_option_that_does_not_exist() -> None:
    help_texts = parser().format_help() + "".join(
        action.format_help()
        for group in parser()._subparsers._group_actions  # type: ignore[union-attr]
        for action in group.choices.values()  # type: ignore[union-attr]
    )
    table = README.partition("## Commands")[2].partition("## Guarantees")[0]

    for option in re.findall(r"`(--[a-z-]+)", table):
        assert option in help_texts


def test_every_guarantee_names_tests_that_exist() -> None:
    rows = README.partition("## Guarantees")[2].partition("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", rows)

    assert len(named) >= 10
    for file, test in named:
        text = (ROOT / file).read_text("utf-8")
        assert f"def {test}(" in text if test else "import" in text, f"{file}::{test}"


def test_every_file_that_the_readme_names_is_there() -> None:
    for path in re.findall(r"`((?:agent|config|systemd|tests|requirements)/[\w./-]+)`", README):
        assert (ROOT / path.partition("::")[0]).exists(), path


def test_the_iot_policy_lets_a_thing_do_what_the_agent_does_and_fits_into_the_limit() -> None:
    text = (ROOT / "config/aws/iot-policy.json").read_text("utf-8")

    actions = {statement["Action"] for statement in json.loads(text)["Statement"]}

    assert actions == {
        "iot:Connect",
        "iot:Publish",
        "iot:RetainPublish",
        "iot:Subscribe",
        "iot:Receive",
        "iot:AssumeRoleWithCertificate",
    }
    assert len(json.dumps(json.loads(text))) <= 2048  # without white space that AWS does not count
