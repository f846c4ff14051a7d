"""Products and other parts, and the two ways to name one: display id and DON.

Source: the reference's examples, ``PROD-12345`` and ``don:core:dvrv-us-1:devo/0:...``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

ORGANISATION = "don:core:dvrv-us-1:devo/0"

TYPES = ("capability", "enhancement", "feature", "linkable", "product", "runnable")
PREFIXES = {"CAPL": "capability", "ENH": "enhancement", "FEAT": "feature", "PROD": "product"}
DISPLAY_ID = re.compile(r"(?P<prefix>[A-Z]{2,8})-(?P<number>[0-9]{1,12})")
DON = re.compile(
    rf"don:core:dvrv-[a-z0-9-]{{1,20}}:devo/[A-Za-z0-9-]{{1,32}}:(?P<type>{'|'.join(TYPES)})/(?P<number>[0-9]{{1,12}})"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part; only products are told from the others."""

    type: str
    id: str
    display_id: str

    def content(self) -> dict[str, Any]:
        """Return it as it stands in a UOM."""
        name = f"{self.type.capitalize()} {self.display_id}"
        return {"type": self.type, "id": self.id, "display_id": self.display_id, "name": name, "owned_by": []}


def part_of(text: str) -> Part | None:
    """Return the part of a display id or a DON; None for a text that is neither."""
    found = DISPLAY_ID.fullmatch(text)
    if found is not None:
        kind = PREFIXES.get(found["prefix"], "feature")
        return Part(kind, f"{ORGANISATION}:{kind}/{found['number']}", text)
    found = DON.fullmatch(text)
    if found is None:
        return None
    prefix = next((each for each, kind in PREFIXES.items() if kind == found["type"]), found["type"].upper()[:4])
    return Part(found["type"], text, f"{prefix}-{found['number']}")
