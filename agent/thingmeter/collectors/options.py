"""The options of a collector: TOML values against the keyword arguments of what makes it. Pure.

A factory declares its options by its signature alone. What is checked follows from the annotation: ``str``, ``int``,
``float`` (takes whole numbers), ``bool``, ``Path`` (made of a string), ``Literal``, ``X | None``, arrays
(``list``, ``tuple``, ``Sequence``, ``set``) and tables (``dict``, ``Mapping``) of these. A plugin's argument with
another annotation gets the value as TOML has it.
"""

from __future__ import annotations

import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from thingmeter.config.wording import kind_of, listed, nearest, show

_PATHS = (Path, PurePath, os.PathLike)
_ARRAYS = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    Sequence: tuple,
    Collection: tuple,
    Iterable: tuple,
}
_TABLES = (dict, Mapping)
_WORDS = {str: "a string", bool: "a boolean", int: "an integer", float: "a number"}
_BY_KEYWORD = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(slots=True)
class Arguments:
    """What a factory is called with, and what stands in the way: ``faults`` are (key or "", what is wrong)."""

    values: dict[str, object] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)


def arguments(
    factory: Callable[..., object], options: Mapping[str, object], provided: Mapping[str, object] | None = None
) -> Arguments:
    """Return the keyword arguments for ``factory``.

    Args:
        factory: a class or function that makes a collector.
        options: what its TOML table says.
        provided: objects of the agent's own, by the name of the keyword-only argument that gets them; for the built-in
            collectors, whose other arguments must then all be of the kinds that TOML can express. A plugin: None.
    """
    parameters = inspect.signature(factory).parameters
    hints = _hints(factory)
    known = [
        name
        for name, parameter in parameters.items()
        if parameter.kind in _BY_KEYWORD and (provided is None or _is_option(name, hints, provided))
    ]
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    result = Arguments()
    for name, value in options.items():
        if name in known:
            _take(result, name, value, hints.get(name, Any))
        elif takes_all and provided is None:
            result.values[name] = value
        else:
            result.faults.append((name, f"unknown key; {_hint(name, known)}"))
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            result.faults.append(("", f"{name} is missing: {_words(hints.get(name, Any))}"))
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and provided and name in provided:
            result.values[name] = provided[name]
    return result


def _take(result: Arguments, name: str, value: object, annotation: Any) -> None:
    try:
        result.values[name] = _converted(value, annotation)
    except ValueError:
        result.faults.append((name, _misfit(value, annotation)))


def _is_option(name: str, hints: Mapping[str, Any], provided: Mapping[str, object]) -> bool:
    return name not in provided and name in hints and _words(hints[name]) != _words(Any)


def _hint(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    if near:
        return f"did you mean {near}?"
    return f"known here: {', '.join(known)}" if known else "this collector has no options"


def _hints(factory: Callable[..., object]) -> dict[str, Any]:
    """Return the annotations as types; none where one can't be resolved (a name imported for type checkers only)."""
    annotated = factory.__init__ if isinstance(factory, type) else factory  # type: ignore[misc]  # read, never called
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def _converted(value: object, annotation: Any) -> object:
    """Return ``value`` as the annotation wants it, or as it is where the annotation says nothing; else ValueError."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _PATHS:
        return Path(_converted_plain(value, str))
    if annotation in _WORDS:
        return _converted_plain(value, annotation)
    if origin is Annotated:
        return _converted(value, inner[0])
    if origin in {Union, types.UnionType}:
        return _converted_first(value, inner)
    if origin is Literal:
        return _converted_choice(value, inner)
    if (origin or annotation) in _ARRAYS:
        return _ARRAYS[origin or annotation](_converted(item, _item(inner, 0)) for item in _as(list, value))
    if (origin or annotation) in _TABLES:
        return {key: _converted(item, _item(inner, 1)) for key, item in _as(dict, value).items()}
    return value


def _converted_plain(value: object, kind: type) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError
    return value


def _converted_first(value: object, alternatives: tuple[Any, ...]) -> object:
    for alternative in alternatives:
        if alternative is not type(None):
            try:
                return _converted(value, alternative)
            except ValueError:
                continue
    raise ValueError


def _converted_choice(value: object, choices: tuple[Any, ...]) -> object:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return value
    raise ValueError


def _as(kind: type, value: object) -> Any:
    if not isinstance(value, kind):
        raise ValueError  # noqa: TRY004  # one error says "does not fit" here
    return value


def _item(inner: tuple[Any, ...], position: int) -> Any:
    return inner[position] if position < len(inner) else Any


def _misfit(value: object, annotation: Any) -> str:
    allowed = f"must be {_words(annotation)}"
    if get_origin(annotation) is not Literal:
        return f"is {kind_of(value)}, {allowed}"
    near = (
        nearest(value, (choice for choice in get_args(annotation) if isinstance(choice, str)))
        if isinstance(value, str)
        else None
    )
    return f"{allowed}; did you mean {show(near)}?" if near else allowed


def _words(annotation: Any) -> str:
    """Return in words what is allowed: ``an array of strings``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _PATHS:
        return "a path"
    if annotation in _WORDS:
        return _WORDS[annotation]
    if origin is Annotated:
        return _words(inner[0])
    if origin in {Union, types.UnionType}:
        return listed(dict.fromkeys(_words(part) for part in inner if part is not type(None)))
    if origin is Literal:
        return listed(map(show, inner))
    if (origin or annotation) in _ARRAYS:
        return f"an array of {_plural(_item(inner, 0))}"
    if (origin or annotation) in _TABLES:
        return f"a table of {_plural(_item(inner, 1))}"
    return "a value"


def _plural(annotation: Any) -> str:
    words = _words(annotation)
    return (
        f"{words.removeprefix('an ').removeprefix('a ')}s"
        if words.startswith(("a ", "an "))
        else f"values, each {words}"
    )
