"""[clock]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Clock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[clock]: when the time of day is believed."""

    sync_wait_s: Annotated[
        int,
        Meta(
            description="how long after the boot usage is kept without a time of day while the kernel says that its "
            "clock is not synchronised; after that the clock is trusted as it is; 0: at once",
            ge=0,
            le=86_400,
        ),
    ] = 300
