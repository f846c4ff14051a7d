"""The line of every table, key and array item of a TOML text; tomllib parses values but keeps no lines.

The text must be one that tomllib has accepted: this walk only finds where things begin, it refuses nothing but depth.
Grammar: https://toml.io/en/v1.0.0, with the freedoms of 1.1 inside inline tables.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

from thingmeter.config.places import KeyPath

DEEPEST = 32  # levels of tables and arrays; nothing that is configured needs more than 6

# No possessive quantifiers: before Python 3.11.5 those on groups fail to match (CPython issue 106052).
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC_KEY = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL_KEY = re.compile(r"'[^']*'")
_SCALAR = re.compile(r"[^,\]}#\n]+")  # numbers, booleans and dates, which may hold a space
_STRINGS = (
    ('"""', re.compile(r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*"""(?:"{0,2})')),  # up to two quotes may precede the end
    ("'''", re.compile(r"'''(?:[^']|'(?!''))*'''(?:'{0,2})")),
    ('"', _BASIC_KEY),
    ("'", _LITERAL_KEY),
)


class TooDeepError(ValueError):
    """Tables or arrays are nested deeper than ``DEEPEST``; ``line`` is where."""

    def __init__(self, line: int) -> None:
        super().__init__(f"nested more than {DEEPEST} levels deep")
        self.line = line


def find_lines(text: str) -> dict[KeyPath, int]:
    r"""Return the line, from 1, of everything that ``text`` defines; line ends are ``\n``.

    A table has the line of its header; one that is only implied, the first line that implies it. The key of each item
    of an array ends in the item's index.

    Raises:
        TooDeepError: nested more than ``DEEPEST`` levels.
    """
    return _Walk(text).run()


class _Walk:
    """One pass over a text; ``_at`` is the next character to read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self._array_lengths: dict[KeyPath, int] = {}  # of [[arrays of tables]]

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._next_is("["):
                table = self._header()
            else:
                self._key_value(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> KeyPath:
        line = self._line()
        is_array = self._next_is("[[")
        self._at += 2 if is_array else 1
        *outer, last = self._key()
        self._skip(_SPACE)
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for part in outer:
            path = self._newest((*path, part))
            self._lines.setdefault(path, line)
        path = (*path, last)
        if is_array:
            index = self._array_lengths.get(path, 0)
            self._array_lengths[path] = index + 1
            self._lines.setdefault(path, line)
            path = (*path, index)
        self._record(path, line)
        return path

    def _newest(self, path: KeyPath) -> KeyPath:
        """Return the last table of the array of tables at ``path``, or ``path`` where it is a table."""
        length = self._array_lengths.get(path)
        return path if length is None else (*path, length - 1)

    def _key_value(self, table: KeyPath) -> None:
        line = self._line()
        parts = self._key()
        for length in range(1, len(parts)):
            self._lines.setdefault((*table, *parts[:length]), line)
        self._skip(_SPACE)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        path = (*table, *parts)
        self._record(path, line)
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            parts.append(self._key_part())
            if len(parts) > DEEPEST:
                raise TooDeepError(self._line())
            self._skip(_SPACE)
            if not self._next_is("."):
                return parts
            self._at += 1

    def _key_part(self) -> str:
        if self._next_is("'"):
            return self._take(_LITERAL_KEY)[1:-1]
        if not self._next_is('"'):
            return self._take(_BARE_KEY)
        quoted = self._take(_BASIC_KEY)
        return str(tomllib.loads(f"key = {quoted}")["key"]) if "\\" in quoted else quoted[1:-1]

    def _value(self, path: KeyPath) -> None:
        if self._next_is("["):
            self._array(path)
        elif self._next_is("{"):
            self._inline_table(path)
        else:
            self._take(next((pattern for quote, pattern in _STRINGS if self._next_is(quote)), _SCALAR))

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._open()
        while not self._next_is("]"):
            item = (*path, index)
            self._record(item, self._line())
            self._value(item)
            self._after_item()
            index += 1
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._open()
        while not self._next_is("}"):
            self._key_value(path)
            self._after_item()
        self._at += 1

    def _open(self) -> None:
        self._at += 1
        self._skip(_BLANK)

    def _after_item(self) -> None:
        self._skip(_BLANK)
        if self._next_is(","):
            self._open()

    def _record(self, path: KeyPath, line: int) -> None:
        if len(path) > DEEPEST:
            raise TooDeepError(line)
        self._lines[path] = line

    def _line(self) -> int:
        return bisect_right(self._newlines, self._at) + 1

    def _next_is(self, token: str) -> bool:
        return self._text.startswith(token, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"line {self._line()}: text that tomllib has not accepted")
        self._at = match.end()
        return match.group()
