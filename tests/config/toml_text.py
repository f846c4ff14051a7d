"""Valid TOML texts for Hypothesis, in every way of writing the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from hypothesis import strategies as st

SCALARS = st.sampled_from(
    [
        "1",
        "-0.5e3",
        "true",
        "nan",
        "0xff",
        '"text"',
        '"\\"]}#, = ["',
        "'literal \\'",
        '"""\n[no.header]\n"" \\""" " """',
        "'''\nno = 'key'\n''''",
        '"${HOME}"',
        "1979-05-27T07:32:00Z",
        "1979-05-27 07:32:00",
        "07:32:00",
    ]
)
GAPS = st.sampled_from(["", "\n", '# = [ " a comment\n', "  \t"])
INNER_KEYS = st.sampled_from(["one", "two", "three"])


def values(depth: int = 2) -> st.SearchStrategy[str]:
    """Return values as written: scalars, arrays over several lines, inline tables."""
    if depth == 0:
        return SCALARS
    inner = values(depth - 1)
    arrays = st.builds(_array, st.lists(inner, max_size=3), st.sampled_from(["", "\n", " # comment ]\n "]))
    tables = st.builds(
        lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }",
        st.lists(st.tuples(INNER_KEYS, inner), max_size=3, unique_by=lambda pair: pair[0]),
    )
    return st.one_of(SCALARS, arrays, tables)


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    """Return a document: root keys, then tables and arrays of tables, each name used once."""
    names = map("key{}".format, count())
    parts = _statements(draw, names)
    for _ in range(draw(st.integers(0, 3))):
        name = next(names)
        for repeat in range(draw(st.integers(1, 2))):
            is_array = repeat or draw(st.booleans())
            parts.append(f"[[{name}]]" if is_array else f"[ {name} . {next(names)} ]")
            parts += _statements(draw, names)
            if not is_array:
                break
    return "\n".join(parts) + draw(GAPS)


def _statements(draw: st.DrawFn, names: Iterator[str]) -> list[str]:
    parts = []
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(["{}", '"{}"', "'{}'", "{}.inner", "{} . 'in ner'"])).format(next(names))
        parts.append(f"{draw(GAPS)}{key} = {draw(values())}")
    return parts


def _array(items: list[str], gap: str) -> str:
    return f"[{gap}" + "".join(f"{item},{gap}" for item in items) + "]"
