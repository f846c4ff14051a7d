"""The grammar of hosts, endpoints, proxies and topics. Each ``_fault`` returns what is wrong with a text, or None."""

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
_BASIC_INGEST = re.compile(r"\$aws/rules/[A-Za-z0-9_]{1,128}(?:/(?P<rest>.*))?")  # ruleName of CreateTopicRule
_ENDPOINT = re.compile(r"(?P<host>[^:@/\s\[\]?#]+|\[[^\]\s]+\])(?::(?P<port>[0-9]{1,5}))?")

# AWS IoT's own endpoints in every partition: an account's (with or without -ats), FIPS, dual stack and VPC endpoints.
# Source: the partitions of the AWS SDKs, docs.aws.amazon.com/general/latest/gr/iot-core.html.
_IOT_HOST = re.compile(
    r"(?:[a-z0-9-]+\.)*iot(?:-fips)?\.(?P<region>[a-z]{2,5}(?:-[a-z]{2,16}){1,2}-[0-9]{1,2})\.(?:vpce\.)?"
    r"(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
    r"|api\.aws|api\.amazonwebservices\.(?:com\.cn|eu))",
    re.IGNORECASE,
)


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


def url_fault(url: str) -> str | None:
    """Return what keeps ``url`` from being ``https://HOST[:PORT]``; a slash at its end is no fault."""
    allowed = "must be https://HOST or https://HOST:PORT"
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() == "http":
        return f"{allowed}; over plain HTTP anybody on the way could read the credentials and change the answers"
    if scheme != "https" or not separator:
        return allowed
    if "@" in rest.partition("/")[0]:
        return f"{allowed}, without user and password"
    if re.search(r"[/?#].", rest):
        return f"{allowed}, without path and query"
    return _endpoint_fault(rest.removesuffix("/"), allowed)


def endpoint_fault(endpoint: str) -> str | None:
    """Return what keeps ``endpoint`` from being ``HOST`` or ``HOST:PORT``."""
    allowed = "must be HOST or HOST:PORT"
    if "://" in endpoint:
        return f"{allowed}, without the scheme {endpoint.partition('://')[0]}://"
    if "/" in endpoint or "@" in endpoint:
        return f"{allowed}, without path and user"
    return _endpoint_fault(endpoint, allowed)


def iot_region(host: str) -> str | None:
    """Return the region that ``host``, an endpoint of AWS IoT, is in; None for any other host."""
    match = _IOT_HOST.fullmatch(host)
    return match["region"].lower() if match else None


def topic_fault(topic: str, *, basic_ingest: bool = False) -> str | None:
    """Return what keeps ``topic``, its {thing} already replaced, from being published to.

    Args:
        topic: its name.
        basic_ingest: whether ``$aws/rules/RULE/...`` will do, too: straight to a rule of AWS IoT, and what stands
            before the last part counts towards no limit. Source: AWS IoT Core, Basic Ingest.
    """
    if "+" in topic or "#" in topic:
        return "must not hold + or #, which only subscriptions may"
    if "{" in topic or "}" in topic:
        return "may hold {thing}, and no other { or }"
    ingest = _BASIC_INGEST.fullmatch(topic) if basic_ingest else None
    if ingest is not None:
        topic = ingest["rest"] or ""
    elif topic.startswith("$"):
        besides = "; $aws/rules/RULE/... may, RULE of a-z A-Z 0-9 _ alone" if basic_ingest else ""
        return f"must not begin with $, which brokers keep to themselves{besides}"
    if len(topic.encode()) > LONGEST_TOPIC_BYTES:
        return f"is {len(topic.encode())} bytes long, at most {LONGEST_TOPIC_BYTES} are allowed"
    if topic.count("/") > MOST_TOPIC_SLASHES:
        return f"has {topic.count('/')} slashes, at most {MOST_TOPIC_SLASHES} are allowed"
    return None


def _endpoint_fault(endpoint: str, allowed: str) -> str | None:
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None:
        is_address = endpoint.count(":") > 1 and _is_host(endpoint)
        return f"{allowed}, an IPv6 address in brackets: [{endpoint}]" if is_address else allowed
    host = match["host"].strip("[]")
    if not _is_host(host) or (match["host"] != host) != (":" in host):
        return allowed
    if match["port"] is not None and not 1 <= int(match["port"]) <= _HIGHEST_PORT:
        return f"{allowed}, with a port from 1 to {_HIGHEST_PORT}"
    return None


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text)) and not _DOTTED_NUMBERS.fullmatch(text)
    return "%" not in text  # no zone: it means nothing to the other side of TLS
