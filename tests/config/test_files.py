from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.device import SMALLEST, THING, Device, told_without_privilege
from thingmeter.config import load
from thingmeter.config.files import LARGEST_BYTES
from thingmeter.errors import ConfigError


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(path, environment={})
    return [str(problem) for problem in error.value.problems]


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"

    assert problems_of(path) == [f"{path}: cannot be read: no such file or directory"]


def test_a_directory_is_a_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == [f"{tmp_path}: is a directory; a TOML file is needed"]


def test_a_file_below_a_file_is_a_problem(device: Device) -> None:
    path = device.write("thingmeter.toml", THING) / "x.toml"

    assert problems_of(path) == [f"{path}: cannot be read: not a directory"]


def test_a_fifo_is_a_problem_and_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "fifo.toml"
    os.mkfifo(path)

    assert problems_of(path) == [f"{path}: is no regular file; a TOML file is needed"]


def test_a_path_with_a_nul_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path / "a\0b")

    assert problem.endswith("a\\u0000b: no such file can exist: a NUL byte in its name")


def test_a_file_that_may_not_be_read_is_a_problem(device: Device) -> None:
    path = device.write("thingmeter.toml", THING, mode=0)

    assert told_without_privilege(path) == f"{path}: cannot be read: permission denied\n"


def test_a_huge_file_is_a_problem(device: Device) -> None:
    (problem,) = device.problems(b"#" * (LARGEST_BYTES + 1))

    assert problem == "thingmeter.toml: is larger than 262144 bytes, the most that is read"


def test_bytes_that_are_not_utf8_are_a_problem_of_their_line(device: Device) -> None:
    (problem,) = device.problems(b'[thing]\n# \xc3\xa4\nname = "\xff"\n')

    assert problem == "thingmeter.toml:3: byte 0xff is not UTF-8; TOML files are UTF-8"


def test_a_nul_byte_is_a_problem_of_its_line(device: Device) -> None:
    (problem,) = device.problems(b'[thing]\nname = "\0"\n')

    assert problem.startswith("thingmeter.toml:2: not valid TOML: ")


def test_a_mistake_of_syntax_comes_alone_with_its_line(device: Device) -> None:
    problems = device.problems("[thing]\nnmae = 3\nport =\n")

    assert problems == ["thingmeter.toml:3: not valid TOML: Invalid value (column 7)"]


def test_a_duplicate_key_is_a_problem_of_its_line(device: Device) -> None:
    problems = device.problems('[thing]\nname = "a"\n\nname = "b"\n')

    assert problems == ["thingmeter.toml:4: not valid TOML: this key stands twice (column 11)"]


def test_a_text_that_ends_too_early_is_a_problem_of_the_last_line(device: Device) -> None:
    problems = device.problems('[thing]\nname = "a\n')

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:2"]


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "9" * 20_000, "[" * 20_000, "." * 20_000])
def test_texts_made_to_break_a_parser_are_problems(device: Device, text: str) -> None:
    assert len(device.problems(text)) == 1


def test_lines_may_end_as_on_windows(device: Device) -> None:
    problems = device.problems('\ufeff[thing]\r\nname = "pump-7"\r\nx = 1\r\n')

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:3"]


def test_an_empty_file_is_a_configuration(device: Device) -> None:
    config = device.load("")

    assert config.mqtt is None


def test_drop_ins_are_merged_in_lexical_order(device: Device) -> None:
    device.write("conf.d/20.toml", '[thing]\nname = "c"\n')
    device.write("conf.d/10.toml", '[thing]\nname = "b"\n')

    config = device.load('[thing]\nname = "a"\n')

    assert config.thing.name == "c"


def test_tables_merge_key_by_key(device: Device) -> None:
    device.write("conf.d/10.toml", "[mqtt]\nport = 443\n")

    config = device.load(SMALLEST)

    assert config.mqtt is not None
    assert (config.mqtt.host, config.mqtt.port) == ("broker.example.com", 443)


def test_arrays_of_values_are_replaced(device: Device) -> None:
    device.write("conf.d/10.toml", '[defender]\nblocks = ["network_stats"]\n')

    config = device.load(SMALLEST + '[defender]\nblocks = ["tcp_connections"]\n')

    assert config.defender is not None
    assert config.defender.blocks == ("network_stats",)


def test_arrays_of_tables_are_appended(device: Device) -> None:
    device.write("conf.d/10.toml", '[[defender.custom_metric]]\nname = "b"\ntype = "number"\n')

    config = device.load(SMALLEST + '[defender]\n[[defender.custom_metric]]\nname = "a"\ntype = "number"\n')

    assert config.defender is not None
    assert [metric.name for metric in config.defender.custom_metric] == ["a", "b"]


def test_what_is_appended_keeps_its_own_file_and_line(device: Device) -> None:
    device.write("conf.d/10.toml", '\n[[defender.custom_metric]]\nname = "b"\ntype = "numeric"\n')

    problems = device.problems(SMALLEST + '[defender]\n[[defender.custom_metric]]\nname = "a"\ntype = "number"\n')

    assert [problem.partition(": ")[0] for problem in problems] == ["conf.d/10.toml:4"]


def test_what_is_replaced_leaves_no_place_behind(device: Device) -> None:
    device.write("conf.d/10.toml", 'mqtt = "none"\n')

    problems = device.problems(SMALLEST)

    assert problems == ['conf.d/10.toml:1: mqtt = "none": is a string, must be a table: [mqtt]']


def test_every_file_with_a_mistake_of_syntax_is_named(device: Device) -> None:
    device.write("conf.d/10.toml", "x\n")

    problems = device.problems("\ny\n")

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:2", "conf.d/10.toml:1"]


def test_only_visible_toml_files_are_drop_ins(device: Device) -> None:
    for name in (".10.toml", "10.toml~", "10.toml.bak", "README"):
        device.write(f"conf.d/{name}", "no toml")

    assert device.problems(THING) == []


def test_problems_spell_the_file_as_given(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.write("etc/thingmeter.toml", "x = 1\n" + THING)
    device.write("etc/conf.d/10.toml", "y = 1\n")
    monkeypatch.chdir(device.folder)

    problems = problems_of(Path("etc/thingmeter.toml"))

    assert [problem.partition(": ")[0] for problem in problems] == ["etc/thingmeter.toml:1", "etc/conf.d/10.toml:1"]
