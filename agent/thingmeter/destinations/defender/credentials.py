"""AWS credentials for a thing's certificate, from the credentials provider of AWS IoT.

    GET https://ENDPOINT/role-aliases/ALIAS/credentials      over mutual TLS, header x-amzn-iot-thingname
    {"credentials": {"accessKeyId", "secretAccessKey", "sessionToken", "expiration"}}

Source: AWS IoT Core developer guide, "Authorizing direct calls to AWS services using AWS IoT Core credential provider".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, TypeAlias
from urllib.parse import quote

import msgspec

from thingmeter.destinations.defender.refusals import error_of, raise_passing, raise_wrong_clock
from thingmeter.destinations.https import Answer, Exchange, Request
from thingmeter.errors import Denied, Unreachable
from thingmeter.protocols import Clock

RENEWED_BEFORE_END = timedelta(minutes=1)  # a request may wait a while on its way

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[!-~]+$")]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What requests are signed with; ``expires`` is aware, None where no end is known."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class RoleAlias:
    """Whose credentials are asked for: ``endpoint`` is the credentials provider's host or host:port."""

    endpoint: str
    alias: str
    thing: str

    @property
    def request(self) -> Request:
        """The request for credentials, to be sent with the thing's certificate."""
        path = quote(self.alias, safe="=,@")
        return Request(
            "GET",
            f"https://{self.endpoint}/role-aliases/{path}/credentials",
            {"x-amzn-iot-thingname": self.thing},
        )


class _Issued(msgspec.Struct, frozen=True, rename="camel"):
    access_key_id: _Text
    secret_access_key: _Text
    session_token: _Text
    expiration: Annotated[datetime, msgspec.Meta(tz=True)]


class _Content(msgspec.Struct, frozen=True):
    credentials: _Issued


def issued(role: RoleAlias, exchange: Exchange, clock: Clock) -> Credentials:
    """Return credentials of the role that the alias stands for.

    Args:
        role: whose.
        exchange: sends the thing's certificate.
        clock: tells whether what was issued is still good.

    Raises:
        Throttled: the provider asks to wait.
        Unreachable: no answer, or none that decides; so when the credentials have ended before they came.
        Denied: the provider refuses the thing or does not know the role alias.
    """
    what = f"credentials for role alias {role.alias}"
    answer = exchange(role.request)
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(role, answer, clock.now())
    try:
        found = msgspec.json.decode(answer.body, type=_Content).credentials
    except (ValueError, RecursionError) as error:  # not chained: the error could quote what was issued
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "no JSON"
        raise Unreachable(f"{what}: {role.endpoint} answered something else than credentials: {reason}") from None
    if found.expiration <= clock.now():
        raise_wrong_clock(answer, clock.now(), what)
        raise Unreachable(
            f"{what}: those that were issued ended at {found.expiration.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; "
            "is this machine's clock ahead?"
        )
    return Credentials(found.access_key_id, found.secret_access_key, found.session_token, found.expiration)


class RenewedCredentials:
    """Credentials that are asked for when they are first needed, and again shortly before they end."""

    def __init__(self, source: Callable[[], Credentials], clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._held: Credentials | None = None

    def current(self) -> Credentials:
        """Return credentials that are good now; may block and raise as their source does."""
        held = self._held
        if held is None or (held.expires is not None and held.expires - self._clock.now() < RENEWED_BEFORE_END):
            held = self._held = self._source()
        return held


def _refusal(role: RoleAlias, answer: Answer, now: datetime) -> Denied:
    error = error_of(answer)
    raise_passing(answer, error, f"credentials for role alias {role.alias}", now)
    refused = f"{role.endpoint} gives thing {role.thing} no credentials for role alias {role.alias}: {error}"
    if error.status == HTTPStatus.NOT_FOUND:
        return Denied(f"{refused}; create the role alias in this account and region, or correct [aws] role_alias")
    return Denied(
        f"{refused}; check that the certificate is active and attached to the thing, that its policy allows "
        "iot:AssumeRoleWithCertificate on the role alias, and that the role trusts credentials.iot.amazonaws.com"
    )
