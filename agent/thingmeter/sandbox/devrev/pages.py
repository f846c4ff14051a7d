"""A list cut into pages by cursors. Source: ``list-mode``, ``next_cursor`` and ``prev_cursor`` of DevRev's beta API.

A cursor names the UOM at a page's edge, so that pages neither repeat nor skip one when UOMs come and go in between.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thingmeter.sandbox.devrev.uom import Uom

TOKEN = re.compile(r"uom/([0-9]{1,12})")
BEGINNING = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some UOMs, and the cursors to those behind and before them; empty where there are none."""

    uoms: tuple[Uom, ...]
    next_cursor: str = ""
    prev_cursor: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page is asked for; an empty ``cursor`` asks for the first one, or the last one when turning backward."""

    limit: int
    cursor: str = ""
    backward: bool = False


def cut(uoms: Sequence[Uom], turn: Turn, shown: Callable[[Uom], bool]) -> Page | None:
    """Return a page of those UOMs that are ``shown``; None where the cursor is none of ours.

    Args:
        uoms: all there ever were, sorted: a cursor may name one that is gone.
        turn: the page.
        shown: whether a UOM stands in the list.
    """
    places = {uom.serial: place for place, uom in enumerate(uoms)} | {BEGINNING: -1}
    edge = len(uoms) if turn.backward else -1
    if turn.cursor:
        serial = _serial(turn.cursor)
        if serial is None or serial not in places:
            return None
        edge = places[serial]
    if turn.backward:
        chosen = tuple(uom for uom in uoms[: max(edge, 0)] if shown(uom))[-turn.limit :]
    else:
        chosen = tuple(uom for uom in uoms[edge + 1 :] if shown(uom))[: turn.limit]
    if not chosen:
        return Page(())
    first, last = places[chosen[0].serial], places[chosen[-1].serial]
    return Page(
        chosen,
        next_cursor=cursor_of(chosen[-1].serial) if any(map(shown, uoms[last + 1 :])) else "",
        prev_cursor=cursor_of(chosen[0].serial) if any(map(shown, uoms[:first])) else "",
    )


def cursor_of(serial: int) -> str:
    """Return the cursor of the place behind a UOM; ``BEGINNING`` stands before all of them."""
    return base64.urlsafe_b64encode(f"uom/{serial}".encode()).decode().rstrip("=")


def _serial(cursor: str) -> int | None:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = TOKEN.fullmatch(text.decode("ascii"))
    except ValueError:
        return None
    return int(found[1]) if found is not None else None
