"""What an answer of AWS that is no success means: ask again later, never ask again, or let somebody change a policy.

The type of the error decides, not the status: throttling and an invalid request both come as 400, an exceeded limit as
410. The type stands in the header ``x-amzn-errortype``, perhaps with a colon and a URL behind it, or in the body as
``__type``, perhaps with a namespace and ``#`` before it, or as ``code``. Source: the AWS IoT API reference, "Common
Errors" and the errors of the four operations; the Smithy specification, AWS restJson1 protocol.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal, TypeAlias

import msgspec

from thingmeter.destinations.answers import Refusal, date_of, one_line, phrase, wait_s
from thingmeter.destinations.https import Answer
from thingmeter.errors import Denied, Throttled, Unanswered, Unreachable

DEFAULT_AFTER_S = 5.0  # the quotas of these operations are 10 and 25 a second of the whole account
TOLERATED_SKEW = timedelta(minutes=5)  # of a signature's time: the AWS SDKs and tools reference guide

RefusalKind: TypeAlias = Literal["exists", "missing", "limit", "invalid", "denied"]

KINDS: dict[str, RefusalKind] = {
    "ResourceAlreadyExists": "exists",
    "ResourceNotFound": "missing",
    "LimitExceeded": "limit",
    "InvalidRequest": "invalid",
}
UNTYPED_KINDS: dict[int, RefusalKind] = {
    404: "missing",
    409: "exists",
    410: "limit",
}  # their statuses, where no type is
THROTTLING = frozenset(
    {
        "Throttling",
        "Throttled",
        "RequestThrottled",
        "TooManyRequests",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "ProvisionedThroughputExceeded",
        "SlowDown",
    }
)
INTERNAL = frozenset({"InternalFailure", "InternalServer", "InternalServerError", "ServiceUnavailable"})
ENDED = frozenset({"ExpiredToken", "TokenRefreshRequired"})  # credentials that were good until a moment ago
WRONG_TIME = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})
NOT_ALLOWED = frozenset({"AccessDenied", "Unauthorized", "UnauthorizedOperation", "NotAuthorized", "Forbidden"})
UNKNOWN_CALLER = frozenset(
    {
        "UnrecognizedClient",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "InvalidSignature",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "AuthFailure",
    }
)
_WRONG_TIME_WORDS = re.compile(r"signature (has )?expired|signature not yet current|too skewed", re.IGNORECASE)
_THROTTLED_WORDS = re.compile(r"rate exceeded|too many requests|throttl", re.IGNORECASE)
_ACTIONS = {"CreateCustomMetric": "iot:CreateCustomMetric (and iot:TagResource, where it has tags)"}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An answer that is no success.

    Attributes:
        status: of HTTP.
        type: its bare name; empty where there is none.
        message: the service's words, fit for a log; may be empty.
        is_of_aws: False where nothing shows that the service itself answered, rather than a proxy before it.
    """

    status: int
    type: str
    message: str
    is_of_aws: bool

    @property
    def root(self) -> str:
        """The type without ``Exception`` at its end, which only some have; what the tables above hold."""
        return self.type.removesuffix("Exception")

    @property
    def words(self) -> str:
        """What was said, or the type, or at least the status."""
        return self.message or self._title

    @property
    def _title(self) -> str:
        return self.type or phrase(self.status) or "an unknown status"

    def __str__(self) -> str:
        return ": ".join(filter(None, (f"{self.status} {self._title}", self.message)))


def error_of(answer: Answer) -> ErrorAnswer:
    """Read an answer that is no success, whatever its body is."""
    headers, content = answer.headers, _content(answer.body)
    found = headers.get("x-amzn-errortype") or content.get("__type") or content.get("code")
    message = content.get("message") or content.get("Message") or content.get("errorMessage")
    return ErrorAnswer(
        status=answer.status,
        type=_type(found) if isinstance(found, str) else "",
        message=one_line(message).rstrip(".") if isinstance(message, str) else "",
        is_of_aws=bool(content) or "x-amzn-errortype" in headers or "x-amzn-requestid" in headers,
    )


def refusal_of(answer: Answer, operation: str, now: datetime) -> Refusal[RefusalKind]:
    """Return what an answer that is no success refuses for good.

    Args:
        answer: of any status but 2xx.
        operation: its name in the API.
        now: this machine's time when the answer came.

    Raises:
        Throttled: the service asks to wait.
        Unanswered: an error inside the service; the request may have been carried out.
        Unreachable: not the service's own answer, or one that asking again later can change: an ended token, a
            signature whose time is not the service's.
        Denied: the service does not know our credentials.
    """
    error = error_of(answer)
    raise_passing(answer, error, operation, now)
    if not error.type and error.status in UNTYPED_KINDS:
        return _refusal(UNTYPED_KINDS[error.status], error, operation)
    if error.root in KINDS:
        return _refusal(KINDS[error.root], error, operation)
    if error.root in UNKNOWN_CALLER:
        raise Denied(f"{operation}: AWS does not accept the credentials: {error}; check them and the region in [aws]")
    return _refusal("denied", error, operation)


def raise_passing(answer: Answer, error: ErrorAnswer, what: str, now: datetime) -> None:
    """Raise what another time can be answered otherwise; return for everything else.

    Args:
        answer: of any status but 2xx.
        error: what ``error_of()`` read in it.
        what: was asked for, the subject of the message.
        now: this machine's time when the answer came.

    Raises:
        Throttled, Unanswered, Unreachable: as ``refusal_of()``.
    """
    said = f"{what}: AWS answered {error}"
    if _asks_to_wait(answer, error):
        raise Throttled(said, after_s=wait_s(answer, now, default_s=DEFAULT_AFTER_S))
    internal = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.REQUEST_TIMEOUT
    if internal or error.root in INTERNAL:
        raise Unanswered(said)
    if not error.is_of_aws:
        kind = one_line(answer.headers.get("content-type", "")) or "no content type"
        raise Unreachable(f"{what}: answered {error} ({kind}), not in the words of AWS; is a proxy in between?")
    if error.root in ENDED:
        raise Unreachable(f"{said}; the next attempt asks for new credentials")
    if error.root in KINDS:
        return
    raise_wrong_clock(answer, now, what)
    if error.root in WRONG_TIME or _WRONG_TIME_WORDS.search(error.message):
        raise Unreachable(f"{said}; set this machine's clock")


def raise_wrong_clock(answer: Answer, now: datetime, what: str) -> None:
    """Raise Unreachable where the answer's date shows that this machine's clock is too wrong for a signature.

    Raises:
        Unreachable: by how much, and in which direction.
    """
    date = date_of(answer.headers.get("date", ""))
    if date is None or abs(now - date) <= TOLERATED_SKEW:
        return
    ahead_s = round((now - date).total_seconds())
    direction = "ahead" if ahead_s > 0 else "behind"
    raise Unreachable(
        f"{what}: this machine's clock is {abs(ahead_s)} s {direction}, AWS refuses what it signs; set it"
    )


def _refusal(kind: RefusalKind, error: ErrorAnswer, operation: str) -> Refusal[RefusalKind]:
    action = _ACTIONS.get(operation, f"iot:{operation}")
    if kind == "limit":
        reason = (
            "the account has its 100 custom metrics: delete one there that nobody needs, or ask AWS for a higher "
            f"quota; AWS says: {error.words}"
        )
    elif kind == "invalid":
        reason = f"AWS does not take it as it is configured, change it: {error.words}"
    elif kind == "denied" and error.root in NOT_ALLOWED:
        reason = f"AWS does not allow {operation}: {error.words}; allow {action} in the policy of these credentials"
    elif kind == "denied":
        reason = (
            f"AWS refuses {operation}: {error}; is Device Defender Detect open to this account, "
            f"and does its policy allow {action}?"
        )
    else:
        reason = f"{operation}: AWS answered {error}"
    return Refusal(kind, reason)


def _content(body: bytes) -> dict[str, object]:
    try:
        content = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _type(text: str) -> str:
    """Return ``ThrottlingException`` of ``aws.protocols#ThrottlingException:http://internal.amazon.com/``."""
    return one_line(text.partition(":")[0].rpartition("#")[2])


def _asks_to_wait(answer: Answer, error: ErrorAnswer) -> bool:
    if error.root in THROTTLING or error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in answer.headers:
        return True
    return not error.type and _THROTTLED_WORDS.search(error.message) is not None
