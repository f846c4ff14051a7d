"""What the requests of uoms.* must look like. Source: the request schemas of DevRev's beta API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from thingmeter.sandbox.defender.tree import Node, show
from thingmeter.sandbox.devrev.parts import part_of
from thingmeter.sandbox.devrev.refusals import Flaw
from thingmeter.sandbox.devrev.shapes import Choice, ListOf, Members, Text, check_boolean, lowered, unexpected

AGGREGATION_TYPES = (
    "duration",
    "latest",
    "maximum",
    "minimum",
    "oldest",
    "running_total",
    "sum",
    "unique_count",
)
UNIT_TYPES = ("boolean", "number")
MODES = ("after", "before")
SORT_FIELDS = ("created_date", "metric_name", "modified_date", "name")
MAXIMUM_DIMENSIONS = 12
MAXIMUM_INT32 = 2**31 - 1


def check_limit(node: Node, path: str) -> Iterator[Flaw]:
    """A page's size; a number in a query that is none arrives as text."""
    if not isinstance(node, int) or isinstance(node, bool):
        yield unexpected(node, "number", path)
    elif not 1 <= node <= MAXIMUM_INT32:
        yield Flaw("invalid_field", path, f"not between 1 and {MAXIMUM_INT32}")


def check_part_id(node: Node, path: str) -> Iterator[Flaw]:
    """A product or another part, by either of its names."""
    if not isinstance(node, str):
        yield unexpected(node, "string", path)
    elif part_of(node) is None:
        yield Flaw("invalid_id", path, f"{show(node)} is not the id of a part, such as PROD-12345")


def check_product_id(node: Node, path: str) -> Iterator[Flaw]:
    """A product."""
    yield from check_part_id(node, path)
    part = part_of(node) if isinstance(node, str) else None
    if part is not None and part.type != "product":
        yield Flaw("unexpected_id_type", path, f"{part.display_id} is a {part.type}, not a product")


KEY = Text(
    maximum=64,
    pattern=re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    words="made of A-Z a-z 0-9 _ without a digit in front",
)
UOM_ID = Text(
    pattern=re.compile(r"don:core:dvrv-[a-z0-9-]{1,20}:devo/[A-Za-z0-9-]{1,32}:uom/[0-9]{1,12}"),
    words="the DON of a UOM",
    flaw="invalid_id",
)
SORT = Text(
    pattern=re.compile(rf"(?:{'|'.join(SORT_FIELDS)})(?::(?:asc|desc))?"),
    words=f"FIELD:asc or FIELD:desc with one of {', '.join(SORT_FIELDS)}",
)
TEXT = Text()
ANY_TEXT = Text(minimum=0)
AGGREGATION_TYPE = Choice(AGGREGATION_TYPES)

CREATE = Members(
    required={
        "aggregation_detail": Members({"aggregation_type": AGGREGATION_TYPE}, {"unique_dimension": KEY}),
        "metric_name": KEY,
        "name": TEXT,
        "product_id": check_product_id,
        "unit": Members({"name": TEXT, "type": Choice(UNIT_TYPES)}),
    },
    optional={
        "description": ANY_TEXT,
        "dimensions": ListOf(KEY, maximum=MAXIMUM_DIMENSIONS, unique=lowered),
        "part_id": check_part_id,
    },
    fixed={
        "is_enabled": "is set by an update",
        "metric_scope": "cannot be chosen",
    },
)
UPDATE = Members(
    required={"id": UOM_ID},
    optional={
        "aggregation_type": AGGREGATION_TYPE,
        "description": ANY_TEXT,
        "dimensions": Members(
            optional={"add": ListOf(KEY, unique=lowered), "remove": ListOf(KEY, unique=lowered)},
        ),
        "is_enabled": check_boolean,
        "name": TEXT,
        "part_id": check_part_id,
        "product_id": check_product_id,
        "unit": TEXT,
    },
    fixed={
        "aggregation_detail": "cannot be changed; aggregation_type can",
        "metric_name": "cannot be changed",
        "metric_scope": "cannot be changed",
        "unique_dimension": "cannot be changed",
        "unit_type": "cannot be changed",
    },
)
GET = Members(required={"id": UOM_ID})
COUNT = Members(
    optional={
        "aggregation_types": ListOf(AGGREGATION_TYPE),
        "ids": ListOf(UOM_ID),
        "metric_names": ListOf(TEXT),
        "part_ids": ListOf(check_part_id),
        "product_ids": ListOf(check_part_id),
        "unit_types": ListOf(Choice(UNIT_TYPES)),
    }
)
LIST = Members(
    optional={
        **COUNT.optional,
        "cursor": TEXT,
        "limit": check_limit,
        "mode": Choice(MODES),
        "sort_by": ListOf(SORT),
    }
)
