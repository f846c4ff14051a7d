"""Where each setting stands: file and line of every table, key and array item, and how a problem there is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from thingmeter.config.wording import MASK, cut, escape, is_secret, show, show_key
from thingmeter.errors import Problem

KeyPath: TypeAlias = tuple[str | int, ...]
"""From the root of the configuration: ``("defender", "custom_metric", 0, "name")``; integers count array items."""


class Place(NamedTuple):
    """A line of a file, counted from 1; ``file`` is spelled as the user spelled it. Line 0 is the file as a whole."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Places:
    """What was read, and from where.

    Attributes:
        main: the main file, for what stands nowhere.
        document: the merged TOML tree, variables replaced.
        lines: the place of every table, key and array item in it.
        environment: the variables that a value was made from, for the values that were.
    """

    main: str = "(no file)"
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    lines: Mapping[KeyPath, Place] = field(default_factory=dict, repr=False)
    environment: Mapping[KeyPath, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def place(self, path: KeyPath) -> Place:
        """Return where ``path`` stands, or else the nearest table around it, or else the main file."""
        for length in range(len(path), 0, -1):
            place = self.lines.get(path[:length])
            if place is not None:
                return place
        return Place(self.main, 0)

    def path(self, table: str, key: str = "") -> KeyPath:
        """Return the path of ``key`` in ``table``, whose name is dotted; a number in it counts an array's items."""
        path: KeyPath = ()
        for part in table.split(".") if table else ():
            is_item = part.isdigit() and isinstance(self.value(path), list)
            path += (int(part) if is_item else part,)
        return (*path, key) if key else path

    def value(self, path: KeyPath) -> Any:
        """Return the value at ``path``, None where nothing is."""
        value: Any = self.document
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def origin(self, path: KeyPath) -> str:
        """Return where the value at ``path`` comes from: a file and line, variables of the environment, or neither."""
        names = ", ".join(self.environment.get(path, ()))
        place = self.lines.get(path)
        if place is None:
            return f"environment {names}" if names else "default"
        written = f"{escape(place.file)}:{place.line}"
        return f"{written}, environment {names}" if names else written

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return the problem ``message`` with what stands at ``path``."""
        place = self.place(path)
        return Problem(escape(place.file), place.line, self.setting(path), message)

    def shown(self, path: KeyPath) -> str:
        """Return the value at ``path`` for people: as TOML, cut, secrets masked."""
        names = [part for part in path if isinstance(part, str)]
        if any(map(is_secret, (*names[-1:], *self.environment.get(path, ())))):
            return MASK
        return show(self.value(path), key=names[-1] if names else "")

    def setting(self, path: KeyPath) -> str:
        """Return ``path`` as people read it: ``[table] key = value``, ``[table]``, ``[[array]]`` or ``key = value``."""
        if not path:
            return ""
        value = self.value(path)
        if isinstance(value, dict):
            return self._header(path)
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            return f"[[{_dotted(path)}]]"
        split = next((n for n in range(len(path) - 1, 0, -1) if isinstance(self.value(path[:n]), dict)), 0)
        key = _dotted(path[split:])
        written = f"{key} = {self.shown(path)}" if value is not None else key
        return f"{self._header(path[:split])} {written}" if split else written

    def _header(self, path: KeyPath) -> str:
        name = _dotted(tuple(part for part in path if isinstance(part, str)))
        return f"[[{name}]]" if isinstance(path[-1], int) else f"[{name}]"


def _dotted(path: KeyPath) -> str:
    written = ""
    for part in path:
        written += f"[{part}]" if isinstance(part, int) else f".{show_key(part)}" if written else show_key(part)
    return cut(written)
