"""What an attempt could not settle for single definitions: it goes on with the others, and raises this at its end."""

from __future__ import annotations

from thingmeter.errors import Unanswered, Unreachable

NAMES_SHOWN = 3  # of those that have one reason in common


class Undecided:
    """Definitions that an attempt leaves as they are, by the reason; empty at first."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._may_be_done = False

    def add(self, name: str, why: Unreachable) -> None:
        """Note why the definition ``name`` stays undecided."""
        self._names.setdefault(str(why), []).append(name)
        self._may_be_done |= isinstance(why, Unanswered)

    def error(self) -> Unreachable | None:
        """Return all of it as one error; Unanswered where one of them is; None where all is decided."""
        if not self._names:
            return None
        kind = Unanswered if self._may_be_done else Unreachable
        return kind("; ".join(f"{_some(names)}: {reason}" for reason, names in self._names.items()))


def _some(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
