"""The HTTP proxy of [mqtt] proxy, and a tunnel through it with the standard library."""

from __future__ import annotations

import socket
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from thingmeter.config.settings import Mqtt
from thingmeter.mqtt.client import ConnectFailed
from thingmeter.mqtt.reasons import clean

DEFAULT_PORT = 80  # of http:// (RFC 9110, section 4.2.1)
MAXIMUM_ANSWER_BYTES = 16_384
OK, AUTHENTICATION_REQUIRED = 200, 407


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is; without ``user`` or without a password it is asked without credentials."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)


def proxy_of(mqtt: Mqtt) -> Proxy | None:
    """Return the proxy in the settings, its password read from the file now; None without one.

    Raises:
        ConnectFailed: the URL or the password file cannot be used.
    """
    if not mqtt.proxy:
        return None
    try:
        url = urlsplit(mqtt.proxy)
        host, port = url.hostname or "", url.port or DEFAULT_PORT
    except ValueError as error:
        raise ConnectFailed(f"proxy: [mqtt] proxy cannot be read: {error}") from error
    if url.scheme != "http" or not host:
        raise ConnectFailed("proxy: [mqtt] proxy must look like http://host:port")
    return Proxy(host, port, unquote(url.username or ""), _password(mqtt.proxy_password_file))


def _password(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConnectFailed(f"proxy: cannot read {path} ([mqtt] proxy_password_file): {reason}") from error


def tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Ask the proxy on the other end of ``sock`` to connect to ``host``; the name is resolved there (RFC 9110, 9.3.6).

    Raises:
        ConnectFailed: the proxy refused, with its status.
        OSError: the connection to the proxy failed.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user and proxy.password:
        credentials = b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < MAXIMUM_ANSWER_BYTES:
        received = sock.recv(4096)
        if not received:
            break
        answer += received
    _check(answer.split(b"\r\n", 1)[0].decode("latin-1"), proxy)


def _check(status_line: str, proxy: Proxy) -> None:
    parts = status_line.split(" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[0].startswith("HTTP/") and parts[1].isdecimal() else 0
    where = f"{proxy.host}:{proxy.port}"
    if status == OK:
        return
    if not status:
        raise ConnectFailed(f"proxy: {where} is no HTTP proxy ([mqtt] proxy)")
    message = f"proxy: {where} answered {clean(' '.join(parts[1:]))}"
    if status == AUTHENTICATION_REQUIRED:
        message += " (user in [mqtt] proxy, password in proxy_password_file)"
    raise ConnectFailed(message)
