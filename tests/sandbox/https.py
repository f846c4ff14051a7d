"""Plain HTTPS for the tests of the sandbox: the standard library's client, which changes nothing on the way."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from thingmeter.sandbox.cloud import Sandbox

TIMEOUT_S = 10


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def trust(sandbox: Sandbox, thing: str = "") -> ssl.SSLContext:
    """Return a client's context that shows the certificate of ``thing``, or none."""
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    if thing:
        credentials = sandbox.credentials(thing)
        context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
    return context


@contextlib.contextmanager
def connection(sandbox: Sandbox, address: str, thing: str = "") -> Iterator[http.client.HTTPSConnection]:
    """Connect to HOST:PORT or https://HOST:PORT at the first request."""
    made = http.client.HTTPSConnection(
        address.removeprefix("https://"), timeout=TIMEOUT_S, context=trust(sandbox, thing)
    )
    try:
        yield made
    finally:
        made.close()


def ask(made: http.client.HTTPSConnection, method: str, path: str, body: bytes | None = None, **headers: str) -> Got:
    """Send a request and return the whole answer; an underscore in a header's name stands for a hyphen."""
    named: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
    made.request(method, path, body, dict(named))
    answer = made.getresponse()
    return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
