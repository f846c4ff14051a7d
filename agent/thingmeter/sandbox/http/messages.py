"""A request as the sandbox's services see it, and their answer. Plain data: a service can be asked without a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request.

    Attributes:
        method: in upper case.
        path: as it came, percent-encoded, without the query.
        query: as it came, percent-encoded, without the question mark.
        headers: names in lower case; the values of one that came several times joined by commas.
        body: all of it.
        client: the common name in the client's certificate; empty without one.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer; ``content-length`` and ``date`` are added by the server where they are missing."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, status: int, content: Any, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Return an answer with a JSON body."""
        return cls(status, json.dumps(content).encode(), {"content-type": "application/json", **(headers or {})})


Service: TypeAlias = Callable[[HttpRequest], HttpAnswer]
"""Answers at once; called on one thread at a time."""
