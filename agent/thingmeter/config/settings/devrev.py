"""[devrev] and [[devrev.uom]].

Names, patterns and limits are those of DevRev's beta API, ``uoms.create``. What it sets no limit for has none here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
_NAME_WORDS: Final = "1 to 64 (the limit of DevRev) of the characters a-z A-Z 0-9 _, the first no digit"
_ID: Final = r"^[!-~]{1,512}$"
_ID_WORDS: Final = "an id of DevRev such as PROD-1"
_MOST_DIMENSIONS: Final = 12

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


class Uom(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[[devrev.uom]]: a unit of measurement declared to DevRev."""

    metric_name: Annotated[
        str,
        Meta(
            description="as registered with DevRev; cannot be changed there later",
            pattern=_NAME,
            examples=["pumped_litres"],
            extra={"allowed": _NAME_WORDS},
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
            pattern=_NAME,
            examples=["line"],
            extra={
                "allowed": 'one of dimensions; needed for the aggregation types "unique_count" and "running_total"',
                "default": "none",
            },
        ),
    ] = ""
    dimensions: Annotated[
        tuple[Annotated[str, Meta(pattern=_NAME, extra={"allowed": _NAME_WORDS})], ...],
        Meta(
            description="the keys that records of the UOM are told apart by",
            max_length=_MOST_DIMENSIONS,
            examples=[["site", "line"]],
            extra={
                "allowed": f"an array of at most {_MOST_DIMENSIONS} names (the limit of DevRev), each {_NAME_WORDS}",
                "default": "none",
            },
        ),
    ] = ()


class DevRev(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[devrev]: the organisation in which UOMs are registered; without this table there are none.

    Attributes:
        endpoint_url: without a slash at its end.
    """

    registration: Annotated[
        Literal["auto", "off"],
        Meta(
            description='"auto": UOMs are registered, and looked at again each verify_interval_s; '
            '"off": somebody else registers them, and nothing is asked'
        ),
    ] = "auto"
    endpoint_url: Annotated[
        str,
        Meta(
            description="DevRev's API",
            min_length=1,
            max_length=512,
            examples=["https://api.devrev.ai"],
            extra={"allowed": "https://HOST or https://HOST:PORT"},
        ),
    ] = "https://api.devrev.ai"
    ca_file: Annotated[
        str,
        Meta(
            description="the authorities that the certificate of endpoint_url may come from, PEM",
            min_length=1,
            examples=["/etc/thingmeter/ca.pem"],
            extra={"allowed": "the path of a readable file", "default": "the authorities that the system trusts"},
        ),
    ] = ""
    token_file: Annotated[
        str,
        Meta(
            description="DevRev's token, and nothing else in the file; a new one is picked up without a restart",
            min_length=1,
            examples=["/etc/thingmeter/devrev-token"],
            extra={
                "allowed": "the path of a file that only its owner may read (mode 0600 or 0400)",
                "default": 'none; needed unless registration is "off"',
            },
        ),
    ] = ""
    scheme: Annotated[
        str,
        Meta(
            description='what stands before the token in the header Authorization; "" for the bare token',
            pattern=r"^(Bearer)?$",
            examples=["Bearer"],
            extra={"allowed": '"Bearer" or ""'},
        ),
    ] = "Bearer"
    uom: Annotated[tuple[Uom, ...], Meta(description="the units of measurement declared to DevRev")] = ()
