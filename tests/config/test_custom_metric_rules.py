from __future__ import annotations

import pytest

from config.device import SMALLEST, Device

DEFENDER = SMALLEST + "[defender]\n"


def custom_metric(name: str, *lines: str) -> str:
    return "\n".join(("[[defender.custom_metric]]", f'name = "{name}"', *(lines or ('type = "number"',)), ""))


def test_a_custom_metric_named_twice_is_refused_at_the_second(device: Device) -> None:
    (problem,) = device.problems(DEFENDER + custom_metric("x") + custom_metric("x"))

    assert problem == (
        'thingmeter.toml:14: [[defender.custom_metric]] name = "x": stands twice; the first is at thingmeter.toml:11'
    )


def test_a_hundred_custom_metrics_are_allowed(device: Device) -> None:
    assert device.problems(DEFENDER + "".join(custom_metric(f"m{n}") for n in range(100))) == []


def test_too_many_custom_metrics_do_not_hide_what_else_is_wrong(device: Device) -> None:
    problems = device.problems(DEFENDER + custom_metric("a b") + "".join(custom_metric(f"m{n}") for n in range(100)))

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:11", "thingmeter.toml:310"]


def test_the_hundred_and_first_custom_metric_is_refused(device: Device) -> None:
    (problem,) = device.problems(DEFENDER + "".join(custom_metric(f"m{n}") for n in range(101)))

    assert problem == (
        "thingmeter.toml:310: [[defender.custom_metric]]: "
        "101 of them, at most 100 are allowed (the quota of an AWS account)"
    )


@pytest.mark.parametrize(
    ("kind", "aggregate"),
    [("number", "values"), ("number", "distinct"), ("number-list", "last"), ("string-list", "values"), ("number", "")],
)
def test_an_aggregate_that_the_type_lacks_is_refused(device: Device, kind: str, aggregate: str) -> None:
    problems = device.problems(DEFENDER + custom_metric("x", f'type = "{kind}"', f'aggregate = "{aggregate}"'))

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:13"]


@pytest.mark.parametrize(
    "line",
    [
        'from = "cpu"',
        'from = "cpu.usage.percent"',
        'from = "CPU.usage"',
        'from = ""',
        'display_name = ""',
        'display_name = "Zähler"',
        f'display_name = "{"x" * 129}"',
        'where = { "" = "x" }',
        'where = { a = "" }',
        "where = { a = 1 }",
        'where = "a"',
        'tags = { "aws:x" = "y" }',
        f'tags = {{ {"k" * 129} = "y" }}',
        f'tags = {{ k = "{"v" * 257}" }}',
        'tags = [{ Key = "a", Value = "b" }]',
    ],
)
def test_a_custom_metric_that_the_service_would_not_take_is_refused(device: Device, line: str) -> None:
    problems = device.problems(DEFENDER + custom_metric("x", 'type = "number"', line))

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:13"]


@pytest.mark.parametrize("name", ["aws:x", "a b", "a.b", "ä", "", "x" * 129, "a\\n"])
def test_a_name_that_cannot_be_registered_is_refused(device: Device, name: str) -> None:
    problems = device.problems(DEFENDER + custom_metric(name))

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:11"]


def test_a_custom_metric_that_differs_only_in_case_is_refused(device: Device) -> None:
    (problem,) = device.problems(DEFENDER + custom_metric("CPU") + custom_metric("cpu"))

    assert problem == (
        'thingmeter.toml:14: [[defender.custom_metric]] name = "cpu": '
        'differs only in case from "CPU" at thingmeter.toml:11, must differ in more than case'
    )


@pytest.mark.parametrize("key", ["aws:x", "AWS:x", "Aws:", "aWs:team"])
def test_a_tag_that_aws_keeps_to_itself_is_refused_in_any_case(device: Device, key: str) -> None:
    (problem,) = device.problems(DEFENDER + custom_metric("x", 'type = "number"', f'tags = {{ "{key}" = "y" }}'))

    assert f'the key "{key}" is not allowed here' in problem


@pytest.mark.parametrize("sign", ["!", "*", "#", "%", "\u0301", "😀"])
def test_a_tag_whose_key_has_a_sign_that_aws_takes_in_none_is_refused(device: Device, sign: str) -> None:
    (problem,) = device.problems(DEFENDER + custom_metric("x", 'type = "number"', f'tags = {{ "a{sign}b" = "y" }}'))

    assert "AWS takes letters, digits, spaces and _ . : / = + - @ alone" in problem


@pytest.mark.parametrize("key", ["awsx", "x-aws:", "aw", " aws:", "k" * 128])
def test_a_tag_that_only_resembles_those_of_aws_is_taken(device: Device, key: str) -> None:
    assert device.problems(DEFENDER + custom_metric("x", 'type = "number"', f'tags = {{ "{key}" = "" }}')) == []


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ('tags = { "aws:x" = "y" }', "keys of 1 to 128 characters not beginning with aws:"),
        (f'tags = {{ k = "{"v" * 257}" }}', "must be a string of at most 256 characters"),
        ("tags = { " + ", ".join(f"k{n} = ''" for n in range(51)) + " }", "at most 50 strings (the limit of AWS)"),
        (f'display_name = "{"x" * 129}"', "must be 1 to 128 printable ASCII characters"),
    ],
)
def test_a_limit_of_aws_is_named(device: Device, line: str, limit: str) -> None:
    (problem,) = device.problems(DEFENDER + custom_metric("x", 'type = "number"', line))

    assert limit in problem


def test_a_name_longer_than_the_limit_of_aws_is_told_the_limit(device: Device) -> None:
    (problem,) = device.problems(DEFENDER + custom_metric("x" * 129))

    assert "must be 1 to 128 of the characters" in problem


def test_fifty_tags_are_allowed(device: Device) -> None:
    tags = ", ".join(f'k{n} = "{"v" * 256}"' for n in range(50))

    assert device.problems(DEFENDER + custom_metric("x", 'type = "number"', f"tags = {{ {tags} }}")) == []
