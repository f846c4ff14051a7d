"""One HTTPS exchange: a request and its answer, for the control planes. Loaded where something is registered only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Request:
    """``url`` is absolute, its path and query percent-encoded; names of headers are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """Names of headers are in lower case; of a header that came twice the last one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Exchange: TypeAlias = Callable[[Request], Answer]
"""Sends a request and returns the answer, whatever its status; blocks, within a time limit.

Raises:
    Unanswered: the request went out, at least in part, and no whole answer came back.
    Unreachable: nothing of the request was taken for certain.
"""
