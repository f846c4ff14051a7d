"""Verifies AWS Signature Version 4 in the Authorization header. Own code on the standard library's HMAC alone.

    string to sign = algorithm, time, scope, SHA-256 of
    canonical request = method, path encoded once more, sorted query, signed headers, their names, SHA-256 of the body

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and
reference_sigv-troubleshooting.html (the words of the errors).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from thingmeter.protocols import Clock
from thingmeter.sandbox.control_plane.keys import AccessKey, KeyRing
from thingmeter.sandbox.control_plane.refusal import Refusal
from thingmeter.sandbox.http.messages import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "iot"
MAXIMUM_SKEW = timedelta(minutes=5)
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
UNRESERVED = "-_.~"  # beside letters and digits: what is never encoded
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)

_SPACES = re.compile(" +")
_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the header says: ``scope`` is DATE/REGION/SERVICE/aws4_request."""

    key_id: str
    scope: tuple[str, ...]
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class Verifier:
    """Tells whose a request is; ``region`` is the one that it must be signed for."""

    keys: KeyRing
    clock: Clock
    region: str

    def owner(self, request: HttpRequest) -> str:
        """Return the owner of the key that signed a request.

        Raises:
            Refusal: it is not signed, or not as it should be.
        """
        authorization = parse(request)
        key = self._key(authorization, request)
        signed_at = self._time(request)
        self._check_scope(authorization, signed_at)
        _check_signed_headers(authorization, request)
        if not hmac.compare_digest(sign(request, authorization, key.secret), authorization.signature):
            raise Refusal("InvalidSignatureException", MISMATCH)
        return key.owner

    def owner_claimed(self, request: HttpRequest) -> str:
        """Return the owner of the key that a request names, whether it is valid or not; empty for an unknown one."""
        found = re.search(r"Credential=([^/,\s]+)", request.headers.get("authorization", ""))
        key = self.keys.find(found[1]) if found else None
        return key.owner if key else ""

    def _key(self, authorization: Authorization, request: HttpRequest) -> AccessKey:
        key = self.keys.find(authorization.key_id)
        token = request.headers.get("x-amz-security-token", "")
        if key is None or not hmac.compare_digest(key.session_token, token):
            raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
        if key.expires_at is not None and self.clock.now() >= key.expires_at:
            raise Refusal("ExpiredTokenException", "The security token included in the request is expired")
        return key

    def _time(self, request: HttpRequest) -> datetime:
        try:
            signed_at = datetime.strptime(request.headers.get("x-amz-date", ""), TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError as error:
            words = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
            raise Refusal("IncompleteSignatureException", words) from error
        now = self.clock.now()
        said, here = signed_at.strftime(TIME_FORMAT), now.strftime(TIME_FORMAT)
        if now - signed_at > MAXIMUM_SKEW:
            bound = (now - MAXIMUM_SKEW).strftime(TIME_FORMAT)
            words = f"Signature expired: {said} is now earlier than {bound} ({here} - 5 min.)"
            raise Refusal("InvalidSignatureException", words)
        if signed_at - now > MAXIMUM_SKEW:
            bound = (now + MAXIMUM_SKEW).strftime(TIME_FORMAT)
            words = f"Signature not yet current: {said} is still later than {bound} ({here} + 5 min.)"
            raise Refusal("InvalidSignatureException", words)
        return signed_at

    def _check_scope(self, authorization: Authorization, signed_at: datetime) -> None:
        date, region, service, terminator = authorization.scope
        problem = ""
        if date != signed_at.strftime("%Y%m%d"):
            problem = (
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: {date}"
            )
        elif region != self.region:
            problem = f"Credential should be scoped to a valid region, not '{region}'."
        elif service != SERVICE:
            problem = f"Credential should be scoped to correct service: '{SERVICE}'."
        elif terminator != "aws4_request":
            problem = "Credential should be scoped with a valid terminator: 'aws4_request'."
        if problem:
            raise Refusal("InvalidSignatureException", problem)


def parse(request: HttpRequest) -> Authorization:
    """Return what the Authorization header says.

    Raises:
        Refusal: there is none, or it is not complete.
    """
    header = request.headers.get("authorization", "")
    if not header:
        raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
    parts = dict(_PART.findall(header))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in parts]
    if not header.startswith(f"{ALGORITHM} ") or missing:
        words = " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        raise Refusal("IncompleteSignatureException", words or f"Authorization header requires {ALGORITHM}.")
    key_id, *scope = parts["Credential"].split("/")
    if len(scope) != 4:  # noqa: PLR2004  # date, region, service, terminator
        words = "Credential must have exactly 5 slash-delimited elements: keyid/date/region/service/term"
        raise Refusal("IncompleteSignatureException", words)
    return Authorization(key_id, tuple(scope), tuple(parts["SignedHeaders"].split(";")), parts["Signature"])


def sign(request: HttpRequest, authorization: Authorization, secret: str) -> str:
    """Return the signature that a request should have, in hexadecimal."""
    request_digest = hashlib.sha256(canonical(request, authorization.signed_headers).encode()).hexdigest()
    scope = "/".join(authorization.scope)
    text = "\n".join((ALGORITHM, request.headers.get("x-amz-date", ""), scope, request_digest))
    key = f"AWS4{secret}".encode()
    for part in authorization.scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def canonical(request: HttpRequest, signed_headers: tuple[str, ...]) -> str:
    """Return the canonical request."""
    headers = "".join(f"{name}:{_SPACES.sub(' ', request.headers.get(name, '').strip())}\n" for name in signed_headers)
    body = hashlib.sha256(request.body).hexdigest()
    parts = (request.method, _path(request.path), _query(request.query), headers, ";".join(signed_headers), body)
    return "\n".join(parts)


def _path(path: str) -> str:
    """Return a path without empty and dotted segments, and each segment encoded once more than it came."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(quote(segment, safe=UNRESERVED))
    end = "/" if segments and path.endswith("/") else ""
    return f"/{'/'.join(segments)}{end}"


def _query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    encoded = (
        (quote(unquote(name), safe=UNRESERVED), quote(unquote(value), safe=UNRESERVED)) for name, _, value in pairs
    )
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _check_signed_headers(authorization: Authorization, request: HttpRequest) -> None:
    """Refuse a signature that leaves out what it must cover: the host, and every header of AWS's own."""
    names = authorization.signed_headers
    own = {name for name in request.headers if name.startswith("x-amz-")}
    unsigned = sorted(({"host"} | own) - set(names))
    if unsigned:
        words = f"'{unsigned[0].title()}' must be a 'SignedHeader' in the AWS Authorization."
        raise Refusal("InvalidSignatureException", words)
    if list(names) != sorted(set(names)):
        raise Refusal("InvalidSignatureException", MISMATCH)
