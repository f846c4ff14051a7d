"""What a certificate allows, in the manner of an AWS IoT policy: patterns in which * stands for any characters.

The common name of a certificate names its thing. A pattern that begins with * allows nothing below ``$``: those topics
are reserved. Source: docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

OPERATOR = "operator"
OPEN_TOPICS = ("status", "telemetry", "usage")


@dataclass(frozen=True, slots=True)
class Policy:
    """Patterns of what is allowed: client ids, topics to publish, filters to subscribe, topics to receive."""

    client_ids: tuple[str, ...]
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    receive: tuple[str, ...]


def policy_of(name: str) -> Policy:
    """Return what the holder of a certificate for ``name`` may do: a thing, or the operator who watches them."""
    if name == OPERATOR:
        return Policy(client_ids=(f"{OPERATOR}*",), publish=("*",), subscribe=("*",), receive=("*",))
    metrics = f"$aws/things/{name}/defender/metrics/*"
    own = tuple(pattern for topic in OPEN_TOPICS for pattern in (f"{topic}/{name}", f"{topic}/{name}/*"))
    answers = (f"{metrics}/accepted", f"{metrics}/rejected")
    return Policy(client_ids=(name,), publish=(metrics, *own), subscribe=(*answers, *own), receive=(*answers, *own))


def allowed(patterns: Iterable[str], text: str) -> bool:
    """Return whether one of the patterns covers ``text``."""
    return any(
        _compiled(pattern).fullmatch(text) is not None
        for pattern in patterns
        if not (pattern.startswith("*") and text.startswith("$"))
    )


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
