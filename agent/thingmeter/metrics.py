"""The nouns: Metric, Sample, DataPoint and the values they carry. Pure data; imports nothing of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["gauge", "counter"]
Type: TypeAlias = Literal["number", "boolean", "text", "address", "connections", "listeners"]
Resets: TypeAlias = Literal["boot", "never", "unknown"]
Dimensions: TypeAlias = tuple[tuple[str, str], ...]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Connection:
    """One established TCP connection; ``interface`` is None where the local address belongs to no interface."""

    remote_address: IPv4Address | IPv6Address
    remote_port: int
    local_address: IPv4Address | IPv6Address
    local_port: int
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening TCP socket or bound UDP socket; ``interface`` is None for the wildcard addresses."""

    port: int
    address: IPv4Address | IPv6Address
    interface: str | None = None


Value: TypeAlias = int | float | bool | str | IPv4Address | IPv6Address | tuple[Connection, ...] | tuple[Listener, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured.

    Attributes:
        name: letters, digits and ``_``, no leading digit, 1-64 characters; a collector names its own metrics, and the
            agent puts the collector's name before it: ``cpu.usage_percent``.
        unit: in UCUM spelling: ``%``, ``By``, ``s``, ``Cel``, ``1`` for a count.
        description: one sentence for people.
        kind: a ``gauge`` is true at one instant; a ``counter`` only grows, and what it grew by is what counts.
        type: of its values. ``connections`` and ``listeners`` are tuples of Connection and Listener.
        dimensions: the keys that its samples may carry.
        resets: when a counter starts again from zero: at each ``boot``, ``never``, or at times ``unknown``.

    Raises:
        ValueError: a part is not as said above.
    """

    name: str
    unit: str
    description: str = ""
    kind: Kind = "gauge"
    type: Type = "number"
    dimensions: tuple[str, ...] = ()
    resets: Resets = "boot"

    def __post_init__(self) -> None:
        for part in self.name.split(".", maxsplit=1):
            if not NAME.fullmatch(part):
                raise ValueError(f"metric name {self.name!r}: only letters, digits and _, no leading digit, 1-64 long")
        for key, allowed in (("kind", Kind), ("type", Type), ("resets", Resets)):
            if getattr(self, key) not in get_args(allowed):
                raise ValueError(f"metric {self.name}: {key} must be one of {', '.join(get_args(allowed))}")
        if self.kind == "counter" and self.type != "number":
            raise ValueError(f"metric {self.name}: a counter must be of type number")

    def sample(self, value: Value, dimensions: Mapping[str, str] | None = None, at: datetime | None = None) -> Sample:
        """Return one value of this metric; without ``at`` (aware) the agent stamps it when the collector returns."""
        return Sample(self, value, at, tuple(sorted(dimensions.items())) if dimensions else ())


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric; ``at`` is aware UTC (None until stamped), ``dimensions`` is sorted."""

    metric: Metric
    value: Value
    at: datetime | None = None
    dimensions: Dimensions = ()


PointValue: TypeAlias = Value | tuple[int | float, ...] | tuple[str, ...] | tuple[IPv4Address | IPv6Address, ...]


@dataclass(frozen=True, slots=True)
class DataPoint:
    """What the samples of one window came to.

    ``metric`` is the name under which it is reported, ``start`` and ``end`` bound the window, ``at`` is the time that
    the value stands for; all three aware UTC.
    """

    metric: str
    value: PointValue
    start: datetime
    end: datetime
    at: datetime
    dimensions: Dimensions = ()
