"""[[devrev.uom]] and [devrev.uom.unit].

Names, patterns and limits are those of DevRev's beta API, ``uoms.create``. What it sets no limit for has none here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from thingmeter.config.settings.reference import NAME, NAME_WORDS, dimension_of, reference

_ID: Final = r"^[!-~]{1,512}$"
_ID_WORDS: Final = "an id of DevRev such as PROD-1"
_MOST_DIMENSIONS: Final = 12
_MOST_EXACT: Final = 9_007_199_254_740_992  # 2**53: beyond it not every whole number is one of JSON's doubles

UnitType = Literal["number", "boolean"]
AggregationType = Literal["sum", "minimum", "maximum", "latest", "oldest", "unique_count", "running_total", "duration"]


class Unit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[devrev.uom.unit]: what is counted."""

    name: Annotated[
        str,
        Meta(
            description="of the unit, for people",
            pattern=r"\S",
            examples=["litre"],
            extra={"allowed": "a string that is not blank"},
        ),
    ]
    type: Annotated[
        UnitType,
        Meta(description="of the values; cannot be changed later; a boolean is 1 or 0", examples=["number"]),
    ]


class Uom(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """[[devrev.uom]]: a unit of measurement declared to DevRev.

    Attributes:
        from_: empty where no collector feeds it.
        account_ref: empty where that of [devrev] counts, or ``account_dimension``; so are the other references.
    """

    metric_name: Annotated[
        str,
        Meta(
            description="as registered with DevRev; cannot be changed there later",
            pattern=NAME,
            examples=["pumped_litres"],
            extra={"allowed": NAME_WORDS},
        ),
    ]
    name: Annotated[
        str,
        Meta(
            description="of the UOM, for people",
            pattern=r"\S",
            examples=["Litres pumped"],
            extra={"allowed": "a string that is not blank"},
        ),
    ]
    product_id: Annotated[
        str,
        Meta(description="the product that is metered", pattern=_ID, examples=["PROD-1"], extra={"allowed": _ID_WORDS}),
    ]
    part_id: Annotated[
        str,
        Meta(
            description="the part of the product that the records belong to as well",
            pattern=_ID,
            examples=["CAPL-1"],
            extra={"allowed": "an id of DevRev such as CAPL-1", "default": "none"},
        ),
    ] = ""
    description: Annotated[
        str,
        Meta(
            description="what the UOM measures, for people",
            examples=["Water through the main pump"],
            extra={"default": "none"},
        ),
    ] = ""
    unit: Annotated[
        Unit,
        Meta(
            description="what is counted",
            examples=[{"name": "litre", "type": "number"}],
            extra={"allowed": 'a table such as { name = "litre", type = "number" }'},
        ),
    ]
    aggregation_type: Annotated[
        AggregationType,
        Meta(description="what DevRev folds the records of a billing period into", examples=["sum"]),
    ]
    unique_dimension: Annotated[
        str,
        Meta(
            description="the dimension whose distinct values count; cannot be changed later",
            pattern=NAME,
            examples=["line"],
            extra={
                "allowed": 'one of dimensions; needed for the aggregation types "unique_count" and "running_total"',
                "default": "none",
            },
        ),
    ] = ""
    dimensions: Annotated[
        tuple[Annotated[str, Meta(pattern=NAME, extra={"allowed": NAME_WORDS})], ...],
        Meta(
            description="the keys that records of the UOM are told apart by",
            max_length=_MOST_DIMENSIONS,
            examples=[["site", "line"]],
            extra={
                "allowed": f"an array of at most {_MOST_DIMENSIONS} names (the limit of DevRev), each {NAME_WORDS}",
                "default": "none",
            },
        ),
    ] = ()
    from_: Annotated[
        str,
        Meta(
            description="the collector and the metric of it whose samples are metered",
            pattern=r"^[a-z][a-z0-9_]{0,63}\.[A-Za-z_][A-Za-z0-9_]{0,63}$",
            examples=["pump.litres"],
            extra={
                "allowed": "collector.metric, such as pump.litres",
                "default": "none: fed by emit and statsd, which a later version brings",
            },
        ),
    ] = ""
    where: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=64)],
            Annotated[str, Meta(min_length=1, max_length=256, extra={"allowed": "a string of 1 to 256 characters"})],
        ],
        Meta(
            description="only samples with these dimensions count",
            max_length=10,
            examples=[{"line": "1"}],
            extra={"allowed": "a table of at most 10 strings", "default": "none: all of them"},
        ),
    ] = {}
    maximum_increase: (
        Annotated[
            float,
            Meta(
                description="what a counter can grow by between two samples; an increase above it is set aside for a "
                "person instead of billed",
                gt=0,
                le=_MOST_EXACT,
                examples=[500],
                extra={"allowed": "a number above 0, at most 2^53; for the aggregation type sum", "default": "none"},
            ),
        ]
        | None
    ) = None
    account_ref: Annotated[
        str, reference("the account that its records are billed to", "ACC-456", "that of [devrev]")
    ] = ""
    account_dimension: Annotated[
        str, dimension_of("the account that a record is billed to, in place of an account_ref", "customer")
    ] = ""
    org_ref: Annotated[
        str, reference("the organisation of the account that its records belong to", "ORG-7", "that of [devrev]")
    ] = ""
    org_dimension: Annotated[
        str, dimension_of("the organisation that a record belongs to, in place of an org_ref", "company")
    ] = ""
    user_ref: Annotated[
        str, reference("the user of the account that its records belong to", "USER-3", "that of [devrev]")
    ] = ""
    user_dimension: Annotated[
        str, dimension_of("the user that a record belongs to, in place of a user_ref", "operator")
    ] = ""
