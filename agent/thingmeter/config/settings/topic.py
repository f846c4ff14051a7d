"""[topic]."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

GLOB_WORDS: Final = "names such as cpu.usage_percent, in which * stands for any characters and ? for one"


class Topic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[topic]: samples to an ordinary MQTT topic, no Device Defender needed; without this table none. It needs [mqtt].

    Attributes:
        template: the topic itself, ``{thing}`` replaced.
    """

    template: Annotated[
        str,
        Meta(
            description="the topic that samples are published to; {thing} is replaced; $aws/rules/RULE/... is Basic "
            "Ingest, straight to a rule",
            min_length=1,
            examples=["telemetry/{thing}"],
            extra={
                "allowed": "a topic of at most 256 bytes and 7 slashes, without + and #; of $aws/rules/RULE/... "
                "what comes behind RULE/ counts"
            },
        ),
    ]
    interval_s: Annotated[
        int, Meta(description="how often the newest sample of each series is published", ge=1, le=86_400)
    ] = 60
    metrics: Annotated[
        tuple[
            Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.*?]{1,130}$", extra={"allowed": GLOB_WORDS})],
            ...,
        ],
        Meta(
            description="the metrics that are published, as collector.metric",
            min_length=1,
            max_length=100,
            examples=[["cpu.*", "pump.litres"]],
            extra={"allowed": f"an array of 1 to 100 {GLOB_WORDS}"},
        ),
    ] = ("*",)
