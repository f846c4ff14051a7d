"""The query of a GET, read into what the body of the same call by POST would be.

A list is one parameter whose elements are joined by commas. Source: ``explode: false`` in DevRev's beta API.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote_plus

from thingmeter.sandbox.defender.tree import Node
from thingmeter.sandbox.devrev.refusals import Flaw

LISTS = frozenset({"aggregation_types", "ids", "metric_names", "part_ids", "product_ids", "sort_by", "unit_types"})
NUMBERS = frozenset({"limit"})
INTEGER = re.compile(r"-?[0-9]{1,12}")


def read_query(query: str, lists: Collection[str] = LISTS) -> tuple[dict[str, Node], list[Flaw]]:
    """Return the parameters, and what is wrong with how they are written."""
    found: dict[str, Node] = {}
    flaws = []
    for part in query.split("&") if query else ():
        try:
            key, value = (unquote_plus(side, errors="strict") for side in part.partition("=")[::2])
        except UnicodeDecodeError:
            flaws.append(Flaw("parse_error", "", "a parameter of the query is not UTF-8"))
            continue
        if key in found:
            flaws.append(Flaw("bad_request", key, "stands there twice; the elements of a list are joined by commas"))
        if key in lists:
            found[key] = list[Node](value.split(",")) if value else []
        elif key in NUMBERS and INTEGER.fullmatch(value):
            found[key] = int(value)
        else:
            found[key] = value
    return found, flaws
