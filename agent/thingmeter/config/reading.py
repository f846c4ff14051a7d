"""From a TOML tree to settings structs, one field at a time, so that every mistake is found and not only the first.

A field that is missing or wrong is reported and then stands at its default (or empty), so that the checks after it have
a whole struct to look at; ``sound()`` tells them which of its fields are really the user's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from thingmeter.config.credential import file_fault
from thingmeter.config.fields import Field, Kind, extra, fields_of
from thingmeter.config.places import KeyPath, Places
from thingmeter.config.wording import kind_of, listed, looks_like_token, nearest, show, show_key
from thingmeter.errors import Problem

MAXIMUM_HINTS = 200  # near matches looked for; a file with more unknown keys is no configuration

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MISFIT: Any = object()

AnyStruct = TypeVar("AnyStruct", bound=Struct)


class Reading:
    """One pass over a document: what is read out of it, and what is wrong with it."""

    def __init__(self, places: Places, environment: Mapping[str, str], files_elsewhere: Collection[str] = ()) -> None:
        self.places = places
        self.environment = environment
        self._files_elsewhere = frozenset(files_elsewhere)
        self.problems: list[Problem] = []
        self._bad: set[KeyPath] = set()
        self._around_bad: set[KeyPath] = set()
        self._hints_left = MAXIMUM_HINTS

    def report(self, path: KeyPath, message: str, *, at: KeyPath | None = None) -> None:
        """Add the problem ``message`` with ``path``, unless it or a table around it has one already.

        Args:
            path: what is unsound from now on.
            message: what is wrong and what is allowed.
            at: what to write it up at, where that is not ``path``: the table that lacks a key.
        """
        if self._is_refused(path):
            return
        self._bad.add(path)
        self._around_bad.update(path[:length] for length in range(len(path)))
        self.problems.append(self.places.problem(path if at is None else at, message))

    def check(self, path: KeyPath, fault: str | None) -> None:
        """Add the problem ``fault`` with ``path``, unless it is None or another was found at, below or around it."""
        if fault is not None and self.sound(path):
            self.report(path, fault)

    def sound(self, *paths: KeyPath) -> bool:
        """Tell whether no problem was found at, below or around any of ``paths``."""
        return not any(path in self._around_bad or self._is_refused(path) for path in paths)

    def given(self, path: KeyPath) -> bool:
        """Tell whether a file gives ``path``."""
        return path in self.places.lines

    def resolve(self, path: KeyPath, value: str) -> Path:
        """Return the file named ``value``, seen from the folder of the file in which ``path`` stands; absolute."""
        return (Path(self.places.place(path).file).parent / value).absolute()

    def file(self, path: KeyPath, value: str, *, private: bool = False) -> str:
        """Return the absolute path of the file that ``value`` names, checked; nothing where it is empty.

        Args:
            path: of the setting.
            value: its value.
            private: whether nobody but the owner may have any right to the file.

        In a table whose files are elsewhere nothing is checked.
        """
        if not value or not self.sound(path):
            return value
        file = self.resolve(path, value)
        if path[0] in self._files_elsewhere:
            return str(file)
        directory = self.environment.get("CREDENTIALS_DIRECTORY", "")
        fault = file_fault(file, private=private, credentials_directory=directory)
        if "-----BEGIN" in value or (fault and looks_like_token(value)):
            fault = "must be the path of a file, not its content"
        self.check(path, fault)
        return str(file)

    def table(self, path: KeyPath) -> dict[str, Any] | None:
        """Return the table at ``path``, None where there is none; anything else there is a problem."""
        value = self.places.value(path)
        if value is None or isinstance(value, dict):
            return value
        self.report(path, f"is {kind_of(value)}, must be a table: [{_dotted(path)}]")
        return None

    def struct(self, kind: type[AnyStruct], path: KeyPath, *, besides: Mapping[str, Any] | None = None) -> AnyStruct:
        """Return the table at ``path`` as ``kind``.

        Args:
            kind: the struct to make.
            path: of the table; where there is none, the fields that need no value get their defaults.
            besides: fields that are no settings, by their Python names; with them the table may hold unknown keys.
        """
        raw = self.table(path) or {}
        fields = [field for field in fields_of(kind) if field.name not in (besides or {})]
        if besides is None:
            self.unknown_keys(raw, [field.key for field in fields], path)
        values = {field.name: self._field(field, raw, path) for field in fields}
        return kind(**values, **(besides or {}))

    def unknown_keys(self, raw: Mapping[str, Any], known: list[str], path: KeyPath) -> None:
        """Report each key of ``raw`` that is not ``known``, with the nearest one that is."""
        for key in raw:
            if key not in known:
                noun = "table" if isinstance(raw[key], dict) else "key"
                self.report((*path, key), f"unknown {noun}; {self._hint(key, known)}")

    def _is_refused(self, path: KeyPath) -> bool:
        """Tell whether a problem was found at or around ``path``."""
        return any(path[:length] in self._bad for length in range(1, len(path) + 1))

    def _hint(self, key: str, known: list[str]) -> str:
        self._hints_left -= 1
        near = nearest(key, known) if self._hints_left >= 0 else None
        return f"did you mean {near}?" if near else f"known here: {', '.join(known)}"

    def _field(self, field: Field, raw: Mapping[str, Any], table: KeyPath) -> Any:
        path = (*table, field.key)
        item = field.kind.item
        if field.kind.is_table:
            return self._nested(field, raw, path)
        if field.key not in raw:
            if field.is_required:
                self.report(path, f"{field.key} is missing: {field.allowed}", at=table)
            return field.stand_in
        if item is not None and item.is_table:
            return self._array_of_tables(field, item, raw[field.key], path)
        value = self._value(raw[field.key], field.kind, path, field.unit)
        return field.stand_in if value is _MISFIT else value

    def _nested(self, field: Field, raw: Mapping[str, Any], path: KeyPath) -> Struct:
        struct: type[Struct] = field.kind.base
        value = raw.get(field.key)
        if isinstance(value, dict):
            return self.struct(struct, path)
        said, name = extra(field.kind.meta, "allowed"), _dotted(path)
        if field.key in raw:
            self.report(path, f"is {kind_of(value)}, must be {said or f'a table: [{name}]'}")
        else:
            keys = listed((inner.key for inner in fields_of(struct)), last="and")
            missing = f"{field.key} is missing: {said}" if said else f"the table [{name}] is missing; it needs {keys}"
            self.report(path, missing, at=path[:-1])
        return struct(**{inner.name: inner.stand_in for inner in fields_of(struct)})

    def _array_of_tables(self, field: Field, item: Kind, value: Any, path: KeyPath) -> tuple[Struct, ...]:
        name = ".".join(map(str, path))
        if not isinstance(value, list):
            self.report(path, f"is {kind_of(value)}, must be an array of tables: [[{name}]]")
            return ()
        limit = field.kind.meta.max_length
        if limit is not None and len(value) > limit:
            quota = extra(field.kind.meta, "quota")
            allowed = f"at most {limit} are allowed" + (f" ({quota})" if quota else "")
            self.report((*path, limit), f"{len(value)} of them, {allowed}")
        structs = []
        for index, entry in enumerate(value[:limit]):
            if isinstance(entry, dict):
                structs.append(self.struct(item.base, (*path, index)))
            else:
                self.report((*path, index), f"is {kind_of(entry)}, must be a table: [[{name}]]")
        return tuple(structs)

    def _value(self, value: Any, kind: Kind, path: KeyPath, unit: str = "") -> Any:
        """Return ``value`` as ``kind``, or ``_MISFIT`` after a report."""
        if self._is_refused(path):
            return _MISFIT  # a variable in it could not be replaced
        allowed = kind.allowed(unit)
        if not kind.is_given(value):
            self.report(path, f"is {kind_of(value)}, must be {allowed}")
        elif kind.item is not None:
            return self._items(value, kind, path)
        elif isinstance(value, str) and _CONTROL.search(value):
            self.report(path, f"holds a control character, must be {allowed}")
        elif kind.choices and value not in kind.choices:
            near = nearest(value, kind.choices)
            self.report(path, f"must be {allowed}" + (f"; did you mean {show(near)}?" if near else ""))
        else:
            try:
                return msgspec.convert(value, kind.annotation)
            except msgspec.ValidationError:
                self.report(path, f"must be {allowed}")
        return _MISFIT

    def _items(self, value: Any, kind: Kind, path: KeyPath) -> Any:
        """Return an array as a tuple, or a table of strings as a dict, each item checked on its own line."""
        assert kind.item is not None  # noqa: S101 - told by the caller
        least, most = kind.meta.min_length or 0, kind.meta.max_length
        if len(value) < least or (most is not None and len(value) > most):
            self.report(path, f"{len(value)} of them, must be {kind.allowed()}")
            return _MISFIT
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
        if isinstance(value, dict):
            for key in value:
                self._key(key, kind, (*path, key))
        read = {key: self._value(entry, kind.item, (*path, key)) for key, entry in pairs}
        if kind.item.choices:
            for index, entry in enumerate(value):
                if entry in value[:index]:
                    self.report((*path, index), "stands twice in the array")
        if not self.sound(path):
            return _MISFIT
        return read if isinstance(value, dict) else tuple(read.values())

    def _key(self, key: str, kind: Kind, path: KeyPath) -> None:
        """Check one key of a table of strings."""
        try:
            msgspec.convert(key, kind.key_annotation)
        except msgspec.ValidationError:
            self.report(path, f"the key {show_key(key)} is not allowed here: {kind.allowed()}")


def _dotted(path: KeyPath) -> str:
    """Return the name of the table at ``path``, as its header has it."""
    return ".".join(part for part in path if isinstance(part, str))
