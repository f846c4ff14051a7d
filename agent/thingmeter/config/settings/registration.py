"""[registration]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Registration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[registration]: when custom metrics and UOMs are registered."""

    spread_s: Annotated[
        int,
        Meta(
            description="the first registration waits a share of this that the thing's name decides, so that a fleet "
            "that boots at once does not ask at once; 0: it waits for nothing",
            ge=0,
            le=604_800,
        ),
    ] = 7200
    verify_interval_s: Annotated[
        int,
        Meta(
            description="how often what is registered is looked at again: a UOM disabled later drops its records",
            ge=60,
            le=31_536_000,
        ),
    ] = 86_400
