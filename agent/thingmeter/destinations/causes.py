"""Why an exchange failed, in one line for people, and whether its request may have been carried out (pure)."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

from thingmeter.destinations.proxies import Proxy
from thingmeter.destinations.tls import Stage
from thingmeter.errors import Denied, Unanswered, Unreachable
from thingmeter.mqtt.probe import EXPIRED, NOT_TLS, NOT_YET_VALID, OTHER_NAME, REFUSED_CERTIFICATE, TOO_OLD
from thingmeter.mqtt.reasons import clean

TUNNEL_REFUSED = "Tunnel connection failed: "  # what http.client says before the proxy's status
AUTHENTICATION_REQUIRED = "407"
CLOSED = (ConnectionError, RemoteDisconnected, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True, slots=True)
class Way:
    """From here to a service: what a failure on it is named by.

    Attributes:
        service: ``host:port``.
        proxy: on the way there, or none.
        ca_file: the authorities that are trusted; empty for the system's.
        certificate_file: our own certificate; empty without one.
        timeout_s: of a whole exchange, in seconds.
    """

    service: str
    proxy: Proxy
    ca_file: str
    certificate_file: str
    timeout_s: float


def failure_of(error: Exception, stage: Stage, way: Way) -> Unreachable:
    """Return what a library's ``error`` at ``stage`` amounts to.

    Unanswered when the request may have been carried out; Denied when the service refuses our certificate; Unreachable
    when nothing was taken for certain.
    """
    cause = _root(error)
    message = f"{_where(stage, way)} {_words(cause, stage, way)}"
    if _alert(cause) in REFUSED_CERTIFICATE:  # TLS 1.3 says so after the request went out, and without reading it
        return Denied(message)
    return Unanswered(message) if stage == "sent" else Unreachable(message)


def _root(error: BaseException) -> BaseException:
    """Return the error of the standard library that urllib3's own was made of; sockets tell more than wrappers."""
    while True:
        inner = error.__cause__ or next((part for part in error.args if isinstance(part, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _where(stage: Stage, way: Way) -> str:
    if way.proxy.url and stage in {"reach", "tunnel"}:
        return f"{way.service}: the proxy {way.proxy.place} ({way.proxy.variable})"
    return f"{way.service}:" if stage in {"ready", "reach"} else f"{way.service}"


def _words(cause: BaseException, stage: Stage, way: Way) -> str:
    if isinstance(cause, socket.gaierror | UnicodeError):
        return f"cannot be resolved: {getattr(cause, 'strerror', None) or 'no host name'}"
    if isinstance(cause, ConnectionRefusedError):
        return "refused the connection, nothing listens there"
    if isinstance(cause, TimeoutError):
        return f"gave no whole answer within {way.timeout_s:g} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate(cause, way)
    if isinstance(cause, CLOSED):
        return "closed the connection " + ("without an answer" if stage == "sent" else "before TLS stood")
    if isinstance(cause, ssl.SSLError):
        return _handshake(cause, way)
    if isinstance(cause, IncompleteRead):
        return "closed the connection in the middle of its answer"
    if isinstance(cause, HTTPException):
        return "answered something else than HTTP"
    if str(cause).startswith(TUNNEL_REFUSED):
        status = clean(str(cause).removeprefix(TUNNEL_REFUSED))
        hint = ": user and password belong into its URL" if status.startswith(AUTHENTICATION_REQUIRED) else ""
        return f"answered {status}{hint}"
    return f"failed: {clean(getattr(cause, 'strerror', None) or type(cause).__name__)}"


def _certificate(error: ssl.SSLCertVerificationError, way: Way) -> str:
    if error.verify_code in OTHER_NAME:
        return f"shows a certificate for another host: {clean(error.verify_message)}"
    if error.verify_code == EXPIRED:
        return "shows a certificate that has expired"
    if error.verify_code == NOT_YET_VALID:
        return "shows a certificate that is not yet valid: is this machine's clock right?"
    trusted = f"in {way.ca_file}" if way.ca_file else "that this machine trusts"
    return f"shows a certificate of no authority {trusted}: {clean(error.verify_message)}"


def _handshake(error: ssl.SSLError, way: Way) -> str:
    name = _alert(error)
    if name in REFUSED_CERTIFICATE:
        ours = f"our certificate {way.certificate_file}" if way.certificate_file else "us without a certificate"
        return f"refuses {ours} ({REFUSED_CERTIFICATE[name]})"
    if name in NOT_TLS:
        return "does not speak TLS"
    if name in TOO_OLD:
        return "offers no TLS 1.2 or later"
    return f"failed TLS: {clean((error.reason or str(error)).replace('_', ' ').lower())}"


def _alert(error: BaseException) -> str:
    """Return the name of the TLS alert that ``error`` reports, else OpenSSL's reason; empty for any other error."""
    return (error.reason or "").rpartition("ALERT_")[2] if isinstance(error, ssl.SSLError) else ""
