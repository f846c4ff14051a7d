"""The errors of the control plane, and how they look on the wire.

Sources: the service model of AWS IoT 2015-05-28 (types and statuses of the modelled errors), AWS's restJson1 protocol
(where the type stands: header ``X-Amzn-Errortype``, or ``__type`` or ``code`` in the body, perhaps with a namespace
before it or a URI behind it), docs.aws.amazon.com/iot/latest/apireference/CommonErrors.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from thingmeter.sandbox.errors import SandboxError
from thingmeter.sandbox.http.messages import HttpAnswer

TypePlace: TypeAlias = Literal["header", "header with uri", "__type", "__type with namespace", "code"]

STATUSES = {
    "InvalidRequestException": 400,
    "ThrottlingException": 400,
    "SerializationException": 400,
    "UnauthorizedException": 401,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "UnrecognizedClientException": 403,
    "ResourceNotFoundException": 404,
    "UnknownOperationException": 404,
    "ResourceAlreadyExistsException": 409,
    "LimitExceededException": 410,
    "InternalFailureException": 500,
    "ServiceUnavailableException": 503,
}
MESSAGES = {
    "InvalidRequestException": "The request is not valid",
    "ThrottlingException": "Rate exceeded",
    "AccessDeniedException": "User is not authorized to perform this operation",
    "ResourceNotFoundException": "The resource does not exist",
    "ResourceAlreadyExistsException": "The resource already exists",
    "LimitExceededException": "A limit of the account has been exceeded",
    "InternalFailureException": "An unexpected error has occurred",
    "ServiceUnavailableException": "The service is temporarily unavailable",
}
URI = "http://internal.amazon.com/coral/com.amazonaws.iot/"
NAMESPACE = "com.amazonaws.iot"


class Refusal(SandboxError):
    """The control plane answers with an error.

    Args:
        error: its type, one of ``STATUSES``.
        message: empty: the usual one of the type.
        members: what else stands in the body.
    """

    def __init__(self, error: str, message: str = "", members: Mapping[str, Any] | None = None) -> None:
        super().__init__(message or MESSAGES.get(error, error))
        self.error = error
        self.members = dict(members or {})

    @property
    def status(self) -> int:
        """The HTTP status; 400 for a type that nobody has heard of."""
        return STATUSES.get(self.error, 400)


def answer_of(refusal: Refusal, place: TypePlace = "header") -> HttpAnswer:
    """Return the answer that says so, with the type in ``place``."""
    body = {"message": str(refusal), **refusal.members}
    headers = {"content-type": "application/json"}
    if place == "header":
        headers["x-amzn-errortype"] = refusal.error
    elif place == "header with uri":
        headers["x-amzn-errortype"] = f"{refusal.error}:{URI}"
    elif place == "__type with namespace":
        body["__type"] = f"{NAMESPACE}#{refusal.error}"
    else:
        body[place] = refusal.error
    return HttpAnswer(refusal.status, json.dumps(body).encode(), headers)
