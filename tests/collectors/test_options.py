from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest

from thingmeter.collectors.options import arguments

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # never imported: an annotation that can't be resolved


class Pump:
    def __init__(  # noqa: PLR0913  # one of each kind
        self,
        *,
        gpio: int = 0,
        litres: float = 1.0,
        name: str = "",
        quick: bool = False,
        path: Path = Path(),
        lines: tuple[str, ...] = (),
        sites: list[Path] | None = None,
        scale: Sequence[float] = (),
        labels: Mapping[str, str] | None = None,
        mode: Literal["poll", "edge"] = "poll",
        limit: int | str = 0,
        near: Annotated[int, "metres"] = 0,
        anything: Any = None,
        other: object = None,
    ) -> None: ...


@pytest.mark.parametrize(
    ("option", "value", "argument"),
    [
        ("gpio", 17, 17),
        ("litres", 0.5, 0.5),
        ("litres", 2, 2.0),
        ("name", "north", "north"),
        ("quick", True, True),
        ("path", "/dev/pump", Path("/dev/pump")),
        ("lines", ["a", "b"], ("a", "b")),
        ("sites", ["/a"], [Path("/a")]),
        ("scale", [1, 2.5], (1.0, 2.5)),
        ("labels", {"a": "b"}, {"a": "b"}),
        ("mode", "edge", "edge"),
        ("limit", "none", "none"),
        ("limit", 3, 3),
        ("near", 3, 3),
        ("anything", [1, "a"], [1, "a"]),
        ("other", {"a": 1}, {"a": 1}),
    ],
)
def test_an_option_becomes_the_argument_of_its_name(option: str, value: object, argument: object) -> None:
    given = arguments(Pump, {option: value})

    assert (given.values, given.faults) == ({option: argument}, [])


def test_a_whole_number_for_a_float_becomes_one() -> None:
    given = arguments(Pump, {"litres": 2})

    assert type(given.values["litres"]) is float


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("gpio", "17", "is a string, must be an integer"),
        ("gpio", True, "is a boolean, must be an integer"),
        ("gpio", 1.0, "is a float, must be an integer"),
        ("litres", "1", "is a string, must be a number"),
        ("litres", float("nan"), "is a float, must be a number"),
        ("name", 7, "is an integer, must be a string"),
        ("quick", 1, "is an integer, must be a boolean"),
        ("path", 7, "is an integer, must be a path"),
        ("lines", "a", "is a string, must be an array of strings"),
        ("lines", ["a", 7], "is an array, must be an array of strings"),
        ("sites", [7], "is an array, must be an array of paths"),
        ("labels", {"a": 7}, "is a table, must be a table of strings"),
        ("labels", 7, "is an integer, must be a table of strings"),
        ("mode", "edges", 'must be "poll" or "edge"; did you mean "edge"?'),
        ("mode", 7, 'must be "poll" or "edge"'),
        ("limit", 0.5, "is a float, must be an integer or a string"),
        ("near", "1", "is a string, must be an integer"),
        ("gipo", 17, "unknown key; did you mean gpio?"),
    ],
)
def test_an_option_that_does_not_fit_is_a_fault(option: str, value: object, fault: str) -> None:
    given = arguments(Pump, {option: value})

    assert given.faults == [(option, fault)]


def test_every_fault_is_found() -> None:
    given = arguments(Pump, {"gpio": "x", "litres": "x", "gallons": 1})

    assert [key for key, _ in given.faults] == ["gpio", "litres", "gallons"]


def test_an_unknown_option_far_from_all_shows_them() -> None:
    def factory(*, gpio: int = 0, line: str = "") -> None: ...

    given = arguments(factory, {"zzzzzz": 1})

    assert given.faults == [("zzzzzz", "unknown key; known here: gpio, line")]


def test_a_collector_without_options_says_so() -> None:
    given = arguments(lambda: None, {"gpio": 1})

    assert given.faults == [("gpio", "unknown key; this collector has no options")]


def test_an_option_without_default_must_be_there() -> None:
    def factory(gpio: int, *, line: str) -> None: ...

    given = arguments(factory, {"gpio": 1})

    assert given.faults == [("", "line is missing: a string")]


def test_a_factory_may_take_all_that_comes() -> None:
    def factory(**options: object) -> None: ...

    given = arguments(factory, {"gpio": 1})

    assert given.values == {"gpio": 1}


def test_a_partial_may_be_a_factory() -> None:
    given = arguments(partial(Pump, gpio=3), {"name": "north"})

    assert given.values == {"name": "north"}


def test_an_annotation_that_can_not_be_resolved_lets_the_value_through() -> None:
    def factory(*, gpio: Unknown = None) -> None: ...

    given = arguments(factory, {"gpio": 1})

    assert (given.values, given.faults) == ({"gpio": 1}, [])


def test_what_the_agent_provides_comes_by_the_arguments_name() -> None:
    def factory(*, clock: object, gpio: int = 0) -> None: ...

    given = arguments(factory, {}, {"clock": "a clock", "health": "unasked for"})

    assert given.values == {"clock": "a clock"}


def test_what_the_agent_provides_can_not_come_from_the_configuration() -> None:
    def factory(*, clock: str = "", gpio: int = 0) -> None: ...

    given = arguments(factory, {"clock": "mine"}, {"clock": "a clock"})

    assert given.faults == [("clock", "unknown key; known here: gpio")]


def test_an_object_that_the_agent_does_not_provide_now_is_no_option_either() -> None:
    def factory(*, clock: object = None) -> None: ...

    given = arguments(factory, {"clock": "mine"}, {})

    assert given.faults == [("clock", "unknown key; this collector has no options")]
