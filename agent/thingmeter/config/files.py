"""The files of a configuration: found, read, parsed and merged. Every way in which that fails is a ConfigError."""

from __future__ import annotations

import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from thingmeter.config.lines import TooDeepError, find_lines
from thingmeter.config.places import KeyPath, Place
from thingmeter.config.wording import escape
from thingmeter.errors import ConfigError, Problem

LARGEST_BYTES = 262_144  # of one file; a hundred custom metrics with tags are a tenth of it
DROP_IN_FOLDER = "conf.d"

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PLAINER = {
    "Cannot overwrite a value": "this key stands twice",
    "Cannot mutate immutable namespace": "this table is complete already and cannot be extended",
}


@dataclass(slots=True)
class Document:
    """A TOML tree and where everything in it stands; ``files`` are those it was merged from, in order."""

    files: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, Place] = field(default_factory=dict)

    def merge(self, other: Document) -> None:
        """Lay ``other`` over this: tables merge, arrays of tables append, everything else is replaced."""
        replaced: set[KeyPath] = set()
        shifts: dict[KeyPath, int] = {}
        _merge_values(self.values, other.values, (), replaced, shifts)
        if replaced:
            self.lines = {path: place for path, place in self.lines.items() if not _is_within(path, replaced)}
        for path, place in other.lines.items():
            self.lines.setdefault(_shifted(path, shifts), place)
        self.files += other.files


def _merge_values(
    mine: dict[str, Any], theirs: dict[str, Any], table: KeyPath, replaced: set[KeyPath], shifts: dict[KeyPath, int]
) -> None:
    """Merge the values; note which paths were ``replaced``, and by how much the items of an array moved."""
    for key, value in theirs.items():
        path = (*table, key)
        present = mine.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge_values(present, value, path, replaced, shifts)
        elif _is_array_of_tables(present) and _is_array_of_tables(value):
            shifts[path] = len(present)
            present.extend(value)
        else:
            if key in mine:
                replaced.add(path)
            mine[key] = value


def _shifted(path: KeyPath, shifts: dict[KeyPath, int]) -> KeyPath:
    for depth in range(1, len(path)):
        index = path[depth]
        if isinstance(index, int) and path[:depth] in shifts:
            return (*path[:depth], index + shifts[path[:depth]], *path[depth + 1 :])
    return path


def _is_within(path: KeyPath, tables: set[KeyPath]) -> bool:
    return any(path[:length] in tables for length in range(1, len(path) + 1))


def read_documents(path: Path) -> Document:
    """Read ``path`` and the ``conf.d/*.toml`` beside it, in lexical order, as one document.

    Raises:
        ConfigError: files that cannot be read, are no UTF-8 or no TOML; every such file, one problem each.
    """
    document = Document()
    problems: list[Problem] = []
    for name in (path, *_drop_ins(path, problems)):
        try:
            document.merge(_read(name))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(tuple(problems))
    return document


def _drop_ins(path: Path, problems: list[Problem]) -> list[Path]:
    folder = path.parent / DROP_IN_FOLDER
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    except OSError as error:
        problems.append(Problem(escape(str(folder)), 0, "", _reason(error)))
        return []
    return [folder / name for name in names if name.endswith(".toml") and not name.startswith(".")]


def _read(path: Path) -> Document:
    file = str(path)
    text = _decode(file, _bytes_of(path))
    try:
        values = tomllib.loads(text)
        lines = find_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise _failure(file, *_syntax_error(text, str(error))) from error
    except TooDeepError as error:
        raise _failure(file, error.line, str(error)) from error
    except RecursionError as error:
        raise _failure(file, 0, "nested too deeply") from error
    except ValueError as error:  # what tomllib does not turn into its own: a number of thousands of digits
        raise _failure(file, 0, f"not valid TOML: {escape(str(error))}") from error
    return Document([file], values, {key: Place(file, line) for key, line in lines.items()})


def _bytes_of(path: Path) -> bytes:
    file = str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _failure(file, 0, "is a directory; a TOML file is needed")
        if not stat.S_ISREG(mode):
            raise _failure(file, 0, "is no regular file; a TOML file is needed")
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise _failure(file, 0, _reason(error)) from error
    except ValueError as error:  # a NUL in the path
        raise _failure(file, 0, "no such file can exist: a NUL byte in its name") from error
    if len(content) > LARGEST_BYTES:
        raise _failure(file, 0, f"is larger than {LARGEST_BYTES} bytes, the most that is read")
    return content


def _decode(file: str, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")  # editors on Windows put a byte order mark first
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _failure(file, line, f"byte 0x{content[error.start]:02x} is not UTF-8; TOML files are UTF-8") from error
    return text.replace("\r\n", "\n")


def _syntax_error(text: str, message: str) -> tuple[int, str]:
    """Return line and wording of a TOML syntax error; tomllib says both in one sentence."""
    match = _POSITION.search(message)
    if match is None:
        return 0, f"not valid TOML: {escape(message)}"
    reason = message[: match.start()]
    reason = escape(_PLAINER.get(reason, reason))
    if match[1] is None:
        return max(1, len(text.splitlines())), f"not valid TOML: {reason}, at the end of the file"
    return int(match[1]), f"not valid TOML: {reason} (column {match[2]})"


def _failure(file: str, line: int, message: str) -> ConfigError:
    return ConfigError((Problem(escape(file), line, "", message),))


def _reason(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _is_array_of_tables(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
