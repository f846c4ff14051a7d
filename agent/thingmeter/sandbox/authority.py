"""The sandbox's certificate authority: one CA in a folder, and what it issues to servers and things.

Everything is EC P-256, as AWS IoT Core accepts it, and carries the extensions that strict verifiers ask for
(RFC 5280: key identifiers, key usage, extended key usage). Private keys are written with mode 0600.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from thingmeter.clock import SystemClock

CA_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=365)
BACKDATED = timedelta(days=1)  # so that a clock somewhat behind still finds a fresh certificate valid
RENEWED_BEFORE_END = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate and its private key, both PEM files."""

    certificate_file: Path
    private_key_file: Path


class Authority:
    """A certificate authority that lives in a folder; made by ``Authority.open``."""

    def __init__(self, ca_file: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.ca_file = ca_file
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Return the authority in ``folder``, made anew when there is none or its time is over.

        Raises:
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        ca_file, key_file = folder / "ca.pem", folder / "ca.key"
        try:
            certificate = x509.load_pem_x509_certificate(ca_file.read_bytes())
            key = _load_key(key_file)
        except (FileNotFoundError, ValueError):
            pass
        else:
            if _belongs(certificate, key) and _in_time(certificate):
                return cls(ca_file, certificate, key)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key)
        _write(key_file, _key_pem(key), mode=0o600)
        _write(ca_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        return cls(ca_file, certificate, key)

    def issue(
        self,
        name: str,
        folder: Path,
        *,
        hosts: Sequence[str] = (),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Credentials:
        """Write ``NAME.pem`` and ``NAME.key`` into ``folder`` and return where they are; older ones are replaced.

        Args:
            name: the common name; for a thing, the thing's name.
            folder: made when it is missing.
            hosts: DNS names and IP addresses of a server; empty for a client.
            not_before: aware; a day ago when not given.
            not_after: aware; a year after ``not_before`` when not given. A time that has passed gives an expired
                certificate.

        Raises:
            ValueError: the name cannot be a file name or is longer than the 64 characters of a common name.
            OSError: the folder cannot be written.
        """
        credentials = _place(name, folder)
        key = ec.generate_private_key(ec.SECP256R1())
        start, end = _validity(not_before, not_after)
        builder = _builder(name, key, start, end).issuer_name(self._certificate.subject)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = _with_purpose(builder, hosts).add_extension(issuer, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        folder.mkdir(parents=True, exist_ok=True)
        _write(credentials.private_key_file, _key_pem(key), mode=0o600)
        _write(credentials.certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        return credentials

    def ensure(self, name: str, folder: Path, *, hosts: Sequence[str] = ()) -> Credentials:
        """Return the credentials in ``folder`` when they can still be used, else issue them anew.

        They can be used when this authority signed them, the key belongs to the certificate, the hosts are the same
        and at least a day is left.
        """
        credentials = _place(name, folder)
        try:
            certificate = x509.load_pem_x509_certificate(credentials.certificate_file.read_bytes())
            key = _load_key(credentials.private_key_file)
        except (FileNotFoundError, ValueError):
            return self.issue(name, folder, hosts=hosts)
        usable = (
            self._signed(certificate)
            and _belongs(certificate, key)
            and _in_time(certificate)
            and _hosts(certificate) == {str(general.value) for general in _general_names(hosts)}
        )
        return credentials if usable else self.issue(name, folder, hosts=hosts)

    def _signed(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    start = SystemClock().now() - BACKDATED
    builder = _builder("thingmeter sandbox authority", key, start, start + CA_LIFETIME)
    return (
        builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "thingmeter sandbox authority")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(name: str, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _with_purpose(builder: x509.CertificateBuilder, hosts: Sequence[str]) -> x509.CertificateBuilder:
    """Add what says that a certificate is for a server with these hosts, or for a client where there are none."""
    usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    if not hosts:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName(_general_names(hosts)), critical=False)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _validity(not_before: datetime | None, not_after: datetime | None) -> tuple[datetime, datetime]:
    start = not_before if not_before is not None else SystemClock().now() - BACKDATED
    end = not_after if not_after is not None else start + LIFETIME
    if not_before is None and end <= start:
        start = end - BACKDATED
    return start, end


def _general_names(hosts: Sequence[str]) -> list[x509.DNSName | x509.IPAddress]:
    names: list[x509.DNSName | x509.IPAddress] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _hosts(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _in_time(certificate: x509.Certificate) -> bool:
    now = SystemClock().now()
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEWED_BEFORE_END


def _belongs(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except TypeError as error:  # it is encrypted
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds no key of an elliptic curve")  # noqa: TRY004 - the content is wrong, not a type
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _place(name: str, folder: Path) -> Credentials:
    if not name or "/" in name or "\0" in name or name.startswith("."):
        raise ValueError(f"{name!r} cannot be the name of a certificate file")
    return Credentials(folder / f"{name}.pem", folder / f"{name}.key")


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Replace ``path`` in one step, so that a reader never sees half of it, nor a key with a wider mode."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123 - a mode at birth
        file.write(content)
    new.replace(path)
