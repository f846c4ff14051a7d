"""How configuration problems speak: values as TOML writes them, cut, escaped and without secrets."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from difflib import get_close_matches

SHOWN_CHARACTERS = 80  # of a value; a pasted certificate must not fill the journal
MASK = '"***"'
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_SECRET_KEY = re.compile(r"pass(word|wd|phrase)|secret|token|credential|(api|private|access)_?key", re.IGNORECASE)
_FILE_KEY = re.compile(r"(_file|_path|_directory|_endpoint)$", re.IGNORECASE)
_INLINE_PASSWORD = re.compile(r"(://[^\s/@:]*:)[^\s/]*@")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{4,}")  # the beginning of every JSON Web Token: {" in base64
_OPAQUE_TOKEN = re.compile(r"(?:Bearer )?(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9_+=-]{32,}")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
_LONGEST_DECIMAL_BITS = 256  # beyond it hexadecimal, which has no limit on digits (sys.set_int_max_str_digits)

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),  # before int: a bool is one
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    (list, "an array"),
    (dict, "a table"),
    (dt.datetime, "a date-time"),  # before date: a datetime is one
    (dt.date, "a date"),
    (dt.time, "a time"),
)


def escape(text: str) -> str:
    """Return ``text`` with everything that does not print (controls, direction marks, lone surrogates) escaped."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def show_key(key: str) -> str:
    """Return ``key`` as TOML writes it: bare where it can be, else quoted."""
    return key if BARE_KEY.fullmatch(key) else _quoted(key)


def show(value: object, *, key: str = "") -> str:
    """Return ``value`` as TOML writes it, at most about ``SHOWN_CHARACTERS`` long; a secret is masked.

    What counts as a secret: the value of a ``key`` named like one (``password``, but not ``password_file``), text that
    holds a private key or a token, what was put in place of a file's name, and the password inside a URL.
    """
    return cut(_shown(value, key, SHOWN_CHARACTERS))


def cut(text: str) -> str:
    """Return ``text``, shortened to ``SHOWN_CHARACTERS`` with the cut marked."""
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def is_secret(key: str) -> bool:
    """Tell whether a setting or a variable of this name holds a secret, rather than says where one is kept."""
    return bool(_SECRET_KEY.search(key)) and not _FILE_KEY.search(key)


def looks_like_token(text: str) -> bool:
    """Tell whether ``text``, where a file's name belongs, is rather a token: a JWT, or long and without a slash."""
    return bool(_JWT.search(text) or _OPAQUE_TOKEN.fullmatch(text))


def kind_of(value: object) -> str:
    """Return what TOML calls ``value``: ``a string``, ``an integer``, ``a table`` ..."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "a value of an unknown kind")


def listed(names: Iterable[str], *, last: str = "or") -> str:
    """Return ``a``, ``a or b``, ``a, b or c``."""
    *before, final = list(names) or ["nothing"]
    return f"{', '.join(before)} {last} {final}" if before else final


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that ``name`` was probably meant to be."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    folded = name[:128].casefold().replace("-", "_")
    found = get_close_matches(folded, by_folded, n=1, cutoff=0.7)
    return by_folded[found[0]] if found else None


def _shown(value: object, key: str, room: int) -> str:
    if isinstance(value, dict):
        return _shown_table(value, room)
    if is_secret(key):
        return MASK
    if isinstance(value, list):
        return _shown_array(value, key, room)
    if isinstance(value, str):
        is_content = _FILE_KEY.search(key) and looks_like_token(value)
        if is_content or "PRIVATE KEY" in value or _JWT.search(value):
            return MASK
        return _quoted(_INLINE_PASSWORD.sub(r"\1***@", value[: 4 * room]))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _LONGEST_DECIMAL_BITS:
        return hex(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return escape(str(value))


def _shown_array(items: list[object], key: str, room: int) -> str:
    parts: list[str] = []
    for item in items:
        if room <= 0:
            break
        parts.append(_shown(item, key, room))
        room -= len(parts[-1]) + 2
    return f"[{', '.join(parts)}]"


def _shown_table(table: dict[str, object], room: int) -> str:
    parts: list[str] = []
    for key, item in table.items():
        if room <= 0:
            break
        parts.append(f"{show_key(key)} = {_shown(item, key, room)}")
        room -= len(parts[-1]) + 2
    return f"{{ {', '.join(parts)} }}" if parts else "{}"


def _quoted(text: str) -> str:
    return '"' + "".join(_SHORT_ESCAPES.get(character) or escape(character) for character in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return _SHORT_ESCAPES.get(character) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")  # noqa: PLR2004
