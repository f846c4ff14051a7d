"""Which samples feed a UOM, whom each is billed to, and what keeps a UOM from ever being fed. Pure.

Dimensions that a UOM does not declare are projected away before anything is folded: DevRev groups by the declared ones
alone. Keys of dimensions are compared as they are spelled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from thingmeter.config.settings import DevRev, Uom
from thingmeter.destinations.devrev.points import Group
from thingmeter.metrics import Dimensions, Metric, Value

DIMENSION_CHARACTERS = 256  # of a value. Source: DevRev's beta API, metric-data-point-dimension
OF_STATES = ("duration", "running_total")
SENDS_THE_VALUE = ("duration", "latest", "maximum", "minimum", "oldest")


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a sample cannot be billed, and what it was grouped as so far: ``account_ref`` may be empty."""

    group: Group
    reason: str


class Projection:
    """What one UOM takes of a sample, and how it groups it."""

    def __init__(self, uom: Uom, devrev: DevRev) -> None:
        """Take a UOM's settings; references that it has none of its own for are those of [devrev]."""
        self.metric_name = uom.metric_name
        self.source = uom.from_ or uom.metric_name
        self._where = frozenset(uom.where.items())
        self._declared = tuple(sorted(uom.dimensions))
        self._unique = uom.unique_dimension
        self._account = _Reference(uom.account_dimension, uom.account_ref or devrev.account_ref)
        self._org = _Reference(uom.org_dimension, uom.org_ref or devrev.org_ref)
        self._user = _Reference(uom.user_dimension, uom.user_ref or devrev.user_ref)
        self._is_boolean = uom.unit.type == "boolean" and uom.aggregation_type in SENDS_THE_VALUE

    def takes(self, name: str, dimensions: Dimensions) -> bool:
        """Return whether a sample of this metric (its full name, or the one that it was handed in under) feeds it."""
        return name == self.source and self._where.issubset(dimensions)

    def group(self, dimensions: Dimensions) -> Group | Misfit:
        """Return what a sample with these dimensions belongs to.

        A declared dimension that the sample lacks is left out, and so are the organisation and the user where a
        dimension should name them. What must be there is the account, and the unique dimension: without it a record
        says nothing that DevRev could count.
        """
        found = dict(dimensions)
        kept = tuple((key, found[key]) for key in self._declared if key in found)
        refs = self._account.of(found), self._org.of(found), self._user.of(found)
        group = Group(self.metric_name, *refs, kept)
        reason = next(self._reasons(group, found), "")
        return Misfit(group, reason) if reason else group

    def number(self, value: Value) -> int | float:
        """Return a sample's value as DevRev has it: a boolean as 1.0 or 0.0.

        Raises:
            ValueError: it is no number, none that a double can hold, or neither 0 nor 1 where the unit is boolean.
        """
        if isinstance(value, bool):
            return float(value)
        if not isinstance(value, int | float):
            raise ValueError(f"{self.metric_name} takes numbers and booleans, not {type(value).__name__}")  # noqa: TRY004  # one error for every value that does not fit
        if not _is_double(value):
            raise ValueError(f"{self.metric_name}: the value is no number that a double can hold")
        if self._is_boolean and value not in {0, 1}:
            raise ValueError(f"{self.metric_name}: its unit is boolean, and the value is neither 0 nor 1")
        return value

    def _reasons(self, group: Group, found: Mapping[str, str]) -> Iterator[str]:
        if not group.account_ref:
            dimension = self._account.dimension
            yield f"the dimension {dimension}, which names the account, is missing" if dimension else "no account_ref"
        if self._unique and self._unique not in found:
            yield f"the dimension {self._unique}, whose values are counted, is missing"
        for key, value in group.dimensions:
            if len(value) > DIMENSION_CHARACTERS:
                yield f"the dimension {key} has more than {DIMENSION_CHARACTERS} characters, and DevRev takes no more"


@dataclass(frozen=True, slots=True)
class _Reference:
    """Where an account, an organisation or a user comes from: a dimension, or else the settings."""

    dimension: str
    ref: str

    def of(self, found: Mapping[str, str]) -> str:
        return found.get(self.dimension, "") if self.dimension else self.ref


def mistake_in(uom: Uom, known: Mapping[str, Metric]) -> str:
    """Return what keeps a UOM from ever getting a right record, or nothing.

    ``known`` holds every metric that a configured collector declares, by its full name. A UOM whose ``from`` names no
    collector is fed by values that are handed to the agent: their dimensions show when they come.
    """
    if uom.unit.type == "boolean" and uom.aggregation_type == "sum":
        return "a sum of booleans is no boolean: a unit of type number takes it, or duration says how long it was on"
    if "." not in uom.from_:
        return ""
    source = known.get(uom.from_)
    if source is None:
        return _unknown(uom.from_, known)
    return next(_mistakes(uom, source), "")


def _unknown(name: str, known: Mapping[str, Metric]) -> str:
    collector, _, metric = name.partition(".")
    if collector not in {each.partition(".")[0] for each in known}:
        return f"no collector {collector} runs; a table [collectors.{collector}] starts one"
    near = get_close_matches(name, known, n=1)
    return f"collector {collector} has no metric {metric}" + (f"; did you mean {near[0]}?" if near else "")


def _mistakes(uom: Uom, source: Metric) -> Iterator[str]:
    name, kind = uom.from_, uom.aggregation_type
    if source.type not in {"number", "boolean"}:
        yield f"{name} is of type {source.type}; a UOM takes number or boolean"
    if uom.unit.type == "boolean" and kind in SENDS_THE_VALUE and source.type != "boolean":
        yield f"{name} is of type {source.type}; a boolean unit takes boolean"
    if source.kind == "counter" and kind in OF_STATES:
        yield f"{name} is a counter; {kind} takes what is on and off, a gauge or a boolean"
    if uom.maximum_increase is not None and (source.kind != "counter" or kind != "sum"):
        yield f"maximum_increase bounds what a counter adds to a sum; {name} is a {source.kind}, aggregated by {kind}"
    keys = (*uom.dimensions, *uom.where, uom.account_dimension, uom.org_dimension, uom.user_dimension)
    for key in keys:
        if key and key not in source.dimensions:
            near = next((each for each in source.dimensions if each.lower() == key.lower()), "")
            hint = f"did you mean {near}?" if near else f"its dimensions: {', '.join(source.dimensions) or 'none'}"
            yield f"{name} has no dimension {key}; {hint}"


def _is_double(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False
