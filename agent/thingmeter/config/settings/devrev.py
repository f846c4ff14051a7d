"""[devrev]."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from thingmeter.config.settings.reference import reference
from thingmeter.config.settings.uom import Uom


class DevRev(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[devrev]: the organisation in which UOMs are registered; without this table there are none.

    Attributes:
        endpoint_url: without a slash at its end.
        topic: ``{thing}`` replaced; empty where ``route`` is "https" and none is given.
        account_ref: for every UOM that names none of its own, neither as a reference nor by a dimension; so are
            ``org_ref`` and ``user_ref``.
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
                "default": 'none; needed where UOMs are registered, and where records go by the route "https"',
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
    route: Annotated[
        Literal["https", "mqtt"],
        Meta(
            description='how usage records go to DevRev: "https": straight; "mqtt": to topic, from where something in '
            "the cloud that holds the token posts them on"
        ),
    ] = "https"
    topic: Annotated[
        str,
        Meta(
            description='the topic that the route "mqtt" publishes to; {thing} is replaced; $aws/rules/RULE/... is '
            "Basic Ingest, straight to a rule",
            min_length=1,
            examples=["usage/{thing}"],
            extra={
                "allowed": "a topic of at most 256 bytes and 7 slashes, without + and #; of $aws/rules/RULE/... "
                "what comes behind RULE/ counts",
                "default": 'none; needed where route is "mqtt"',
            },
        ),
    ] = ""
    account_ref: Annotated[str, reference("the account that records are billed to", "ACC-123")] = ""
    org_ref: Annotated[str, reference("the organisation of that account that records belong to", "ORG-1")] = ""
    user_ref: Annotated[str, reference("the user of that account that records belong to", "USER-1")] = ""
    window_s: Annotated[
        int,
        Meta(
            description="the samples of so many seconds become one record of each series; 900 is divided by it, so "
            "that no record straddles two billing periods in any time zone",
            ge=1,
            le=900,
            extra={"allowed": "a divisor of 900, from 1 to 900 (seconds)"},
        ),
    ] = 900
    maximum_points: Annotated[int, Meta(description="the most records in one request", ge=1, le=10_000)] = 500
    maximum_request_bytes: Annotated[
        int,
        Meta(
            description="the size of one request at most",
            ge=32_768,
            le=4_194_304,
            extra={
                "allowed": "an integer from 32768 to 4194304 (bytes); to 131072, the limit of AWS IoT, where route is "
                '"mqtt"',
                "default": '262144; 131072 where route is "mqtt"',
            },
        ),
    ] = 262_144
    dedupe_horizon_s: Annotated[
        int,
        Meta(
            description="how long DevRev is trusted to know a record again: one that may have arrived and would count "
            "twice is set aside for a person instead of sent again after that",
            ge=60,
            le=31_536_000,
        ),
    ] = 86_400
    uom: Annotated[tuple[Uom, ...], Meta(description="the units of measurement declared to DevRev")] = ()
