"""Names of which no two may be the same, nor the same but for their case."""

from __future__ import annotations

from collections.abc import Iterable

from thingmeter.config.places import KeyPath
from thingmeter.config.reading import Reading
from thingmeter.config.wording import escape, show


def check_names(reading: Reading, names: Iterable[tuple[KeyPath, str]]) -> None:
    """Report each of ``names`` that an earlier one is equal to, ignoring case.

    DevRev takes such names for one. For AWS they are two; but who has ``cpu`` and ``CPU`` in one file has mistyped one.

    Args:
        reading: what to report to.
        names: each with the path at which it stands; those that have a problem already do not count.
    """
    seen: dict[str, tuple[KeyPath, str]] = {}
    for path, name in names:
        if not reading.sound(path):
            continue
        first_path, first = seen.setdefault(name.lower(), (path, name))
        if first_path == path:
            continue
        place = reading.places.place(first_path)
        where = f"{escape(place.file)}:{place.line}"
        if name == first:
            reading.report(path, f"stands twice; the first is at {where}")
        else:
            reading.report(path, f"differs only in case from {show(first)} at {where}, must differ in more than case")
