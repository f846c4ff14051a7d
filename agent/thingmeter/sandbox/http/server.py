"""HTTP/1.1 with aiohttp: requests in, as they were on the wire, and what a site replies out. The only user of aiohttp.

Path, query and body are handed on untouched, since signatures are over them.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from thingmeter.sandbox.http.channel import CLIENT
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest
from thingmeter.sandbox.http.site import Reply, Site

MAXIMUM_BODY_BYTES = 1 << 20
END_TIMEOUT_S = 0.1
TOO_LARGE = 413


class HttpServer(web.Server):
    """Makes the protocol of each connection: call it. A request ends with its connection."""

    def __init__(self, site: Site) -> None:
        super().__init__(self._handle, access_log=None, auto_decompress=False, handler_cancellation=True)
        self._site = site

    async def end(self) -> None:
        """Forget every connection, once all of them are lost."""
        await self.shutdown(END_TIMEOUT_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await _body(request)
        if body is None:
            return web.Response(status=TOO_LARGE)
        reply = self._site.reply(_asked(request, body))
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        return await _send(request, reply)


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return the body, or None when it is too large."""
    body = bytearray()
    while part := await request.content.readany():
        body += part
        if len(body) > MAXIMUM_BODY_BYTES:
            return None
    return bytes(body)


def _asked(request: web.BaseRequest, body: bytes) -> HttpRequest:
    path, _, query = request.raw_path.partition("?")
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return HttpRequest(request.method, path, query, headers, body, request.get_extra_info(CLIENT, ""))


async def _send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    response = web.Response(status=500)  # what goes nowhere when the connection is closed before
    if isinstance(reply.content, HttpAnswer) and reply.manner == "whole":
        return web.Response(status=reply.content.status, body=reply.content.body, headers=reply.content.headers)
    if isinstance(reply.content, HttpAnswer):
        return await _send_half(request, reply.content)
    transport = request.transport
    if transport is not None:
        transport.write(reply.content)
        transport.close()
    return response


async def _send_half(request: web.BaseRequest, answer: HttpAnswer) -> web.StreamResponse:
    """Promise the whole body, and close the connection after half of it."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = max(2, len(answer.body))
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2] or b"{")
    if request.transport is not None:
        request.transport.close()
    return response
