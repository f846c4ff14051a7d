"""What happens to connections, for the page and for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

EventKind: TypeAlias = Literal["connected", "refused", "disconnected", "subscribed", "denied", "published"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a connection.

    ``client`` is the client id, or the name in the certificate before there is one. ``detail`` is in words; for
    ``published`` it is the topic.
    """

    at: datetime
    kind: EventKind
    client: str
    detail: str = ""
    payload: bytes = b""
