"""What the errors of AWS mean, by their type wherever it stands, and whose answer an answer is."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.aws_account import answer, error
from thingmeter.destinations.defender.refusals import RefusalKind, refusal_of
from thingmeter.destinations.https import Answer
from thingmeter.errors import Denied, Throttled, Unanswered, Unreachable
from thingmeter.testing import ManualClock

NOW = ManualClock().now()
CREATE = "CreateCustomMetric"
HTML = {"content-type": "text/html"}

headers = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(max_size=40) | st.sampled_from(["ThrottlingException", "#", "3", "Thu, 01 Jan 1970 00:00:00 GMT"])
        for name in ("x-amzn-errortype", "content-type", "retry-after", "date")
    },
)


@pytest.mark.parametrize(
    ("status", "type_", "kind"),
    [
        (409, "ResourceAlreadyExistsException", "exists"),
        (404, "ResourceNotFoundException", "missing"),
        (410, "LimitExceededException", "limit"),
        (400, "InvalidRequestException", "invalid"),
        (403, "AccessDeniedException", "denied"),
        (401, "UnauthorizedException", "denied"),
        (403, "OptInRequired", "denied"),
        (400, "ValidationException", "denied"),
    ],
)
def test_the_type_decides_what_is_refused(status: int, type_: str, kind: RefusalKind) -> None:
    assert refusal_of(error(status, type_), CREATE, NOW).kind == kind


@pytest.mark.parametrize(
    "given_as",
    [
        Answer(400, {"x-amzn-errortype": "LimitExceededException"}),
        Answer(400, {"x-amzn-errortype": "LimitExceededException:http://internal.amazon.com/coral/com.amazon/"}),
        Answer(400, {"x-amzn-errortype": "aws.iot#LimitExceededException:"}),
        answer(400, {"__type": "LimitExceededException"}),
        answer(400, {"__type": "com.amazon.coral.service#LimitExceededException"}),
        answer(400, {"code": "LimitExceededException"}),
    ],
    ids=["header", "header with a URL", "header with a namespace", "__type", "__type with a namespace", "code"],
)
def test_a_type_is_found_in_every_place(given_as: Answer) -> None:
    assert refusal_of(given_as, CREATE, NOW).kind == "limit"


@pytest.mark.parametrize(("status", "kind"), [(404, "missing"), (409, "exists"), (410, "limit"), (400, "denied")])
def test_without_a_type_the_status_decides_where_only_one_error_has_it(status: int, kind: RefusalKind) -> None:
    assert refusal_of(answer(status, {"message": "no"}), CREATE, NOW).kind == kind


@pytest.mark.parametrize(
    "asks_to_wait",
    [
        error(400, "ThrottlingException"),
        error(400, "TooManyRequestsException"),
        error(400, "RequestLimitExceeded"),
        answer(400, {"message": "Rate exceeded"}),
        Answer(429, HTML, b"<html>"),
        Answer(503, HTML | {"retry-after": "5"}),
    ],
    ids=["throttling", "too many", "limit", "without a type", "429", "503 with a time"],
)
def test_throttling_asks_to_wait(asks_to_wait: Answer) -> None:
    with pytest.raises(Throttled):
        refusal_of(asks_to_wait, CREATE, NOW)


@pytest.mark.parametrize(
    ("retry_after", "after_s"),
    [
        ("", 5),
        ("soon", 5),
        ("-3", 5),
        ("30", 30),
        ("0", 1),
        ("9" * 5000, 3600),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 1),
    ],
)
def test_the_wait_is_the_one_asked_for_within_reason(retry_after: str, after_s: float) -> None:
    with pytest.raises(Throttled) as raised:
        refusal_of(error(400, "ThrottlingException", retry_after=retry_after), CREATE, NOW)

    assert raised.value.after_s == after_s


def test_a_date_to_wait_for_is_held_against_the_date_of_the_answer() -> None:
    date, until = (format_datetime(NOW + timedelta(hours=hours), usegmt=True) for hours in (5, 5.5))

    with pytest.raises(Throttled) as raised:
        refusal_of(error(400, "ThrottlingException", retry_after=until, date=date), CREATE, NOW)

    assert raised.value.after_s == 1800


@pytest.mark.parametrize(
    "broken",
    [
        error(500, "InternalFailureException"),
        error(400, "InternalFailureException"),
        error(503, "ServiceUnavailableException"),
        Answer(502, HTML, b"<html>Bad Gateway</html>"),
        Answer(408),
    ],
    ids=["500", "by type", "503", "a gateway", "408"],
)
def test_after_an_error_within_the_service_it_may_have_been_carried_out(broken: Answer) -> None:
    with pytest.raises(Unanswered):
        refusal_of(broken, CREATE, NOW)


@pytest.mark.parametrize(
    "foreign",
    [
        Answer(403, HTML, b"<html>Blocked by policy</html>"),
        Answer(404, {}, b""),
        Answer(302, {"location": "https://login.example.com/"}, b""),
        Answer(407, {"content-type": "text/plain"}, b"who are you?"),
        Answer(400, {"content-type": "application/json"}, b"[]"),
    ],
    ids=["HTML", "nothing", "redirect", "proxy", "no object"],
)
def test_what_is_not_in_the_words_of_aws_decides_nothing(foreign: Answer) -> None:
    with pytest.raises(Unreachable, match="is a proxy in between"):
        refusal_of(foreign, CREATE, NOW)


@pytest.mark.parametrize(
    "unknown",
    [
        error(403, "UnrecognizedClientException", "The security token included in the request is invalid."),
        error(403, "InvalidSignatureException", "The request signature we calculated does not match"),
        error(403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
    ],
)
def test_credentials_that_are_not_accepted_deny_the_whole_attempt(unknown: Answer) -> None:
    with pytest.raises(Denied, match="does not accept the credentials"):
        refusal_of(unknown, CREATE, NOW)


def passing(given_answer: Answer) -> str:
    """Return what is said of an answer that is tried again; fails for a denial."""
    with pytest.raises(Unreachable) as raised:
        refusal_of(given_answer, CREATE, NOW)
    assert not isinstance(raised.value, Denied)
    return str(raised.value)


def test_an_ended_token_is_tried_again() -> None:
    said = passing(error(403, "ExpiredTokenException", "The security token included in the request is expired"))

    assert said.endswith("the next attempt asks for new credentials")


@pytest.mark.parametrize(
    ("difference", "words"),
    [(timedelta(hours=1), "clock is 3600 s behind"), (timedelta(seconds=-301), "clock is 301 s ahead")],
)
def test_a_wrong_clock_is_told_from_wrong_credentials_by_the_answers_date(difference: timedelta, words: str) -> None:
    date = format_datetime(NOW + difference, usegmt=True)

    assert words in passing(error(403, "InvalidSignatureException", "does not match", date=date))


def test_a_clock_within_five_minutes_is_no_excuse() -> None:
    date = format_datetime(NOW + timedelta(seconds=299), usegmt=True)

    with pytest.raises(Denied):
        refusal_of(error(403, "InvalidSignatureException", "does not match", date=date), CREATE, NOW)


@pytest.mark.parametrize(
    "late",
    [
        error(403, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 2026..."),
        error(403, "InvalidSignatureException", "Signature not yet current: 20260101T000000Z is still later than ..."),
        error(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large"),
        error(400, "RequestExpired", "Request has expired."),
    ],
)
def test_a_wrong_clock_is_known_by_the_services_words_as_well(late: Answer) -> None:
    assert passing(late).endswith("set this machine's clock")


def test_what_is_refused_for_its_content_is_not_blamed_on_the_clock() -> None:
    date = format_datetime(NOW + timedelta(days=1), usegmt=True)

    assert refusal_of(error(409, "ResourceAlreadyExistsException", date=date), CREATE, NOW).kind == "exists"


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (
            error(410, "LimitExceededException", "Limit exceeded"),
            (
                "the account has its 100 custom metrics: delete one there that nobody needs, or ask AWS for a higher "
                "quota; AWS says: Limit exceeded"
            ),
        ),
        (
            error(400, "InvalidRequestException", "Invalid displayName"),
            "AWS does not take it as it is configured, change it: Invalid displayName",
        ),
        (
            error(403, "AccessDeniedException", "User is not authorized to perform iot:CreateCustomMetric"),
            (
                "AWS does not allow CreateCustomMetric: User is not authorized to perform iot:CreateCustomMetric; "
                "allow iot:CreateCustomMetric (and iot:TagResource, where it has tags) in the policy of these "
                "credentials"
            ),
        ),
        (
            error(400, "FeatureClosedException", "Not available"),
            (
                "AWS refuses CreateCustomMetric: 400 FeatureClosedException: Not available; is Device Defender Detect "
                "open to this account, and does its policy allow iot:CreateCustomMetric (and iot:TagResource, where it "
                "has tags)?"
            ),
        ),
    ],
    ids=["limit", "invalid", "not allowed", "in no model"],
)
def test_a_reason_says_what_is_wrong_and_what_to_do(refused: Answer, reason: str) -> None:
    assert refusal_of(refused, CREATE, NOW).reason == reason


def test_the_services_words_cannot_write_into_a_log() -> None:
    reason = refusal_of(error(400, "InvalidRequestException", "a\x1b[31mb\nc\u202e"), CREATE, NOW).reason

    assert reason.endswith("change it: a\\u001b[31mb c\\u202e")


def test_a_full_stop_of_the_service_does_not_end_the_reason() -> None:
    reason = refusal_of(error(403, "AccessDeniedException", "No."), CREATE, NOW).reason

    assert reason.startswith("AWS does not allow CreateCustomMetric: No; allow")


def test_the_services_words_are_cut() -> None:
    assert len(refusal_of(error(400, "InvalidRequestException", "a" * 100_000), CREATE, NOW).reason) < 400


@given(status=st.integers(100, 599), headers=headers, body=st.binary(max_size=60))
def test_any_answer_is_a_refusal_or_one_of_the_errors(status: int, headers: dict[str, str], body: bytes) -> None:
    try:
        reason = refusal_of(Answer(status, headers, body), CREATE, NOW).reason
    except (Throttled, Unreachable) as raised:
        reason = str(raised)

    assert reason.isprintable()
