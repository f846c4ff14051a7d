"""The grammar of hosts, proxies and topics. Each function returns what is wrong with a text, or None."""

from __future__ import annotations

import re
from ipaddress import ip_address

LONGEST_TOPIC_BYTES = 256  # AWS IoT Core message broker limits
MOST_TOPIC_SLASHES = 7

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_DOTTED_NUMBERS = re.compile(r"[0-9.]+")
_HOST_AND_PORT = re.compile(r"(?P<host>[^:\s/]+|\[[^\]\s]*\]):(?P<port>[0-9]{1,5})")
_PROXY = re.compile(
    r"http://(?:(?P<user>[^:@/\s]+)(?P<password>:[^@/]*)?@)?(?P<host>[^:@/\s\[\]]+|\[[^\]\s]+\]):(?P<port>[0-9]{1,5})/?"
)
_HIGHEST_PORT = 65_535


def host_fault(host: str) -> str | None:
    """Return what keeps ``host`` from being a plain host name or IP address."""
    allowed = "must be a host name or an IP address"
    if "://" in host:
        return f"{allowed}, without the scheme {host.partition('://')[0]}://"
    if "/" in host or "@" in host:
        return f"{allowed}, without path and user"
    with_port = _HOST_AND_PORT.fullmatch(host)
    if with_port:
        return (
            f"{allowed}; the port goes into the setting port: host = {with_port['host']!r}, port = {with_port['port']}"
        )
    if host.startswith("[") and host.endswith("]"):
        return f"{allowed}, without brackets"
    return None if _is_host(host) else allowed


def proxy_fault(proxy: str) -> str | None:
    """Return what keeps ``proxy`` from being ``http://[user@]host:port``."""
    allowed = "must be http://HOST:PORT or http://USER@HOST:PORT"
    match = _PROXY.fullmatch(proxy)
    if match is None:
        scheme, separator, _ = proxy.partition("://")
        if separator and scheme != "http":
            return f"{allowed}; only plain HTTP proxies are known (the broker's TLS goes through them untouched)"
        return allowed
    if match["password"] is not None:
        return "must not hold a password; put it into a file and name that by proxy_password_file"
    if not _is_host(match["host"].strip("[]")) or not 1 <= int(match["port"]) <= _HIGHEST_PORT:
        return f"{allowed}, with a port from 1 to {_HIGHEST_PORT}"
    return None


def proxy_user(proxy: str) -> str:
    """Return the user named in a proxy, or nothing."""
    match = _PROXY.fullmatch(proxy)
    return (match["user"] or "") if match else ""


def topic_fault(topic: str) -> str | None:
    """Return what keeps ``topic``, its {thing} already replaced, from being published to."""
    if "+" in topic or "#" in topic:
        return "must not hold + or #, which only subscriptions may"
    if "{" in topic or "}" in topic:
        return "may hold {thing}, and no other { or }"
    if topic.startswith("$"):
        return "must not begin with $, which brokers keep to themselves"
    if len(topic.encode()) > LONGEST_TOPIC_BYTES:
        return f"is {len(topic.encode())} bytes long, at most {LONGEST_TOPIC_BYTES} are allowed"
    if topic.count("/") > MOST_TOPIC_SLASHES:
        return f"has {topic.count('/')} slashes, at most {MOST_TOPIC_SLASHES} are allowed"
    return None


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text)) and not _DOTTED_NUMBERS.fullmatch(text)
    return "%" not in text  # no zone: it means nothing to the other side of TLS
