"""The nouns of usage: who is billed for what, what was measured, and what is sent. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from thingmeter.metrics import Dimensions


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """What is billed apart.

    Attributes:
        metric_name: of the UOM.
        account_ref: who is billed, passed through untouched.
        org_ref: of the account; may be empty.
        user_ref: of the account; may be empty.
        dimensions: the declared ones alone, sorted.
    """

    metric_name: str
    account_ref: str
    org_ref: str = ""
    user_ref: str = ""
    dimensions: Dimensions = ()


@dataclass(frozen=True, slots=True)
class UsageSample:
    """One value for one group at one instant (aware UTC); a boolean is 1.0 or 0.0."""

    group: Group
    value: int | float
    at: datetime


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """What is recorded for a group; ``at`` (aware UTC, to the millisecond) lies in the window that it sums up."""

    group: Group
    value: int | float
    at: datetime
