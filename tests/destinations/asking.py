"""How the tests of this folder ask: a request with a secret in it, an impatient client, a port where nobody is."""

from __future__ import annotations

import socket

import pytest

from destinations.https_peers import Street
from thingmeter.destinations.https import Https, Request
from thingmeter.errors import Unreachable

SECRET = "s3cret-token"


def hasty(street: Street) -> Https:
    """Return a client that gives up after a second."""
    return Https(ca_file=street.ca_file, timeout_s=1)


def post(url: str, body: bytes = b"{}") -> Request:
    """Return a request whose query and header are nobody's business."""
    return Request("POST", f"{url}/path?secret={SECRET}", {"authorization": SECRET}, body)


def failed(https: Https, url: str) -> Unreachable:
    """Return the error that an exchange with ``url`` ends in."""
    with pytest.raises(Unreachable) as caught:
        https.exchange(post(url))
    https.close()
    return caught.value


def closed_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
