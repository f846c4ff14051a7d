"""What DevRev has of the declared UOMs, as far as one attempt has seen it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from thingmeter.destinations.devrev.comparison import Uom
from thingmeter.destinations.devrev.uoms import Found, Uoms
from thingmeter.errors import Throttled, Unreachable


class Seen:
    """The declared UOMs, looked for by DevRev's filter first and, where that may miss one, among all.

    The filter may tell upper from lower case, though the names do not. All UOMs are listed once in an attempt at most.

    Args:
        uoms: asks DevRev.
        names: all that are declared.
    """

    def __init__(self, uoms: Uoms, names: Iterable[str]) -> None:
        self._uoms = uoms
        self._names = tuple(names)
        self._looked_for: set[str] = set()
        self._found: Found = {}
        self._all: Found | None = None
        self._trouble: Throttled | Unreachable | None = None

    def look(self, known: Collection[str]) -> None:
        """Look for all names; those of ``known`` that the filter does not find, among all UOMs.

        Raises:
            Throttled, Unreachable: before anything could be seen; later it is what ``uom()`` raises for the rest.
        """
        try:
            for chunk, found in self._uoms.named(self._names):
                self._found |= found
                self._looked_for.update(name for name in chunk if name.lower() in found or name not in known)
            lost = [name for name in self._names if name not in self._looked_for]
            if lost:
                self._all = self._uoms.among_all(self._names)
                self._found |= {name.lower(): self._all[name.lower()] for name in lost if name.lower() in self._all}
                self._looked_for.update(lost)
        except (Throttled, Unreachable) as error:
            if not self._looked_for:
                raise
            self._trouble = error

    def uom(self, name: str) -> Uom | None:
        """Return the UOM of a declared name as ``look()`` saw it; None where DevRev has none.

        Raises:
            Throttled, Unreachable: it could not be seen, or has no documented shape.
        """
        if name not in self._looked_for and self._trouble is not None:
            raise self._trouble
        return _readable(self._found, name)

    def uom_now(self, name: str, *, among_all: bool) -> Uom | None:
        """Ask for the UOM of a declared name again; ``among_all``: also there, where the filter does not find it.

        Raises:
            Throttled, Unreachable: as ``uom()``.
        """
        for _, found in self._uoms.named([name]):
            if name.lower() in found:
                return _readable(found, name)
        if not among_all:
            return None
        if self._all is None:
            self._all = self._uoms.among_all(self._names)
        return _readable(self._all, name)


def _readable(found: Found, name: str) -> Uom | None:
    uom = found.get(name.lower())
    if isinstance(uom, Unreachable):
        raise uom
    return uom
