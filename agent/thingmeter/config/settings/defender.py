"""[defender] and [[defender.custom_metric]]."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from thingmeter.config.settings.thing import THING_NAME, THING_NAME_WORDS

MAXIMUM_CUSTOM_METRICS: Final = 100  # of an account: AWS IoT Device Defender endpoints and quotas

MetricType = Literal["number", "number-list", "string-list", "ip-address-list"]
Aggregate = Literal["", "last", "mean", "minimum", "maximum", "sum", "increase", "values", "distinct"]

AGGREGATES: Final[dict[MetricType, tuple[Aggregate, ...]]] = {
    "number": ("last", "mean", "minimum", "maximum", "sum", "increase"),
    "number-list": ("values",),
    "string-list": ("distinct",),
    "ip-address-list": ("distinct",),
}
"""What the samples of a window may be folded into, by the type of the custom metric; the first is the default."""


class CustomMetric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """[[defender.custom_metric]]: a metric declared to Device Defender.

    ``from_`` and ``aggregate`` are never empty: where they are not given, the name and the type decide.
    """

    name: Annotated[
        str,
        Meta(
            description="as registered with Device Defender; cannot be changed there later",
            pattern=THING_NAME,
            examples=["cpu_usage"],
            extra={"allowed": f"{THING_NAME_WORDS}, not beginning with aws:"},
        ),
    ]
    type: Annotated[MetricType, Meta(description="as registered; cannot be changed there later", examples=["number"])]
    display_name: Annotated[
        str,
        Meta(
            description="what the console shows",
            pattern=r"^[ -~]{1,128}$",
            examples=["CPU usage (%)"],
            extra={"allowed": "1 to 128 printable ASCII characters", "default": "none"},
        ),
    ] = ""
    from_: Annotated[
        str,
        Meta(
            description="the collector and the metric of it whose samples feed this",
            pattern=r"^[a-z][a-z0-9_]{0,63}\.[A-Za-z_][A-Za-z0-9_]{0,63}$",
            examples=["cpu.usage_percent"],
            extra={
                "allowed": "collector.metric, such as cpu.usage_percent",
                "default": "none: fed by emit and statsd, which a later version brings",
            },
        ),
    ] = ""
    aggregate: Annotated[
        Aggregate,
        Meta(
            description="what the samples of one report are folded into. number: last, mean, minimum, maximum, sum or "
            "increase; number-list: values; string-list and ip-address-list: distinct",
            examples=["last"],
            extra={"default": "the first that the type allows"},
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
            examples=[{"core": "0"}],
            extra={"allowed": "a table of at most 10 strings", "default": "none: all of them"},
        ),
    ] = {}
    tags: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^(?![aA][wW][sS]:)")],
            Annotated[str, Meta(max_length=256, extra={"allowed": "a string of at most 256 characters"})],
        ],
        Meta(
            description="AWS tags that it is registered with",
            max_length=50,
            examples=[{"team": "pumps"}],
            extra={
                "allowed": "a table of at most 50 strings (the limit of AWS); keys of 1 to 128 characters not "
                "beginning with aws:, values of at most 256",
                "default": "none",
            },
        ),
    ] = {}

    def __post_init__(self) -> None:
        force_setattr(self, "from_", self.from_ or self.name)
        force_setattr(self, "aggregate", self.aggregate or AGGREGATES.get(self.type, ("last",))[0])


Block = Literal["network_stats", "listening_tcp_ports", "listening_udp_ports", "tcp_connections"]


class Defender(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[defender]: reports to AWS IoT Device Defender; without this table there are none. It needs [mqtt]."""

    registration: Annotated[
        Literal["auto", "off"],
        Meta(
            description='"auto": custom metrics are registered, where there is the table [aws], and looked at again '
            'each verify_interval_s; "off": somebody else registers them, and nothing is asked'
        ),
    ] = "auto"
    interval_s: Annotated[int, Meta(description="a report each", ge=1, le=86_400)] = 300
    minimum_interval_s: Annotated[
        int,
        Meta(description="the account's quota, over restarts too; interval_s cannot be below it", ge=1, le=86_400),
    ] = 300
    format: Annotated[Literal["cbor", "json"], Meta(description="of the reports; cbor is the smaller")] = "cbor"
    names: Annotated[Literal["short", "long"], Meta(description="the spelling of the keys in a report")] = "short"
    blocks: Annotated[
        tuple[Block, ...],
        Meta(description="the device metrics that a report carries", max_length=4),
    ] = ("network_stats", "listening_tcp_ports", "listening_udp_ports", "tcp_connections")
    maximum_ports: Annotated[
        int, Meta(description="the longest list of ports in a report; the total stays true", ge=1, le=1000)
    ] = 100
    maximum_connections: Annotated[
        int, Meta(description="the longest list of connections in a report; the total stays true", ge=1, le=1000)
    ] = 100
    custom_metric: Annotated[
        tuple[CustomMetric, ...],
        Meta(
            description="the metrics declared to Device Defender",
            max_length=MAXIMUM_CUSTOM_METRICS,
            extra={"quota": "the quota of an AWS account"},
        ),
    ] = ()
