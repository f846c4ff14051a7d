"""The MQTT 5 broker: listens on loopback with mutual TLS and serves every client that the authority knows."""

from __future__ import annotations

import asyncio
import ssl

from thingmeter.sandbox.connection import Connection
from thingmeter.sandbox.hub import Hub
from thingmeter.sandbox.packets import Reason
from thingmeter.sandbox.ports import listen
from thingmeter.sandbox.tls import LINGER_S, TlsChannel, describe


class Broker:
    """Accepts connections between ``start`` and ``stop``; may be started again. Belongs to the sandbox's loop.

    ``tls`` is what the next connection is served with.
    """

    def __init__(self, hub: Hub, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self._hub = hub
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None] | None, Connection | None] = {}

    async def start(self, port: int) -> int:
        """Listen and return the port, which is a free one where ``port`` is 0.

        Raises:
            PortTaken: another program listens on the port.
            OSError: listening is not possible for another reason.
        """
        self._server, port = await listen(self._serve, port)
        return port

    async def stop(self, *, politely: bool = True) -> None:
        """Stop listening and end every connection: with DISCONNECT "Server shutting down", or by cutting it."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = tuple(task for task in self._connections if task is not None)
        for connection in tuple(self._connections.values()):
            if connection is not None and politely:
                connection.end(Reason.SERVER_SHUTTING_DOWN, "the broker stops")
        if politely and tasks:
            await asyncio.wait(tasks, timeout=LINGER_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.current_task()
        self._connections[task] = None
        channel = TlsChannel(reader, writer, self.tls)
        try:
            await self._serve_channel(channel, task)
            channel.close()
            await channel.linger()
        except asyncio.CancelledError:  # by stop(); nobody awaits this task
            pass
        finally:
            del self._connections[task]
            channel.abort()

    async def _serve_channel(self, channel: TlsChannel, task: asyncio.Task[None] | None) -> None:
        try:
            name = await channel.handshake()
        except OSError as error:
            self._hub.tell("refused", "", f"TLS: {describe(error)}")
            return
        connection = Connection(channel, name, self._hub)
        self._connections[task] = connection
        await connection.serve()
