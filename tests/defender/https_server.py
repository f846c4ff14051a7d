"""An HTTPS server on loopback from the standard library, that takes a client's certificate where one is offered."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from thingmeter.destinations.https import Answer, Request
from thingmeter.sandbox.authority import Authority


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: method and path as on the wire, and the common name in the client's certificate."""

    line: str
    headers: dict[str, str]
    client: str


class HttpsServer:
    """Answers every request by ``service``; runs within a ``with``.

    Attributes:
        asked: every request, in order.
        place: localhost:PORT.
    """

    def __init__(self, authority: Authority, folder: Path, service: Callable[[Request], Answer]) -> None:
        own = authority.issue("server", folder, hosts=["localhost", "127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate_file, own.private_key_file)
        context.load_verify_locations(authority.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._connection(service))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.place = f"localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="https-server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _connection(self, service: Callable[[Request], Answer]) -> type[BaseHTTPRequestHandler]:
        asked = self.asked

        class Connection(BaseHTTPRequestHandler):
            def answer(self) -> None:
                assert isinstance(self.connection, ssl.SSLSocket)
                headers = {name.lower(): value for name, value in self.headers.items()}
                subject = (self.connection.getpeercert() or {}).get("subject", ())
                names = [str(pair[1]) for part in subject for pair in part if pair[0] == "commonName"]
                asked.append(Asked(f"{self.command} {self.path}", headers, "".join(names)))
                body = self.rfile.read(int(headers.get("content-length", "0")))
                answer = service(Request(self.command, f"https://{headers['host']}{self.path}", headers, body))
                self.send_response(answer.status)
                for name, value in {"content-length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_PATCH = answer  # noqa: N815  # the standard library's names

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Connection
