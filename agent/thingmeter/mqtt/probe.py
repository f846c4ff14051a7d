"""Names the cause of a failed connect by trying each step of it once more with the standard library.

awscrt reports most failures alike, and paho loses the alert that TLS 1.3 delivers only at the first read. The probe
resolves, connects, shakes hands and waits for a refusal; it never sends a CONNECT.
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime

from thingmeter.config.settings import Mqtt
from thingmeter.mqtt import reasons, tls
from thingmeter.mqtt.certificate import validity
from thingmeter.mqtt.client import ConnectFailed
from thingmeter.mqtt.proxy import proxy_of, tunnel

TIMEOUT_S = 5.0
REFUSAL_WAIT_S = 2.0  # TLS 1.3 refuses our certificate after the handshake, one round trip later
NOT_YET_VALID, EXPIRED = 9, 10  # X509_V_ERR_*, openssl-verification-options(1)
OTHER_NAME = frozenset({62, 64})  # host name, IP address
REFUSED_CERTIFICATE = {  # TLS alerts, RFC 8446, section 6.2
    "BAD_CERTIFICATE": "bad certificate",
    "UNSUPPORTED_CERTIFICATE": "unsupported certificate",
    "CERTIFICATE_REVOKED": "certificate revoked",
    "CERTIFICATE_EXPIRED": "certificate expired",
    "CERTIFICATE_UNKNOWN": "certificate unknown",
    "CERTIFICATE_REQUIRED": "certificate required",
    "UNKNOWN_CA": "unknown authority",
    "ACCESS_DENIED": "access denied",
    "DECRYPT_ERROR": "decrypt error",
}
NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
TOO_OLD = frozenset({"UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW"})


@dataclass(frozen=True, slots=True)
class Cause:
    """Why there is no connection; ``denied`` when it stays so until a policy or a certificate changes."""

    text: str
    denied: bool = False


def name_cause(failure: ConnectFailed, mqtt: Mqtt, now: datetime) -> Cause:
    """Return why an attempt failed: the broker's own reason, else what the probe finds, else what the library said.

    ``now`` (aware) is the wall time that certificates are held against. Blocks as ``diagnose``.
    """
    if failure.code is not None:
        return Cause(str(failure), denied=failure.code in reasons.DENIED)
    return diagnose(mqtt, now, TIMEOUT_S) or Cause(str(failure))


def diagnose(mqtt: Mqtt, now: datetime, timeout_s: float) -> Cause | None:
    """Return the cause; None when every step works, so that it must lie in MQTT or be over by now.

    Blocks: name resolution, then up to ``timeout_s`` for each of connecting and shaking hands, then two seconds.
    """
    try:
        context = tls.client_context(mqtt)
        with _reach(mqtt, timeout_s) as sock:
            return _shake_hands(sock, context, mqtt, now, timeout_s)
    except ConnectFailed as failure:
        return Cause(str(failure))
    except OSError as error:
        return Cause(f"tcp: connection to {mqtt.host}:{mqtt.port} failed: {error.strerror or error}")


def _reach(mqtt: Mqtt, timeout_s: float) -> socket.socket:
    """Return a TCP connection to the broker, through the proxy if there is one."""
    proxy = proxy_of(mqtt)
    host, port = (proxy.host, proxy.port) if proxy else (mqtt.host, mqtt.port)
    layer, setting = ("proxy", "[mqtt] proxy") if proxy else ("tcp", "[mqtt] host")
    try:
        sock = socket.create_connection((host, port), timeout_s)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConnectFailed(f'dns: cannot resolve "{host}" ({setting}): {reason}') from error
    except ConnectionRefusedError as error:
        raise ConnectFailed(f"{layer}: {host}:{port} refused the connection, nothing listens there") from error
    except TimeoutError as error:
        raise ConnectFailed(f"{layer}: no answer from {host}:{port} within {timeout_s:g} s") from error
    except OSError as error:
        if error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
            raise ConnectFailed(f"{layer}: no route to {host}:{port}: {error.strerror}") from error
        raise
    if proxy:
        try:
            tunnel(sock, proxy, mqtt.host, mqtt.port)
        except TimeoutError as error:
            sock.close()
            raise ConnectFailed(f"proxy: {host}:{port} did not answer within {timeout_s:g} s") from error
        except (OSError, ConnectFailed):
            sock.close()
            raise
    return sock


def _shake_hands(
    sock: socket.socket, context: ssl.SSLContext, mqtt: Mqtt, now: datetime, timeout_s: float
) -> Cause | None:
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        secure = context.wrap_socket(sock, server_hostname=mqtt.host, do_handshake_on_connect=False)
    except ValueError as error:
        return Cause(f'tls: "{mqtt.host}" ([mqtt] host) cannot be a server name: {error}')
    with secure:
        shaken = False
        try:
            secure.do_handshake()
            shaken = True
            secure.settimeout(REFUSAL_WAIT_S)
            heard = secure.recv(1)
        except ssl.SSLCertVerificationError as error:
            return _server_certificate(error, mqtt, now, timeout_s)
        except TimeoutError:
            return None if shaken else Cause(f"tls: {where} did not answer the handshake within {timeout_s:g} s")
        except ssl.SSLEOFError:
            return _closed(mqtt, now)
        except ssl.SSLError as error:
            return _alert(error, mqtt, now)
        except ConnectionError:
            return _closed(mqtt, now)
    return None if heard else _closed(mqtt, now)


def _closed(mqtt: Mqtt, now: datetime) -> Cause:
    problem = tls.own_dates_problem(mqtt.tls, now)
    ended = f"{mqtt.host}:{mqtt.port} closed the connection during the TLS handshake or right after it"
    if problem:
        return Cause(f"tls: {problem}; {ended}", denied=True)
    return Cause(
        f"tls: {ended}; it may refuse the certificate {mqtt.tls.certificate_file} ([mqtt.tls] certificate_file)"
    )


def _alert(error: ssl.SSLError, mqtt: Mqtt, now: datetime) -> Cause:
    name = (error.reason or "").rpartition("ALERT_")[2]
    where = f"{mqtt.host}:{mqtt.port}"
    if name in REFUSED_CERTIFICATE:
        said = f"the server refused it ({REFUSED_CERTIFICATE[name]})"
        problem = tls.own_dates_problem(mqtt.tls, now)
        ours = problem or f"the certificate {mqtt.tls.certificate_file} ([mqtt.tls] certificate_file)"
        return Cause(f"tls: {ours}: {said}", denied=True)
    if name in NOT_TLS:
        return Cause(f"tls: {where} does not speak TLS ([mqtt] port)")
    if name in TOO_OLD:
        return Cause(f"tls: {where} offers no TLS 1.2 or later")
    if name == "NO_APPLICATION_PROTOCOL":
        return Cause(f"tls: {where} does not know the protocol {tls.ALPN} (ALPN), which port 443 needs")
    if name == "HANDSHAKE_FAILURE":
        return Cause(f"tls: {where} refused the handshake: no cipher in common, or it refuses our certificate")
    return Cause(f"tls: handshake with {where} failed: {(error.reason or str(error)).replace('_', ' ').lower()}")


def _server_certificate(error: ssl.SSLCertVerificationError, mqtt: Mqtt, now: datetime, timeout_s: float) -> Cause:
    if error.verify_code in OTHER_NAME:
        names = _names(mqtt, timeout_s)
        return Cause(f'tls: the server\'s certificate is for {names}, not for host "{mqtt.host}" ([mqtt] host)')
    if error.verify_code in {NOT_YET_VALID, EXPIRED}:
        problem = tls.ca_dates_problem(mqtt.tls, now) or _server_dates(mqtt, now, timeout_s)
        return Cause(f"tls: {problem}" if problem else f"tls: the server's certificate: {error.verify_message}")
    return Cause(
        f"tls: the server's certificate was not issued by an authority in {mqtt.tls.ca_file} ([mqtt.tls] ca_file): "
        f"{error.verify_message}"
    )


def _names(mqtt: Mqtt, timeout_s: float) -> str:
    """Return the names in the server's certificate, quoted; asked with the chain checked and the name not."""
    context = tls.client_context(mqtt)
    context.check_hostname = False
    try:
        with _reach(mqtt, timeout_s) as sock, context.wrap_socket(sock, server_hostname=mqtt.host) as secure:
            alternatives = (secure.getpeercert() or {}).get("subjectAltName", ())
    except (OSError, ConnectFailed):
        return "another name"
    names = [str(entry[1]) for entry in alternatives if len(entry) > 1]
    return ", ".join(f'"{name}"' for name in names[:5]) or "no name at all"


def _server_dates(mqtt: Mqtt, now: datetime, timeout_s: float) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only to look at the dates of a certificate that was refused just now
    try:
        with _reach(mqtt, timeout_s) as sock, context.wrap_socket(sock, server_hostname=mqtt.host) as secure:
            dates = validity(secure.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError, ConnectFailed):
        return ""
    return tls.dates_problem("the server's certificate", dates, now)
