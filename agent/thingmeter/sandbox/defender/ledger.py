"""The last accepted report_id of each thing, in a file, so that ids must go on increasing over restarts."""

from __future__ import annotations

import json
from pathlib import Path


class Ledger:
    """Remembers report ids; without a file, only as long as it lives."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._last: dict[str, int] = {}
        if path is not None and path.exists():
            try:
                stored = json.loads(path.read_text("utf-8"))
                self._last = {str(thing): int(last) for thing, last in stored.items()}
            except (ValueError, TypeError, AttributeError):
                self._last = {}  # cut short by a power cut; ids are then judged from the next one on

    def last(self, thing: str) -> int:
        """Return the last accepted report_id of a thing; 0 when there was none."""
        return self._last.get(thing, 0)

    def note(self, thing: str, report_id: int) -> None:
        """Remember an accepted report_id."""
        self._last[thing] = report_id
        if self._path is not None:
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self._last), "utf-8")
            new.replace(self._path)
