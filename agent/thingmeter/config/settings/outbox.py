"""[outbox]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Outbox(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[outbox]: the durable queue of messages that nobody has accepted yet, one SQLite file."""

    path: Annotated[
        str,
        Meta(
            description="the SQLite file; its folder is made where it is missing",
            min_length=1,
            examples=["/var/lib/thingmeter/outbox.db"],
            extra={
                "allowed": "the path of a file",
                "default": "outbox.db in $STATE_DIRECTORY, else /var/lib/thingmeter for root, else "
                "$XDG_STATE_HOME/thingmeter (~/.local/state/thingmeter)",
            },
        ),
    ] = ""
    maximum_bytes: Annotated[int, Meta(description="the size it may grow to", ge=1_048_576, le=1_099_511_627_776)] = (
        67_108_864
    )
    maximum_age_s: Annotated[
        int, Meta(description="telemetry that waits longer is dropped; usage never is", ge=60, le=315_360_000)
    ] = 2_592_000
    minimum_free_bytes: Annotated[
        int, Meta(description="of the file system: the outbox does not grow into them", ge=0, le=1_099_511_627_776)
    ] = 16_777_216
    journal_interval_s: Annotated[
        int,
        Meta(
            description="how often samples that feed usage are committed; those of the last such seconds are what a "
            "crash can lose; counters lose nothing",
            ge=1,
            le=3600,
        ),
    ] = 10
