"""An HTTPS port on loopback. It is open at once; the HTTP library is loaded when the first client connects.

Importing aiohttp takes longer than all the rest of the sandbox's start (0.25 s against 0.05 s), and most who start a
sandbox never call its HTTPS services.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from thingmeter.sandbox.authority import Credentials
from thingmeter.sandbox.http.channel import CLIENT, HttpChannel, HttpTransport
from thingmeter.sandbox.http.site import Site
from thingmeter.sandbox.ports import listen
from thingmeter.sandbox.tls import describe

if TYPE_CHECKING:
    from thingmeter.sandbox.http.server import HttpServer


def https_context(credentials: Credentials, *, client_ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a server's context, TLS 1.2 or later; with ``client_ca_file`` every client must show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca_file is not None:
        context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class HttpsListener:
    """Serves a site between ``start`` and ``stop``; may be started again. Belongs to the sandbox's loop.

    Args:
        site: what is served.
        tls: what connections are served with.
        refused: called with the reason, in words, when TLS fails.
    """

    def __init__(self, site: Site, tls: ssl.SSLContext, refused: Callable[[str], None]) -> None:
        self._site = site
        self._tls = tls
        self._refused = refused
        self._listening: asyncio.Server | None = None
        self._http: HttpServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        """Listen and return the port, which is a free one where ``port`` is 0.

        Raises:
            PortTaken: another program listens on the port.
            OSError: listening is not possible for another reason.
        """
        self._listening, port = await listen(self._serve, port)
        return port

    async def stop(self) -> None:
        """Stop listening and cut every connection, also one whose request is still being answered."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.end()

    def use(self, credentials: Credentials) -> None:
        """Show another certificate to whoever connects from now on."""
        self._tls.load_cert_chain(credentials.certificate_file, credentials.private_key_file)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # asyncio runs this as a task
        self._tasks.add(task)
        channel = HttpChannel(reader, writer, self._tls)
        try:
            await self._serve_channel(channel, writer)
        except (asyncio.CancelledError, OSError):  # by stop(), and nobody awaits this task; or the client went away
            pass
        finally:
            self._tasks.discard(task)
            channel.abort()

    async def _serve_channel(self, channel: HttpChannel, writer: asyncio.StreamWriter) -> None:
        try:
            client = await channel.handshake()
        except OSError as error:
            self._refused(f"TLS: {describe(error)}")
            channel.close()
            await channel.linger()
            return
        known = {name: writer.get_extra_info(name) for name in ("socket", "peername", "sockname")}
        protocol = self._protocol()
        async with asyncio.timeout(None) as patience:
            transport = HttpTransport(channel, patience, {**known, CLIENT: client})
            protocol.connection_made(transport)
            try:
                await _feed(protocol, channel, transport)
            finally:
                protocol.connection_lost(None)

    def _protocol(self) -> asyncio.Protocol:
        if self._http is None:
            from thingmeter.sandbox.http.server import HttpServer  # noqa: PLC0415  # see the head of this file

            self._http = HttpServer(self._site)
        return self._http()


async def _feed(protocol: asyncio.Protocol, channel: HttpChannel, transport: HttpTransport) -> None:
    """Hand on what the client sends until it ends the connection; once we have ended it, only wait for that."""
    while content := await channel.read():
        await transport.until_readable()
        if not transport.is_closing():
            protocol.data_received(content)
