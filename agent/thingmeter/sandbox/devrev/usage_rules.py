"""What the request of metrics.devrev.ingest must look like.

Source: ``metrics-data-ingest-request`` of DevRev's beta API.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime

from thingmeter.sandbox.defender.tree import Node, show
from thingmeter.sandbox.devrev.refusals import Flaw
from thingmeter.sandbox.devrev.shapes import ListOf, Members, Text, check_number, lowered, unexpected
from thingmeter.sandbox.devrev.uom_rules import KEY, MAXIMUM_DIMENSIONS, TEXT

TIMESTAMP = re.compile(
    r"(?P<seconds>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?(?:Z|\+00:00)"
)


def time_of(text: str) -> datetime | None:
    """Return the instant of a timestamp, to the microsecond; None for what is no RFC 3339 in UTC."""
    found = TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    try:
        at = datetime.strptime(found["seconds"], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return at.replace(microsecond=int((found["fraction"] or "").ljust(6, "0")[:6]))


def check_timestamp(node: Node, path: str) -> Iterator[Flaw]:
    """An instant."""
    if not isinstance(node, str):
        yield unexpected(node, "string", path)
    elif time_of(node) is None:
        yield Flaw(
            "invalid_field", path, f"{show(node)} is not an RFC 3339 time in UTC, such as 2026-01-01T00:07:30.000Z"
        )


def _key(node: Node) -> Hashable:
    return lowered(node.get("key")) if isinstance(node, dict) else None


POINT = Members(
    required={"timestamp": check_timestamp, "value": check_number},
    optional={
        "dimensions": ListOf(
            Members({"key": KEY, "value": Text(minimum=0, maximum=256)}), maximum=MAXIMUM_DIMENSIONS, unique=_key
        ),
        "id": TEXT,
    },
)
INGEST = Members(
    {
        "metrics": ListOf(
            Members(
                {"account_ref": TEXT, "data_points": ListOf(POINT, minimum=1), "name": TEXT},
                {"org_ref": TEXT, "user_ref": TEXT},
            ),
            minimum=1,
        )
    }
)
