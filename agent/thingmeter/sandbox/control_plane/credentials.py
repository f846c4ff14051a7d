"""The credentials provider: short-lived access keys for whoever has the certificate of a thing.

Sources: docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html;
awslabs.github.io/aws-iot-core-credential-provider-session-helper/dev_notes.html (answers seen from AWS: their
statuses, their words, and the order of the checks)
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import unquote

from thingmeter.protocols import Clock
from thingmeter.sandbox.control_plane.keys import KeyRing, new_session_key
from thingmeter.sandbox.http.messages import HttpAnswer, HttpRequest

ROLE_ALIAS = "thingmeter"
THING_NAME = "x-amzn-iot-thingname"
OPERATION = "AssumeRoleWithCertificate"  # as its permission is called

_PATH = re.compile("/role-aliases/([^/]+)/credentials")


def failure(status: int, error: str, message: str) -> HttpAnswer:
    """Return an answer that refuses."""
    return HttpAnswer.of_json(status, {"message": message}, {"x-amzn-errortype": error})


NOT_FOUND = failure(404, "ResourceNotFoundException", "Not Found")
NO_CERTIFICATE = failure(403, "AccessDeniedException", "Certificate is invalid on this endpoint")
WRONG_THING = failure(403, "AccessDeniedException", "Invalid thing name passed")
DENIED = failure(403, "AccessDeniedException", "Access Denied")
NO_ALIAS = failure(404, "ResourceNotFoundException", "Role alias does not exist")
NO_ROLE = failure(400, "InvalidRequestException", "Unable to assume the role, or the role to assume does not exist")
TOO_LONG = failure(
    400,
    "InvalidRequestException",
    "The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for the role",
)


@dataclass(slots=True)
class CredentialsProvider:
    """The service; call it with a request. Not thread-safe.

    Attributes:
        keys: gets the keys that are issued.
        clock: tells when they expire.
        role_aliases: those that exist.
        duration_s: how long a key lasts.
        may_assume: whether the policy of a thing's certificate allows it.
        failing: the answer to everyone who has passed the checks, such as ``NO_ROLE``; None: keys are issued.
    """

    keys: KeyRing
    clock: Clock
    role_aliases: frozenset[str] = frozenset({ROLE_ALIAS})
    duration_s: int = 3600
    may_assume: Callable[[str], bool] = lambda _: True
    failing: HttpAnswer | None = None

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request, whose ``client`` is the thing."""
        answer = self._answer(request)
        return replace(answer, headers={**answer.headers, "x-amzn-requestid": str(uuid.uuid4())})

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        alias = _alias(request)
        if alias is None:
            return NOT_FOUND
        if not request.client:
            return NO_CERTIFICATE
        if request.headers.get(THING_NAME, request.client) != request.client:
            return WRONG_THING
        if not self.may_assume(request.client):
            return DENIED
        if alias not in self.role_aliases:
            return NO_ALIAS
        return self.failing or self._issue(request.client)

    def _issue(self, thing: str) -> HttpAnswer:
        expires_at = self.clock.now().replace(microsecond=0) + timedelta(seconds=self.duration_s)
        key = new_session_key(thing, expires_at)
        self.keys.add(key)
        credentials = {
            "accessKeyId": key.id,
            "secretAccessKey": key.secret,
            "sessionToken": key.session_token,
            "expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return HttpAnswer.of_json(200, {"credentials": credentials})


def operation_of(request: HttpRequest) -> tuple[str, str]:
    """Return the operation and the role alias for a record of the call."""
    alias = _alias(request)
    return (f"{request.method} {request.path}", "") if alias is None else (OPERATION, alias)


def _alias(request: HttpRequest) -> str | None:
    found = _PATH.fullmatch(request.path)
    return unquote(found[1]) if found and request.method == "GET" else None
