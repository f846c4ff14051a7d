"""[collectors.NAME]."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct


class Collector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[collectors.NAME]: takes samples of one subject. With any such table, only those and those of the blocks.

    ``options`` are the keys that are not listed here, each the collector's own; the collector checks them.
    """

    name: str
    use: Annotated[
        str,
        Meta(
            description="the plugin's entry point in the group thingmeter.collectors",
            pattern=r"^[!-~]{1,128}$",
            examples=["acme-pump"],
            extra={"allowed": "the name of an entry point", "default": "the table's name"},
        ),
    ] = ""
    interval_s: Annotated[float, Meta(description="how often it takes samples", ge=1, le=86_400)] = 10
    timeout_s: Annotated[
        float,
        Meta(
            description="how long it may take before it counts as failed; at most interval_s",
            ge=0.01,
            le=86_400,
            extra={"default": "5, or interval_s where that is less"},
        ),
    ] = 5
    options: dict[str, Any] = {}
