"""What the members of a request must look like, as checks that can be put together. Pure.

A check yields what is wrong with a value, nothing when it is right; ``path`` names the value's place in the request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from thingmeter.sandbox.defender.tree import Node, show
from thingmeter.sandbox.devrev.refusals import Flaw, FlawType

Check: TypeAlias = Callable[[Node, str], Iterator[Flaw]]
JsonType: TypeAlias = Literal["array", "bool", "null", "number", "object", "string"]

PLAIN_KEY = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Text:
    """A string of ``minimum`` to ``maximum`` characters; ``pattern`` goes with ``words``, which say what it allows."""

    minimum: int = 1
    maximum: int | None = None
    pattern: re.Pattern[str] | None = None
    words: str = ""
    flaw: FlawType = "invalid_field"

    def __call__(self, node: Node, path: str) -> Iterator[Flaw]:
        """Yield what is wrong with the string at ``path``."""
        if not isinstance(node, str):
            yield unexpected(node, "string", path)
        elif not _is_unicode(node):
            yield Flaw("parse_error", path, "half of a surrogate pair is no character")
        elif len(node) < self.minimum:
            yield Flaw(self.flaw, path, "must not be empty")
        elif self.maximum is not None and len(node) > self.maximum:
            yield Flaw(self.flaw, path, f"{len(node)} characters, more than {self.maximum}")
        elif self.pattern is not None and not self.pattern.fullmatch(node):
            yield Flaw(self.flaw, path, f"{show(node)} is not {self.words}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed list of strings."""

    allowed: tuple[str, ...]

    def __call__(self, node: Node, path: str) -> Iterator[Flaw]:
        """Yield what is wrong with the choice at ``path``."""
        if not isinstance(node, str):
            yield unexpected(node, "string", path)
        elif node not in self.allowed:
            words = f"{show(node)} is not one of {', '.join(self.allowed)}"
            yield Flaw("invalid_enum_value", path, words, {"allowed_values": list(self.allowed), "value": node})


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; ``unique`` returns what two elements must not share, None where an element has nothing of the kind."""

    element: Check
    minimum: int = 0
    maximum: int | None = None
    unique: Callable[[Node], Hashable] | None = None

    def __call__(self, node: Node, path: str) -> Iterator[Flaw]:
        """Yield what is wrong with the list at ``path``."""
        if not isinstance(node, list):
            yield unexpected(node, "array", path)
            return
        if len(node) < self.minimum:
            yield Flaw("invalid_field", path, f"at least {self.minimum} must be there")
        if self.maximum is not None and len(node) > self.maximum:
            yield Flaw("invalid_field", path, f"{len(node)} of them, more than {self.maximum}")
        seen: set[Hashable] = set()
        for index, each in enumerate(node):
            here = f"{path}[{index}]"
            yield from self.element(each, here)
            shared = None if self.unique is None else self.unique(each)
            if shared is not None and shared in seen:
                yield Flaw("invalid_field", here, f"{show(str(shared))} is there already, when case is ignored")
            seen.add(shared)


@dataclass(frozen=True, slots=True)
class Members:
    """An object with these members and no others; ``fixed`` says of some of those others why they cannot be sent."""

    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, node: Node, path: str) -> Iterator[Flaw]:
        """Yield what is wrong with the object at ``path``."""
        if not isinstance(node, dict):
            yield unexpected(node, "object", path)
            return
        known = {**self.required, **self.optional}
        for key, value in node.items():
            here = _below(path, key)
            if key in known:
                yield from known[key](value, here)
            elif key in self.fixed:
                yield Flaw("value_not_permitted", here, self.fixed[key], {"reason": self.fixed[key]})
            else:
                yield Flaw("bad_request", here, f"not one of {', '.join(known)}")
        for key in self.required:
            if key not in node:
                yield Flaw("missing_required_field", _below(path, key), "is missing")


def check_number(node: Node, path: str) -> Iterator[Flaw]:
    """A number that a double can hold."""
    if isinstance(node, bool) or not isinstance(node, int | Decimal):
        yield unexpected(node, "number", path)
    elif not math.isfinite(double(node)):
        yield Flaw("invalid_field", path, f"{show(node)} is more than a double can hold")


def check_boolean(node: Node, path: str) -> Iterator[Flaw]:
    """True or false."""
    if not isinstance(node, bool):
        yield unexpected(node, "bool", path)


def unexpected(node: Node, expected: JsonType, path: str) -> Flaw:
    """Return the flaw of a value of the wrong type."""
    actual = json_type(node)
    return Flaw("unexpected_json_type", path, f"{actual}, not {expected}", {"actual": actual, "expected": expected})


def json_type(node: Node) -> JsonType:
    """Return what JSON calls the type of a value."""
    match node:
        case None:
            return "null"
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "number"


def double(node: int | Decimal) -> float:
    """Return a number as a double; infinite where it is too large for one."""
    try:
        return float(node)
    except OverflowError:
        return math.inf


def lowered(node: Node) -> str | None:
    """Return a string in lower case, None for anything else."""
    return node.lower() if isinstance(node, str) else None


def _below(path: str, key: str) -> str:
    shown = key if PLAIN_KEY.fullmatch(key) else show(key)
    return f"{path}.{shown}" if path else shown


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
