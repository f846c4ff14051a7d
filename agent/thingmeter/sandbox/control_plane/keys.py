"""Access keys: one of the operator, which lasts, and those that the credentials provider issues, which expire."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime

LONG_LASTING, SHORT_LIVED = "AKIA", "ASIA"  # how AWS's ids of both kinds begin
KEPT = 20_000
ID_BYTES = 10  # 16 characters of base32
SECRET_BYTES = 30  # 40 characters of base64
TOKEN_BYTES = 300


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What signs a request.

    Attributes:
        id: names the key.
        secret: signs.
        owner: who has it: a thing, or the operator.
        session_token: goes with each request; empty for a key that lasts.
        expires_at: aware; None for a key that lasts.
    """

    id: str
    secret: str = field(repr=False)
    owner: str
    session_token: str = field(default="", repr=False)
    expires_at: datetime | None = None


def new_key(owner: str) -> AccessKey:
    """Return a key that lasts."""
    return AccessKey(_id(LONG_LASTING), _random(SECRET_BYTES), owner)


def new_session_key(owner: str, expires_at: datetime) -> AccessKey:
    """Return a key that lasts until ``expires_at``."""
    return AccessKey(_id(SHORT_LIVED), _random(SECRET_BYTES), owner, _random(TOKEN_BYTES), expires_at)


class KeyRing:
    """The keys that the control plane knows; of many short-lived ones the newest 20,000."""

    def __init__(self, *keys: AccessKey) -> None:
        self._lasting = {key.id: key for key in keys}
        self._issued: dict[str, AccessKey] = {}

    def add(self, key: AccessKey) -> None:
        """Make a key known."""
        if key.expires_at is None:
            self._lasting[key.id] = key
            return
        self._issued[key.id] = key
        if len(self._issued) > KEPT:
            del self._issued[next(iter(self._issued))]

    def find(self, key_id: str) -> AccessKey | None:
        """Return the key of this id, also one that has expired."""
        return self._lasting.get(key_id) or self._issued.get(key_id)


def _id(kind: str) -> str:
    return kind + base64.b32encode(secrets.token_bytes(ID_BYTES)).decode()


def _random(count: int) -> str:
    return base64.b64encode(secrets.token_bytes(count)).decode()
