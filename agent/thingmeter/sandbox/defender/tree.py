"""What a report decodes to, whichever its format."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

# A number with a fraction or an exponent is a Decimal, so that all of its digits can be counted.
Node: TypeAlias = "dict[str, Node] | list[Node] | str | int | Decimal | bool | None"

MAXIMUM_DEPTH = 16  # a report has six levels
MAXIMUM_SHOWN = 60


def show(node: Node) -> str:
    """Return a value as it is quoted in a message: printable ASCII, cut when it is long."""
    if isinstance(node, dict):
        return "a map"
    if isinstance(node, list):
        return "a list"
    if node is None or isinstance(node, bool):
        return {None: "null", True: "true", False: "false"}[node]
    shown = f"{node!a}" if isinstance(node, str) else str(node)
    return shown if len(shown) <= MAXIMUM_SHOWN else f"{shown[:MAXIMUM_SHOWN]}..."
