"""What a request to the custom-metric operations must look like; the answer names every broken rule, as AWS does.

Source: the service model of AWS IoT 2015-05-28 (required members, lengths, patterns, the enum);
docs.aws.amazon.com/iot/latest/apireference/API_CreateCustomMetric.html (the ``aws:`` prefix);
docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html (fifty tags, the prefix of tags)
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from thingmeter.sandbox.control_plane.refusal import Refusal
from thingmeter.sandbox.http.messages import HttpRequest

TYPES = ("string-list", "ip-address-list", "number-list", "number")
NAME_PATTERN = "[a-zA-Z0-9:_-]+"
DISPLAY_NAME_PATTERN = r"[\p{Graph}\x20]*"
TOKEN_PATTERN = "^[a-zA-Z0-9-_]+$"  # noqa: S105  # a pattern, no password
TAG_KEY_PATTERN = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"
MAXIMUM_NAME = 128
MAXIMUM_TOKEN = 64
MAXIMUM_TAG_KEY = 128
MAXIMUM_TAG_VALUE = 256
MAXIMUM_TAGS = 50
MAXIMUM_RESULTS = 250
RESERVED = "aws:"
TAG_KEY_MARKS = frozenset("_.:/=+-@")

_NAME = re.compile(NAME_PATTERN)
_DISPLAY_NAME = re.compile(r"[\x20-\x7e]*")
_TOKEN = re.compile(r"[a-zA-Z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Creation:
    """A valid request to create a custom metric."""

    name: str
    type: str
    token: str
    display_name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """A valid request for a page of names; 0 results: as many as the service likes."""

    results: int = 0
    token: str = ""


def read_creation(name: str, request: HttpRequest) -> Creation:
    """Return what is to be created.

    Raises:
        Refusal: a rule is broken.
    """
    body = _read_body(request)
    kind, token, display_name = body.get("metricType"), body.get("clientRequestToken"), body.get("displayName")
    _complain(
        *_name_faults(name),
        *_type_faults(kind),
        *_text_faults("clientRequestToken", token, _TOKEN, TOKEN_PATTERN, (1, MAXIMUM_TOKEN)),
        *_display_name_faults(display_name, required=False),
        *_tag_faults(body.get("tags")),
    )
    if name.startswith(RESERVED):
        raise Refusal("InvalidRequestException", f"Metric name {name} must not begin with the prefix {RESERVED}")
    tags = {tag["Key"]: tag.get("Value") or "" for tag in body.get("tags") or ()}
    _refuse_tags(tags, len(body.get("tags") or ()))
    return Creation(name, str(kind), str(token), display_name or "", tags)


def read_name(name: str) -> str:
    """Return a valid name of a metric.

    Raises:
        Refusal: a rule is broken.
    """
    _complain(*_name_faults(name))
    return name


def read_update(name: str, request: HttpRequest) -> str:
    """Return the display name that a metric is to get.

    Raises:
        Refusal: a rule is broken.
    """
    display_name = _read_body(request).get("displayName")
    _complain(*_name_faults(name), *_display_name_faults(display_name, required=True))
    return str(display_name)


def read_listing(request: HttpRequest) -> Listing:
    """Return which page is asked for.

    Raises:
        Refusal: a rule is broken.
    """
    asked = dict(parse_qsl(request.query, keep_blank_values=True))
    results = asked.get("maxResults", "")
    if results and not re.fullmatch(r"-?[0-9]{1,9}", results):
        raise Refusal("SerializationException", f"{results!r} at 'maxResults' is no integer")
    count = int(results or "0")
    if results and count < 1:
        _complain(_fault("maxResults", results, "Member must have value greater than or equal to 1"))
    if count > MAXIMUM_RESULTS:
        _complain(_fault("maxResults", results, f"Member must have value less than or equal to {MAXIMUM_RESULTS}"))
    return Listing(count, asked.get("nextToken", ""))


def _read_body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise Refusal("SerializationException", f"The body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal("SerializationException", "The body is no JSON object")
    return body


def _complain(*faults: str) -> None:
    if faults:
        count = f"{len(faults)} validation error{'' if len(faults) == 1 else 's'} detected"
        raise Refusal("InvalidRequestException", f"{count}: {'; '.join(faults)}")


def _fault(member: str, value: object, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{member}' failed to satisfy constraint: {constraint}"


def _name_faults(name: str) -> Iterator[str]:
    return _text_faults("metricName", name, _NAME, NAME_PATTERN, (1, MAXIMUM_NAME))


def _type_faults(kind: object) -> Iterator[str]:
    if kind is None:
        yield _fault("metricType", kind, "Member must not be null")
    elif kind not in TYPES:
        yield _fault("metricType", kind, f"Member must satisfy enum value set: [{', '.join(TYPES)}]")


def _display_name_faults(display_name: object, *, required: bool) -> Iterator[str]:
    if display_name is None and not required:
        return iter(())
    return _text_faults("displayName", display_name, _DISPLAY_NAME, DISPLAY_NAME_PATTERN, (0, MAXIMUM_NAME))


def _text_faults(
    member: str, value: object, allowed: re.Pattern[str], pattern: str, length: tuple[int, int]
) -> Iterator[str]:
    if value is None:
        yield _fault(member, value, "Member must not be null")
        return
    if not isinstance(value, str):
        raise Refusal("SerializationException", f"'{member}' is no string")
    shortest, longest = length
    if len(value) < shortest:
        yield _fault(member, value, f"Member must have length greater than or equal to {shortest}")
    if len(value) > longest:
        yield _fault(member, value, f"Member must have length less than or equal to {longest}")
    if value and not allowed.fullmatch(value):
        yield _fault(member, value, f"Member must satisfy regular expression pattern: {pattern}")


def _tag_faults(tags: object) -> Iterator[str]:
    if tags is None:
        return
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        raise Refusal("SerializationException", "'tags' is no list of maps")
    for number, tag in enumerate(tags, start=1):
        member, key, value = f"tags.{number}.member", tag.get("Key"), tag.get("Value")
        if not isinstance(key, str | None) or not isinstance(value, str | None):
            raise Refusal("SerializationException", f"'{member}' holds no strings")
        if key is None:
            yield _fault(f"{member}.key", key, "Member must not be null")
        elif not 1 <= len(key) <= MAXIMUM_TAG_KEY:
            bound = f"greater than or equal to 1 and less than or equal to {MAXIMUM_TAG_KEY}"
            yield _fault(f"{member}.key", key, f"Member must have length {bound}")
        elif not all(mark in TAG_KEY_MARKS or unicodedata.category(mark)[0] in "LZN" for mark in key):
            yield _fault(f"{member}.key", key, f"Member must satisfy regular expression pattern: {TAG_KEY_PATTERN}")
        if value is not None and len(value) > MAXIMUM_TAG_VALUE:
            yield _fault(f"{member}.value", value, f"Member must have length less than or equal to {MAXIMUM_TAG_VALUE}")


def _refuse_tags(tags: Mapping[str, str], count: int) -> None:
    """Refuse what no pattern can say: too many tags, a key twice, a key that AWS keeps for itself."""
    if len(tags) < count:
        raise Refusal("InvalidRequestException", "Duplicate tag keys are not allowed")
    if count > MAXIMUM_TAGS:
        raise Refusal("InvalidRequestException", f"{count} tags; a resource can have {MAXIMUM_TAGS}")
    for key in tags:
        if key.lower().startswith(RESERVED):
            raise Refusal("InvalidRequestException", f"Tag key {key} must not begin with the prefix {RESERVED}")
