r"""Usage records: the frame that one point is kept in, and the request that frames make. Pure.

A frame is three lines, and final from the moment it is made: id, time, value and dimensions never change, and every
request carries the same bytes of them.

    1 sum                                                               the format of the frame, the aggregation type
    {"account_ref":"ACC-1","name":"pumped_litres"}                      the head: what is billed, to whom
    {"id":"pump-7.5f3c.9a41.1","timestamp":"2026-01-01T00:07:30.000Z","value":12.5,"dimensions":[{"key":...}]}

A request joins points that stand side by side under one head: {"metrics":[{HEAD,"data_points":[POINT,...]},...]}.
Numbers are spelled so that reading them gives the same number: integers by all their digits, floats by the shortest
decimal that is nearest to them. Source: DevRev's beta API, ``metrics.devrev.ingest``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast, get_args

from thingmeter.config.settings import AggregationType
from thingmeter.config.wording import escape
from thingmeter.destinations.devrev.points import Group, UsagePoint

FORMAT = b"1 "
COUNTED_TWICE = (b"sum", b"duration")

OPEN, BETWEEN, CLOSE = b'{"metrics":[', b",", b"]}"
POINTS, END_OF_POINTS = b',"data_points":[', b"]}"


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What a frame says."""

    id: str
    point: UsagePoint
    aggregation_type: AggregationType


def encode(point: UsagePoint, id: str, aggregation_type: AggregationType) -> bytes:  # noqa: A002  # the wire's word
    """Return the frame of a point; ``id`` is what DevRev tells repeats by.

    Raises:
        ValueError: the value is no number that a double can hold, or a text is not Unicode.
    """
    group = point.group
    head = {"account_ref": group.account_ref}
    head |= {key: ref for key, ref in (("org_ref", group.org_ref), ("user_ref", group.user_ref)) if ref}
    head["name"] = group.metric_name
    body: dict[str, object] = {"id": id, "timestamp": _timestamp(point.at), "value": _number(point.value)}
    if group.dimensions:
        body["dimensions"] = [{"key": key, "value": value} for key, value in group.dimensions]
    return b"\n".join((FORMAT + aggregation_type.encode(), _json(head), _json(body)))


def body(frames: Sequence[bytes]) -> bytes:
    """Return the request that carries the points of all ``frames``, at least one, in their order."""
    entries = [head[:-1] + POINTS + BETWEEN.join(points) + END_OF_POINTS for head, points in _entries(frames)]
    return OPEN + BETWEEN.join(entries) + CLOSE


def size_of(frames: Iterable[bytes]) -> int:
    """Return how many bytes ``body(frames)`` has; 0 without frames."""
    return max(_sizes(frames), default=0)  # each frame makes it larger


def fitting(frames: Iterable[bytes], *, maximum_points: int, maximum_bytes: int) -> int:
    """Return how many ``frames``, from the first one on, make a request within both limits."""
    count = 0
    for size in _sizes(frames):
        if count >= maximum_points or size > maximum_bytes:
            break
        count += 1
    return count


def is_ambiguous_costly(frame: bytes) -> bool:
    """Return whether a server that forgot the id would count a second copy again."""
    return frame.partition(b"\n")[0].removeprefix(FORMAT) in COUNTED_TWICE


def read(frame: bytes) -> UsageRecord:
    """Return what a frame says, number for number.

    Raises:
        ValueError: it is no frame of this version.
    """
    try:
        first, head_line, point_line = frame.split(b"\n")
        kind = first.removeprefix(FORMAT).decode()
        head, point = json.loads(head_line), json.loads(point_line)
        dimensions = tuple((each["key"], each["value"]) for each in point.get("dimensions", ()))
        refs = head["account_ref"], head.get("org_ref", ""), head.get("user_ref", "")
        at = datetime.fromisoformat(point["timestamp"])
        usage = UsagePoint(Group(head["name"], *refs, dimensions), point["value"], at)
        known = UsageRecord(point["id"], usage, cast("AggregationType", kind))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError("not a usage record of this version of thingmeter") from error
    if not first.startswith(FORMAT) or kind not in get_args(AggregationType):
        raise ValueError("not a usage record of this version of thingmeter")
    return known


def at_of(frame: bytes) -> datetime:
    """Return the time of a frame's point, aware UTC."""
    return read(frame).point.at


def amount_of(frame: bytes) -> int | float:
    """Return how much usage is in a frame: the value of a sum; 0 where values do not add up."""
    record = read(frame)
    return record.point.value if record.aggregation_type == "sum" else 0


def describe(frame: bytes) -> str:
    """Return a frame as one line for people; bytes that are no frame are said to be none."""
    try:
        record = read(frame)
    except ValueError as error:
        return str(error)
    point, group = record.point, record.point.group
    refs = (("account", group.account_ref or "unknown"), ("org", group.org_ref), ("user", group.user_ref))
    parts = [
        f"{group.metric_name} {point.value} at {_timestamp(point.at)}",
        *(f"{key} {ref}" for key, ref in refs if ref),
    ]
    parts += [f"{key}={value}" for key, value in group.dimensions]
    return escape(f"{', '.join(parts)} ({record.aggregation_type}, id {record.id})")


def _entries(frames: Iterable[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield each head with the points that stand side by side under it."""
    last, points = b"", list[bytes]()
    for frame in frames:
        _, head, point = frame.split(b"\n")
        if head != last and points:
            yield last, points
            points = []
        last = head
        points.append(point)
    if points:
        yield last, points


def _sizes(frames: Iterable[bytes]) -> Iterator[int]:
    """Yield how many bytes the request has with each further frame."""
    size = len(OPEN) + len(CLOSE) - len(BETWEEN)
    last = b""
    for frame in frames:
        _, head, point = frame.split(b"\n")
        is_new = head != last
        size += len(BETWEEN) + len(point) + (len(head) - 1 + len(POINTS) + len(END_OF_POINTS) if is_new else 0)
        last = head
        yield size


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: float) -> int | float:
    """Return a number as JSON has it.

    Raises:
        ValueError: there is none, or no double that could hold it.
    """
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        is_finite = False
    if not is_finite:
        raise ValueError("the value is no number that a double can hold")
    return float(value) if isinstance(value, bool) else value


def _json(document: dict[str, object] | dict[str, str]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
