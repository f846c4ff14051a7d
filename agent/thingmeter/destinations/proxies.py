"""The proxy that the environment names for a service: HTTPS_PROXY, else ALL_PROXY, and NO_PROXY."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from thingmeter.errors import Unreachable

HTTP_PORT, HTTPS_PORT = 80, 443


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, or none.

    Attributes:
        url: with user and password, where it has any; empty without a proxy.
        variable: of the environment, that names it.
    """

    url: str = ""
    variable: str = ""

    @property
    def place(self) -> str:
        """``host:port``; empty without a proxy."""
        if not self.url:
            return ""
        parts = urlsplit(self.url)
        return place(parts.hostname or "", parts.port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT))

    def headers(self) -> dict[str, str]:
        """Return what the proxy is to be told beside where to connect to: user and password."""
        parts = urlsplit(self.url)
        if parts.username is None:
            return {}
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"proxy-authorization": f"Basic {b64encode(credentials.encode()).decode()}"}


def place(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def proxy_for(host: str, port: int) -> Proxy:
    """Return the proxy for a service.

    Raises:
        Unreachable: what the environment names is none that HTTPS can go through; the message names the variable.
    """
    proxies = getproxies()
    scheme = "https" if proxies.get("https") else "all"
    url = proxies.get(scheme, "")
    if not url or proxy_bypass(place(host, port), proxies):
        return Proxy()
    proxy = Proxy(url if "://" in url else f"http://{url}", f"{scheme.upper()}_PROXY")
    if not _is_usable(proxy.url):
        other = "" if scheme == "https" else "; HTTPS_PROXY goes before it, NO_PROXY goes without"
        raise Unreachable(f"{proxy.variable} in the environment must look like http://HOST:PORT{other}")
    return proxy


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
