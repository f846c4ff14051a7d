from __future__ import annotations

from pathlib import Path

import pytest

from config.device import MQTT, SMALLEST, THING, Device

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["thirty_mistakes", "registration_mistakes", "usage_mistakes"])
def test_every_mistake_is_a_problem_on_its_line(device: Device, name: str) -> None:
    device.write("group-readable.pem", "PEM", mode=0o640)
    expected = (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()

    problems = device.problems((HERE / f"{name}.toml").read_bytes())

    assert problems == expected


def test_a_file_of_thirty_mistakes_has_thirty_problems() -> None:
    expected = (HERE / "thirty_mistakes.txt").read_text(encoding="utf-8").splitlines()

    assert len(expected) == 30


def test_an_unknown_key_names_the_nearest_known_one(device: Device) -> None:
    problems = device.problems(SMALLEST + "[outbox]\nmaximum_byte = 1\n")

    assert problems == ["thingmeter.toml:10: [outbox] maximum_byte = 1: unknown key; did you mean maximum_bytes?"]


def test_an_unknown_key_near_to_none_lists_what_is_known(device: Device) -> None:
    problems = device.problems(THING + "zzz = 1\n")

    assert problems == ["thingmeter.toml:3: [thing] zzz = 1: unknown key; known here: name"]


def test_an_unknown_table_is_one_problem_whatever_is_in_it(device: Device) -> None:
    problems = device.problems(THING + "[statsd]\nsocket = 3\nmode = 4\n")

    (problem,) = problems
    assert problem == (
        "thingmeter.toml:3: [statsd]: unknown table; known here: "
        "thing, mqtt, aws, clock, registration, defender, devrev, topic, outbox, collectors"
    )


def test_a_missing_key_is_a_problem_of_its_table_header(device: Device) -> None:
    problems = device.problems(THING + MQTT.replace('host = "broker.example.com"\n', ""))

    assert problems == [
        "thingmeter.toml:3: [mqtt]: host is missing: a host name or an IP address, without scheme and port"
    ]


def test_a_missing_table_is_a_problem_of_the_table_around_it(device: Device) -> None:
    problems = device.problems(THING + '[mqtt]\nhost = "broker"\n')

    (problem,) = problems
    assert problem == (
        "thingmeter.toml:3: [mqtt]: the table [mqtt.tls] is missing; "
        "it needs ca_file, certificate_file and private_key_file"
    )


def test_a_value_where_a_table_belongs_is_one_problem(device: Device) -> None:
    problems = device.problems("mqtt = 3\n" + THING)

    assert problems == ["thingmeter.toml:1: mqtt = 3: is an integer, must be a table: [mqtt]"]


def test_a_table_where_an_array_of_tables_belongs_is_shown_how_to_be_one(device: Device) -> None:
    problems = device.problems(SMALLEST + '[defender]\n[defender.custom_metric]\nname = "x"\n')

    (problem,) = problems
    assert problem == (
        "thingmeter.toml:10: [defender.custom_metric]: is a table, "
        "must be an array of tables: [[defender.custom_metric]]"
    )


def test_a_long_value_is_cut(device: Device) -> None:
    (problem,) = device.problems(THING + f'key = "{"x" * 5000}"\n')

    assert len(problem) < 200


def test_control_characters_in_a_value_are_escaped(device: Device) -> None:
    (problem,) = device.problems('[thing]\nname = "a\\u001b[31m\\nb"\n')

    assert problem.startswith('thingmeter.toml:2: [thing] name = "a\\u001b[31m\\nb": holds a control character')


def test_control_characters_in_a_key_are_escaped(device: Device) -> None:
    (problem,) = device.problems(THING + '"a\\u001b\\n" = 1\n')

    assert '"a\\u001b\\n" = 1' in problem


def test_a_password_is_never_shown(device: Device) -> None:
    problems = device.problems(
        THING + 'password = "hunter2"\nlogin = { api_key = "hunter2", url = "x://u:hunter2@h" }\n'
    )

    assert "hunter2" not in "".join(problems)


def test_what_a_secretly_named_variable_holds_is_never_shown(device: Device) -> None:
    problems = device.problems('[thing]\nname = "${BROKER_PASSWORD}"\n', BROKER_PASSWORD="hunter 2")

    assert "hunter" not in "".join(problems)


def test_a_pasted_private_key_is_never_shown(device: Device) -> None:
    pasted = '"""-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----"""'

    problems = device.problems(SMALLEST.replace('"private-key.pem"', pasted))

    assert "MIIEvQ" not in "".join(problems)


def test_a_huge_integer_is_a_problem_and_nothing_worse(device: Device) -> None:
    (problem,) = device.problems(THING + f"[outbox]\nmaximum_bytes = 0x{'f' * 9000}\n")

    assert problem.startswith("thingmeter.toml:4: [outbox] maximum_bytes = 0xfff")


def test_numbers_that_are_none_are_refused(device: Device) -> None:
    problems = device.problems(THING + "[collectors.cpu]\ninterval_s = nan\ntimeout_s = inf\n")

    assert [problem.partition(":")[2][:1] for problem in problems] == ["4", "5"]


def test_a_boolean_is_no_number(device: Device) -> None:
    (problem,) = device.problems(THING + "[collectors.cpu]\ninterval_s = true\n")

    assert problem.endswith("is a boolean, must be a number from 1 to 86400 (seconds)")


def test_problems_come_in_the_order_of_files_and_lines(device: Device) -> None:
    device.write("conf.d/20.toml", "b = 1\na = 1\n")
    device.write("conf.d/10.toml", "d = 1\nc = 1\n")

    problems = device.problems(THING + "z = 1\ny = 1\n")

    places = [problem.partition(": ")[0] for problem in problems]
    assert places == [
        "thingmeter.toml:3",
        "thingmeter.toml:4",
        "conf.d/10.toml:1",
        "conf.d/10.toml:2",
        "conf.d/20.toml:1",
        "conf.d/20.toml:2",
    ]


def test_a_problem_found_later_stands_where_the_option_does(device: Device) -> None:
    config = device.load(THING + "[collectors.pump]\ngpio = 99\n")

    problem = config.problem("collectors.pump", "gpio", "must be from 1 to 27")

    assert str(problem) == f"{device.file}:4: [collectors.pump] gpio = 99: must be from 1 to 27"


def test_a_problem_with_an_option_that_is_not_given_stands_at_its_table(device: Device) -> None:
    config = device.load(THING + "[collectors.pump]\n")

    problem = config.problem("collectors.pump", "gpio", "is missing")

    assert str(problem) == f"{device.file}:3: [collectors.pump] gpio: is missing"


def test_a_problem_found_later_may_be_in_an_array_of_tables(device: Device) -> None:
    metric = '[[defender.custom_metric]]\nname = "{}"\ntype = "number"\nfrom = "cpu.none"\n'
    config = device.load(SMALLEST + "[defender]\n" + metric.format("a") + metric.format("b"))

    problem = config.problem("defender.custom_metric.1", "from", "no such metric")

    assert str(problem) == f'{device.file}:17: [[defender.custom_metric]] from = "cpu.none": no such metric'
