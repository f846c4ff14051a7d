from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.device import SMALLEST, THING, Device
from thingmeter.config.environment import LONGEST_VALUE, SubstitutionError, substitute

ENVIRONMENT = {"SITE": "north", "EMPTY": "", "NESTED": "${SITE}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${SITE}", "north"),
        ("a-${SITE}-${SITE}-b", "a-north-north-b"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a b:-c}", "a b:-c"),
        ("${SITE:-x}", "north"),
        ("${SITE:?needed}", "north"),
        ("${NESTED}", "${SITE}"),
        ("$${SITE}", "${SITE}"),
        ("$SITE $$ $", "$SITE $$ $"),
        ("{SITE}", "{SITE}"),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    assert substitute(text, ENVIRONMENT)[0] == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${UNSET}", "the environment variable UNSET is not set; set it, or give a default: ${UNSET:-default}"),
        ("${UNSET:?say where}", "say where"),
        ("${EMPTY:?}", "the environment variable EMPTY is not set, or is empty"),
        ("${SITE", "${ is not closed by }; write $${ for a plain ${"),
        ("${}", "${} is none of"),
        ("${1X}", "${1X} is none of"),
        ("${SITE-x}", "${SITE-x} is none of"),
        ("${A:-${SITE}}", "${A:-${SITE} is none of"),
    ],
)
def test_a_reference_without_a_value_says_what_is_missing(text: str, reason: str) -> None:
    with pytest.raises(SubstitutionError) as error:
        substitute(text, ENVIRONMENT)

    assert str(error.value).startswith(reason)


def test_a_value_that_grows_without_bound_is_refused() -> None:
    with pytest.raises(SubstitutionError):
        substitute("${BIG}" * 3, {"BIG": "x" * (LONGEST_VALUE // 2)})


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(SubstitutionError):
        substitute("${BAD}", {"BAD": "\udcff"})


@settings(deadline=None)
@given(st.text(alphabet="${}:-?AB_ x", max_size=30))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        replaced, _ = substitute(text, {"A": "a"})
    except SubstitutionError:
        return
    assert isinstance(replaced, str)


def test_strings_are_replaced_in_arrays_and_inline_tables(device: Device) -> None:
    config = device.load(THING + '[collectors.x]\na = ["${SITE}"]\nb = { c = "${SITE}" }\n', SITE="north")

    assert config.collectors[0].options == {"a": ["north"], "b": {"c": "north"}}


def test_keys_are_not_replaced(device: Device) -> None:
    config = device.load(THING + '[collectors.x]\n"${SITE}" = 1\n')

    assert config.collectors[0].options == {"${SITE}": 1}


def test_a_variable_cannot_bring_a_setting_with_it(device: Device) -> None:
    problems = device.problems('[thing]\nname = "${NAME}"\n', NAME='x"\n[mqtt]\nport = 1 #')

    assert len(problems) == 1


def test_a_number_from_the_environment_stays_a_string(device: Device) -> None:
    problems = device.problems(SMALLEST.replace("[mqtt]", '[mqtt]\nport = "${PORT}"'), PORT="8883")

    assert problems == ['thingmeter.toml:4: [mqtt] port = "8883": is a string, must be an integer from 1 to 65535']
