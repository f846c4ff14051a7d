"""Topic names and filters (pure). Source: MQTT 5.0, section 4.7."""

from __future__ import annotations

MAXIMUM_BYTES = 65_535


def name_problem(topic: str) -> str:
    """Return why nothing can be published to ``topic``; empty when it is fine."""
    if not topic:
        return "is empty"
    if any(character in topic for character in "+#\0"):
        return "contains +, # or a zero character"
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return f"has {size} bytes, MQTT allows {MAXIMUM_BYTES}" if size > MAXIMUM_BYTES else ""


def matches(filter_: str, topic: str) -> bool:
    """Return whether a message on ``topic`` belongs to a subscription to ``filter_``."""
    if topic.startswith("$") and filter_[:1] in {"+", "#"}:
        return False
    levels = topic.split("/")
    wanted = filter_.split("/")
    if wanted[-1] == "#":
        del wanted[-1]
        levels = levels[: len(wanted)]
    return len(levels) == len(wanted) and all(want in {"+", level} for want, level in zip(wanted, levels, strict=True))
