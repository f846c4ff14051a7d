"""DevRev on loopback: HTTPS, answers by script, and a note of every request."""

from __future__ import annotations

import json
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from thingmeter.sandbox.authority import Authority

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; ``content`` is JSON, or bytes as they are. Without a status: the connection is closed instead."""

    status: int = 0
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


SILENCE = Reply()


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def uom(**changes: Any) -> dict[str, Any]:
    """Return a UOM as DevRev shows it, equal to ``LITRES`` but for the changes; None leaves a key out."""
    shown = {
        "id": "don:core:dvrv-us-1:devo/0:uom/7",
        "display_id": "UOM-7",
        "metric_name": "pumped_litres",
        "metric_scope": "org",
        "name": "Litres pumped",
        "description": "",
        "is_enabled": True,
        "aggregation_details": {"aggregation_type": "sum"},
        "unit": {"name": "litre", "type": "number"},
        "dimensions": ["site", "line"],
        "product": {"type": "product", "id": "don:core:dvrv-us-1:devo/0:product/1", "display_id": "PROD-1"},
        "created_date": "2026-01-01T00:00:00Z",
        **changes,
    }
    return {key: value for key, value in shown.items() if value is not None}


def listing(*uoms: Any, cursor: str | None = None) -> Reply:
    """Return a page of uoms.list."""
    return Reply(200, {"uoms": list(uoms)} | ({"next_cursor": cursor} if cursor is not None else {}))


def one(shown: Any, status: int = 201) -> Reply:
    """Return what uoms.create and uoms.update answer."""
    return Reply(status, {"uom": shown})


def error(status: int, message: str = "", detail: str = "", **headers: str) -> Reply:
    """Return an error as DevRev documents it; a header's underscores stand for hyphens."""
    return Reply(
        status,
        {"message": message, "detail": detail, "type": "x"},
        {k.replace("_", "-"): v for k, v in headers.items()},
    )


class DevRevService:
    """Answers each call with what ``script`` gave it, in that order; a listing without script is empty.

    ``close`` after the client: a kept connection holds its thread.
    """

    def __init__(self, folder: Path) -> None:
        authority = Authority.open(folder / "authority")
        self.ca_file = str(authority.ca_file)
        self.asked: list[Asked] = []
        self._replies: defaultdict[str, deque[Reply]] = defaultdict(deque)
        credentials = authority.issue("devrev", folder, hosts=["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(credentials.certificate_file, credentials.private_key_file)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False  # so that closing waits for them
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="devrev")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    @property
    def calls(self) -> list[str]:
        """Return the calls that were made, in their order."""
        return [asked.path.removeprefix("/uoms.") for asked in self.asked]

    def bodies(self, call: str) -> list[Any]:
        """Return what was sent with each call of a name."""
        return [asked.body for asked in self.asked if asked.path == f"/uoms.{call}"]

    def script(self, call: str, *replies: Reply) -> None:
        self._replies[f"/uoms.{call}"].extend(replies)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    def reply_to(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        replies = self._replies[asked.path]
        if replies:
            return replies.popleft()
        return listing() if asked.path == "/uoms.list" else Reply(500, {"message": "no script"})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = PATIENCE_S
            disable_nagle_algorithm = True  # head and body are two writes

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._say(service.reply_to(Asked(self.command, self.path, headers, json.loads(body))))

            def _say(self, reply: Reply) -> None:
                if not reply.status:
                    self.close_connection = True
                    return
                content = reply.content
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(reply.status)
                for name, value in ({"Content-Type": "application/json"} | dict(reply.headers)).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing on stderr."""

        return Handler
