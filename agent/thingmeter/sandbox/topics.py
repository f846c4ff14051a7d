"""Topic names and filters. Source: OASIS MQTT 5.0, 4.7."""

from __future__ import annotations


def is_name(topic: str) -> bool:
    """Return whether ``topic`` can be published to."""
    return bool(topic) and "+" not in topic and "#" not in topic


def is_filter(topic_filter: str) -> bool:
    """Return whether ``topic_filter`` can be subscribed to: wildcards fill whole levels, # only the last one."""
    levels = topic_filter.split("/")
    whole = all(level in {"+", "#"} or not ("+" in level or "#" in level) for level in levels)
    return bool(topic_filter) and whole and "#" not in levels[:-1]


def matches(topic_filter: str, topic: str) -> bool:
    """Return whether a message on ``topic`` is for ``topic_filter``; a leading wildcard never matches a leading $."""
    if topic.startswith("$") and topic_filter[:1] in {"+", "#"}:
        return False
    wanted, given = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if len(given) < len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(
        level in {"+", actual} for level, actual in zip(wanted, given, strict=True)
    )
