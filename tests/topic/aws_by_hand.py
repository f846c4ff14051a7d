"""SQS and Secrets Manager on loopback, as far as the function of the cloud side needs them; and a plain web server."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class AwsByHand:
    """What the AWS SDK finds under ``url``.

    Attributes:
        dead_letters: bodies of the messages sent to any queue.
        secret: the token; None as long as the secret is empty.
        secret_reads: how often it was asked for.
        elsewhere: paths that were asked for without being a call of AWS.
    """

    def __init__(self, secret: str | None = None) -> None:
        self.dead_letters: list[str] = []
        self.secret = secret
        self.secret_reads = 0
        self.elsewhere: list[str] = []
        aws = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, answer = aws.answer(self.headers.get("x-amz-target", ""), body, self.path)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="aws by hand")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, target: str, body: bytes, path: str) -> tuple[int, dict[str, Any]]:
        match target:
            case "AmazonSQS.SendMessage":
                text = json.loads(body)["MessageBody"]
                self.dead_letters.append(text)
                return 200, {"MessageId": "1", "MD5OfMessageBody": hashlib.md5(text.encode()).hexdigest()}
            case "secretsmanager.GetSecretValue":
                self.secret_reads += 1
                if self.secret is None:
                    return 400, {"__type": "ResourceNotFoundException", "message": "it has no value"}
                return 200, {"Name": json.loads(body)["SecretId"], "SecretString": self.secret}
            case _:
                self.elsewhere.append(path)
                return 200, {}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
