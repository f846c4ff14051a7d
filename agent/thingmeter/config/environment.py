"""``${NAME}`` in the strings of a configuration, replaced from the environment.

    ${NAME}            the variable; an error where it is not set
    ${NAME:-default}   the default where it is not set or empty
    ${NAME:?message}   an error with this message where it is not set or empty
    $${                a plain ``${``; any other ``$`` is plain already

Only values are replaced, never keys; what a variable holds is taken as it is, never replaced again and never parsed as
TOML, so a variable cannot smuggle in a setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from thingmeter.config.places import KeyPath
from thingmeter.config.wording import cut, escape

LONGEST_VALUE = 65_536  # characters a string may grow to; 20 variables in one line must not fill the memory

_REFERENCE = re.compile(r"\$(?P<plain>\$)\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<rule>:[-?])(?P<rest>.*))?", re.DOTALL)


class SubstitutionError(ValueError):
    """A reference that is malformed or has no value; the message is for the person who wrote it."""


@dataclass(slots=True)
class Substitution:
    """What replacing the references of a whole tree came to.

    Attributes:
        used: the variables that each value was made from.
        failures: what is wrong, by the path of the string.
    """

    used: dict[KeyPath, tuple[str, ...]] = field(default_factory=dict)
    failures: dict[KeyPath, str] = field(default_factory=dict)


def substitute_tree(values: dict[str, Any], environment: Mapping[str, str]) -> Substitution:
    """Replace the references in every string of ``values``, in place; a string with a failure stays as it was."""
    outcome = Substitution()
    for holder, key, path in _strings(values, ()):
        text = holder[key]
        if "${" not in text:
            continue
        try:
            holder[key], names = substitute(text, environment)
        except SubstitutionError as error:
            outcome.failures[path] = str(error)
        else:
            if names:
                outcome.used[path] = names
    return outcome


def substitute(text: str, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return ``text`` with its references replaced, and the names of the variables asked for.

    Raises:
        SubstitutionError: a reference is malformed, a variable has no value, or the result is too long.
    """
    names: list[str] = []
    parts: list[str] = []
    at = length = 0
    for match in _REFERENCE.finditer(text):
        value = "${" if match["plain"] else _value(match, environment, names)
        parts += (text[at : match.start()], value)
        length += match.start() - at + len(value)
        if length > LONGEST_VALUE:
            raise SubstitutionError(f"longer than {LONGEST_VALUE} characters after its variables are replaced")
        at = match.end()
    return "".join((*parts, text[at:])), tuple(dict.fromkeys(names))


def _value(match: re.Match[str], environment: Mapping[str, str], names: list[str]) -> str:
    if not match["end"]:
        raise SubstitutionError("${ is not closed by }; write $${ for a plain ${")
    inside = _INSIDE.fullmatch(match["inside"])
    if inside is None or "${" in match["inside"]:
        shown = cut(escape(match["inside"]))
        raise SubstitutionError(
            f"${{{shown}}} is none of ${{NAME}}, ${{NAME:-default}} and ${{NAME:?message}}; write $${{ for a plain ${{"
        )
    name, rule, rest = inside["name"], inside["rule"], inside["rest"]
    names.append(name)
    value = environment.get(name)
    if value is not None and not value.isascii() and not _is_utf8(value):
        raise SubstitutionError(f"the environment variable {name} holds bytes that are not UTF-8")
    if rule == ":-":
        return value or rest
    if rule == ":?" and not value:
        raise SubstitutionError(cut(escape(rest)) or f"the environment variable {name} is not set, or is empty")
    if value is None:
        raise SubstitutionError(
            f"the environment variable {name} is not set; set it, or give a default: ${{{name}:-default}}"
        )
    return value


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # Python keeps undecodable bytes of the environment as lone surrogates
        return False
    return True


def _strings(holder: Any, path: KeyPath) -> Iterator[tuple[Any, Any, KeyPath]]:
    entries = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in list(entries):
        if isinstance(value, str):
            yield holder, key, (*path, key)
        elif isinstance(value, dict | list):
            yield from _strings(value, (*path, key))
