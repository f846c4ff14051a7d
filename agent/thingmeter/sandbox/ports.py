"""Listening on loopback, on ports that stay free while the sandbox is stopped.

The system gives outgoing connections ports of its own range (ip_local_port_range, 32768 to 60999 by default), and so
whoever listens on port 0: a port of there that is kept over restarts is somebody else's sooner or later.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from thingmeter.sandbox.errors import PortTaken

ADDRESS = "127.0.0.1"
LOWEST, HIGHEST = 15_000, 32_767
TRIES = 50

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def listen(serve: Serve, port: int) -> tuple[asyncio.Server, int]:
    """Listen on ``port``, or for 0 on any below the system's own range; return the server and the port.

    Raises:
        PortTaken: another program listens on the port.
        OSError: listening is not possible for another reason.
    """
    candidates = [port] if port else [random.randint(LOWEST, HIGHEST) for _ in range(TRIES)]  # noqa: S311  # no secret
    for candidate in candidates:
        try:
            return await asyncio.start_server(serve, ADDRESS, candidate), candidate
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise PortTaken(f"port {candidates[0]} on {ADDRESS} is taken by another program")
