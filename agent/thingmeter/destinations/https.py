"""One HTTPS exchange: a request and its answer, for the control planes. Loaded where something is registered only.

``Https`` carries it out, and tells apart what no other layer can: a request that nobody has taken for certain from
one that may have been carried out.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from thingmeter.clock import SystemClock
from thingmeter.destinations.causes import Way, failure_of
from thingmeter.destinations.proxies import HTTPS_PORT, Proxy, place, proxy_for
from thingmeter.destinations.tls import ClientContext, Progress, client_context, connected
from thingmeter.errors import Unanswered, Unreachable

MAXIMUM_ANSWER_BYTES = 1024 * 1024  # a page of a list has a few ten thousand
IDLE_S = 30.0  # routers forget a silent connection without a word, and load balancers close one after 60 s
FIRST_FINAL_STATUS = 200


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
    Unreachable: nothing of the request was taken for certain; as Denied, the other side refuses our certificate.
"""


class _Connection(HTTPSConnection):
    """urllib3's connection, on sockets that keep the time of the exchange, and noting how far it came."""

    @property
    def progress(self) -> Progress:
        """Of the exchange in hand."""
        assert isinstance(self.ssl_context, ClientContext)  # noqa: S101 - Https gives it no other
        return self.ssl_context.progress

    def _new_conn(self) -> socket.socket:
        self.progress.stage = "reach"
        return connected(self._dns_host, self.port, self.progress)

    def _tunnel(self) -> None:
        self.progress.stage = "tunnel"
        super()._tunnel()  # http.client's own

    def send(self, data: Any) -> None:
        if self.progress.stage != "tunnel":  # that is the CONNECT to a proxy, and not yet the request
            self.progress.stage = "sent"
        super().send(data)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class Https:
    """Exchanges over HTTPS, with connections kept for the next one; for one caller at a time.

    TLS 1.2 or later, certificates always checked. No redirect is followed and nothing is sent twice. The proxy comes
    from the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY). Files are read at the first exchange, and again after any
    failure, so that renewed ones are picked up.

    Args:
        ca_file: PEM; the authorities to trust in place of the system's, not beside them.
        certificate_file: PEM; our own, for mutual TLS.
        private_key_file: PEM; its key.
        timeout_s: of a whole exchange, in seconds, from connecting to the answer's last byte; resolving a name
            may add the C library's own limits.
    """

    def __init__(
        self, *, ca_file: str = "", certificate_file: str = "", private_key_file: str = "", timeout_s: float = 30
    ) -> None:
        self._ca_file = ca_file
        self._certificate_file = certificate_file
        self._private_key_file = private_key_file
        self._timeout_s = timeout_s
        self._monotonic = SystemClock().monotonic
        self._progress = Progress(self._monotonic)
        self._managers: dict[str, PoolManager] = {}  # by the URL of the proxy; without one under ""
        self._used_at = 0.0

    def exchange(self, request: Request) -> Answer:
        """Send ``request`` and return its answer, whatever its status; an ``Exchange``.

        Raises:
            Unanswered: it went out, at least in part, and no whole answer of at most 1 MiB came back.
            Unreachable: nothing of it was taken for certain.
            Denied: a file cannot be used, or the service refuses our certificate; nothing was taken.
        """
        if self._monotonic() - self._used_at > IDLE_S:
            self._drop_connections()
        try:
            host, port = _host_and_port(request.url)
            proxy = proxy_for(host, port)
            way = Way(
                service=place(host, port),
                proxy=proxy,
                ca_file=self._ca_file,
                certificate_file=self._certificate_file,
                timeout_s=float(self._timeout_s),
            )
            self._progress.begin(self._timeout_s)
            answer = self._send(request, way)
        except BaseException:
            self.close()
            raise
        self._used_at = self._monotonic()
        return answer

    def close(self) -> None:
        """Close every connection; a later exchange opens new ones."""
        self._drop_connections()
        self._managers.clear()

    def _send(self, request: Request, way: Way) -> Answer:
        url = way.proxy.url
        manager = self._managers.get(url)
        if manager is None:
            manager = self._managers[url] = self._manager(way.proxy)
        try:
            response = manager.urlopen(
                request.method,
                request.url,
                body=request.body or None,
                headers=dict(request.headers),
                retries=False,
                redirect=False,
                timeout=self._timeout_s,
                preload_content=False,
                decode_content=False,
            )
            return _read(response, way)
        except (HTTPError, OSError, ValueError) as error:
            raise failure_of(error, self._progress.stage, way) from error

    def _manager(self, proxy: Proxy) -> PoolManager:
        context = client_context(
            self._progress,
            ca_file=self._ca_file,
            certificate_file=self._certificate_file,
            private_key_file=self._private_key_file,
        )
        if proxy.url:
            # Not our certificate, nor the service's authority: the way to the proxy is a matter of the system.
            outer = client_context(self._progress, outer=True)
            manager: PoolManager = ProxyManager(
                proxy.url, proxy_headers=proxy.headers(), proxy_ssl_context=outer, ssl_context=context
            )
        else:
            manager = PoolManager(ssl_context=context)
        manager.pool_classes_by_scheme = {"https": _Pool}
        return manager

    def _drop_connections(self) -> None:
        for manager in self._managers.values():
            for key in manager.pools.keys():  # noqa: SIM118 - urllib3's container cannot be iterated
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
            manager.clear()


def _read(response: BaseHTTPResponse, way: Way) -> Answer:
    """Return the whole answer; its connection is kept when nothing of it is left unread."""
    body = bytearray()
    while part := response.read(MAXIMUM_ANSWER_BYTES + 1 - len(body)):
        body += part
        if len(body) > MAXIMUM_ANSWER_BYTES:
            response.close()
            raise Unanswered(f"{way.service} answered more than {MAXIMUM_ANSWER_BYTES:,} bytes")
    if response.status < FIRST_FINAL_STATUS:
        raise Unanswered(f"{way.service} answered with the interim status {response.status}")
    return Answer(response.status, {name.lower(): value for name, value in response.headers.iteritems()}, bytes(body))


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    except ValueError as error:
        raise Unreachable(f"the URL of a service cannot be read: {error}") from error
    if parts.scheme != "https" or not host:
        raise Unreachable("the URL of a service must begin with https:// and a host")
    return host, port
