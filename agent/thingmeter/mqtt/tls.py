"""Mutual TLS from the files of [mqtt.tls]: TLS 1.2 or later, the server's name checked, everything read anew.

A context is made for each attempt, so that renewed files are picked up. What is wrong with a file is said with its
path and its setting.
"""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

from thingmeter.config.settings import Mqtt, Tls
from thingmeter.mqtt.certificate import Validity, first_der, validity
from thingmeter.mqtt.client import ConnectFailed

ALPN_PORT = 443
ALPN = "x-amzn-mqtt-ca"  # how AWS IoT Core tells MQTT with a client certificate from HTTPS on port 443
OTHER_KEY = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"})


class _Passphrase(Exception):
    """OpenSSL has asked for one."""


def client_context(mqtt: Mqtt) -> ssl.SSLContext:
    """Return a fresh context for one connection.

    Raises:
        ConnectFailed: a file is missing, unreadable, malformed, protected by a passphrase, or the key of another
            certificate.
    """
    files = mqtt.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # demands a valid certificate and checks the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    authorities = _read(files.ca_file, "ca_file")
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise _unusable(files.ca_file, "ca_file", "certificate", error) from error
    _load_own(context, files)
    if mqtt.port == ALPN_PORT:
        context.set_alpn_protocols([ALPN])
    return context


def files_problem(mqtt: Mqtt, now: datetime) -> str:
    """Return what is wrong with the files of [mqtt.tls] themselves at ``now`` (aware); empty when nothing is."""
    try:
        client_context(mqtt)
    except ConnectFailed as failure:
        return str(failure)
    return own_dates_problem(mqtt.tls, now) or ca_dates_problem(mqtt.tls, now)


def own_dates_problem(files: Tls, now: datetime) -> str:
    """Return what is wrong with the dates of our own certificate at ``now`` (aware); empty when nothing is."""
    place = _place(files.certificate_file, "certificate_file")
    try:
        dates = validity(first_der(Path(files.certificate_file).read_text(encoding="ascii")))
    except (OSError, ValueError):
        return ""
    return dates_problem(f"the certificate {place}", dates, now)


def ca_dates_problem(files: Tls, now: datetime) -> str:
    """Return what is wrong with the dates of the first authority in ca_file at ``now``; empty when nothing is."""
    try:
        dates = validity(first_der(Path(files.ca_file).read_text(encoding="ascii")))
    except (OSError, ValueError):
        return ""
    return dates_problem(f"the authority in {_place(files.ca_file, 'ca_file')}", dates, now)


def dates_problem(what: str, dates: Validity, now: datetime) -> str:
    """Return that ``what`` has expired or is not yet valid, with the date; empty when neither.

    A device without a battery-backed clock finds every certificate "not yet valid", so its own time is said too.
    """
    if now > dates.not_after:
        return f"{what} expired on {dates.not_after:%Y-%m-%d %H:%M:%S} UTC"
    if now < dates.not_before:
        return (
            f"{what} is not yet valid: not before {dates.not_before:%Y-%m-%d %H:%M:%S} UTC, "
            f"and this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC"
        )
    return ""


def _load_own(context: ssl.SSLContext, files: Tls) -> None:
    certificate, key = (
        _read(files.certificate_file, "certificate_file"),
        _read(files.private_key_file, "private_key_file"),
    )
    try:
        validity(first_der(certificate))
    except ValueError as error:
        raise _unusable(files.certificate_file, "certificate_file", "certificate", error) from error
    key_place = _place(files.private_key_file, "private_key_file")
    if "PRIVATE KEY-----" not in key:
        raise ConnectFailed(f"tls: {key_place} holds no usable private key: no PEM block of one in it")
    try:
        context.load_cert_chain(files.certificate_file, files.private_key_file, password=_refuse)
    except _Passphrase:
        message = f"tls: {key_place} is protected by a passphrase; the agent needs a key without one"
        raise ConnectFailed(message) from None
    except ssl.SSLError as error:
        if error.reason in OTHER_KEY:
            message = f"tls: {key_place} is not the key of the certificate {files.certificate_file}"
            raise ConnectFailed(message) from error
        raise _unusable(files.private_key_file, "private_key_file", "private key", error) from error
    except OSError as error:  # replaced or removed since it was read
        raise ConnectFailed(f"tls: cannot read {key_place}: {error.strerror}") from error


def _refuse() -> str:
    raise _Passphrase  # without this OpenSSL would ask on the terminal, and wait


def _read(path: str, key: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise ConnectFailed(f"tls: {_place(path, key)} is not a PEM file") from error
    except OSError as error:
        raise ConnectFailed(f"tls: cannot read {_place(path, key)}: {error.strerror}") from error


def _unusable(path: str, key: str, noun: str, error: Exception) -> ConnectFailed:
    reason = (error.reason if isinstance(error, ssl.SSLError) else "") or str(error) or "malformed"
    return ConnectFailed(f"tls: {_place(path, key)} holds no usable {noun}: {reason.replace('_', ' ').lower()}")


def _place(path: str, key: str) -> str:
    return f"{path} ([mqtt.tls] {key})"
