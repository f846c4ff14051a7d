"""The sandbox's check of signatures, against two signers that share no code with it: botocore and awscrt."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.sandbox.control_plane.keys import AccessKey, KeyRing
from thingmeter.sandbox.control_plane.refusal import Refusal
from thingmeter.sandbox.control_plane.sigv4 import Authorization, Verifier, sign
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.testing import ManualClock

NOW = datetime.now(UTC).replace(microsecond=0)  # botocore signs with the machine's clock
KEY = AccessKey("AKIDEXAMPLE", "a secret/with+marks", "operator")
SESSION = AccessKey("ASIDEXAMPLE", "other", "pump-7", "token//+=", NOW + timedelta(hours=1))
HOST = "localhost:8884"
REGION = "eu-west-1"
SEGMENTS = st.lists(st.text("abz09-_.~:%20 äé+=@/", min_size=1, max_size=8), min_size=1, max_size=3)
PAIRS = st.lists(st.tuples(st.text("abmx-_~ ä/+=&", min_size=1, max_size=5), st.text(max_size=5)), max_size=4)


def verifier(now: datetime = NOW) -> Verifier:
    return Verifier(KeyRing(KEY, SESSION), ManualClock(now), REGION)


def by_botocore(
    key: AccessKey = KEY,
    url: str = f"https://{HOST}/custom-metric/a%3Ab?x=1",
    body: bytes = b"{}",
    *,
    service: str = "iot",
    region: str = REGION,
) -> HttpRequest:
    """Return a request that botocore has signed, as it would be on the wire."""
    credentials = botocore.credentials.Credentials(key.id, key.secret, key.session_token or None)
    signer = botocore.auth.SigV4Auth(credentials, service, region)
    made: Any = botocore.awsrequest.AWSRequest("POST", url, {"host": HOST, "content-type": "application/json"}, body)
    signer.add_auth(made)
    return request_of(url, dict(made.headers.items()), body)


def by_awscrt(key: AccessKey, path: str, query: str, body: bytes) -> HttpRequest:
    """Return a request that awscrt has signed, as it would be on the wire."""
    from awscrt import auth, http  # noqa: PLC0415  # extra aws

    target = f"{path}?{query}" if query else path
    made = http.HttpRequest("POST", target, http.HttpHeaders([("host", HOST)]), io.BytesIO(body))
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=auth.AwsCredentialsProvider.new_static(key.id, key.secret, key.session_token or None),
        region=REGION,
        service="iot",
        date=NOW,
        signed_body_value=hashlib.sha256(body).hexdigest(),
    )
    signed = auth.aws_sign_request(made, config).result(10)
    return request_of(f"https://{HOST}{target}", dict(signed.headers), body)


def request_of(url: str, headers: dict[str, str], body: bytes) -> HttpRequest:
    path, _, query = url.removeprefix(f"https://{HOST}").partition("?")
    return HttpRequest("POST", path, query, {name.lower(): value for name, value in headers.items()}, body)


def refused(request: HttpRequest, now: datetime = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        verifier(now).owner(request)
    return caught.value


def without(request: HttpRequest, header: str) -> HttpRequest:
    return replace(request, headers={name: value for name, value in request.headers.items() if name != header})


@pytest.mark.parametrize("key", [KEY, SESSION])
def test_a_request_signed_by_botocore_is_its_key_owner_s(key: AccessKey) -> None:
    assert verifier().owner(by_botocore(key)) == key.owner


@pytest.mark.needs_aws
@pytest.mark.parametrize("key", [KEY, SESSION])
def test_a_request_signed_by_awscrt_is_its_key_owner_s(key: AccessKey) -> None:
    assert (
        verifier().owner(by_awscrt(key, "/custom-metric/a%3Ab", "maxResults=250&nextToken=a%2Bb", b"{}")) == key.owner
    )


@given(segments=SEGMENTS, pairs=PAIRS, body=st.binary(max_size=20))
def test_any_path_query_and_body_signed_by_botocore_are_valid(
    segments: list[str], pairs: list[tuple[str, str]], body: bytes
) -> None:
    path = "".join(f"/{quote(segment, safe='')}" for segment in segments if segment not in {".", ".."}) or "/"
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)

    assert verifier().owner(by_botocore(url=f"https://{HOST}{path}?{query}", body=body)) == "operator"


def test_the_published_example_has_the_published_signature() -> None:
    scope = ("20150830", "us-east-1", "service", "aws4_request")
    request = HttpRequest("GET", "/", "", {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"})

    signature = sign(
        request,
        Authorization("AKIDEXAMPLE", scope, ("host", "x-amz-date"), ""),
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    )

    assert signature == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PATCH"},
        {"path": "/custom-metric/a%3Ac"},
        {"path": "/custom-metric/a:b"},
        {"query": "x=2"},
        {"body": b"{ }"},
    ],
)
def test_a_request_changed_after_it_was_signed_does_not_match(change: dict[str, Any]) -> None:
    assert refused(replace(by_botocore(), **change)).error == "InvalidSignatureException"


@pytest.mark.parametrize("header", ["host", "content-type", "x-amz-date"])
def test_a_signed_header_cannot_be_changed(header: str) -> None:
    request = by_botocore()
    changed = {**request.headers, header: request.headers[header].replace("0", "1").replace("a", "b").replace("l", "m")}

    assert refused(replace(request, headers=changed)).error == "InvalidSignatureException"


def test_a_request_that_is_not_signed_is_told_so() -> None:
    assert refused(HttpRequest("GET", "/")).error == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer x",
        "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/iot/aws4_request",
        "AWS4-HMAC-SHA256 Credential=a/iot, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA512 Credential=a/20260101/eu-west-1/iot/aws4_request, SignedHeaders=host, Signature=0",
    ],
)
def test_a_header_that_is_not_complete_is_told_so(header: str) -> None:
    assert refused(HttpRequest("GET", "/", headers={"authorization": header})).error == "IncompleteSignatureException"


def test_a_request_without_a_time_is_not_complete() -> None:
    assert refused(without(by_botocore(), "x-amz-date")).error == "IncompleteSignatureException"


def test_an_unknown_key_is_not_recognised() -> None:
    assert refused(by_botocore(replace(KEY, id="AKIDOTHER"))).error == "UnrecognizedClientException"


def test_a_wrong_secret_does_not_match() -> None:
    assert refused(by_botocore(replace(KEY, secret="wrong"))).error == "InvalidSignatureException"


@pytest.mark.parametrize("token", ["", "another"])
def test_a_key_with_another_session_token_is_not_recognised(token: str) -> None:
    assert refused(by_botocore(replace(SESSION, session_token=token))).error == "UnrecognizedClientException"


def test_a_session_token_with_a_lasting_key_is_not_recognised() -> None:
    assert refused(by_botocore(replace(KEY, session_token="x"))).error == "UnrecognizedClientException"


def test_a_key_is_valid_until_it_expires() -> None:
    request = by_botocore(SESSION)

    assert refused(request, SESSION.expires_at or NOW).error == "ExpiredTokenException"


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_may_be_five_minutes_off(minutes: int) -> None:
    request = by_botocore()
    signed_at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    assert verifier(signed_at + timedelta(minutes=minutes)).owner(request) == "operator"


@pytest.mark.parametrize(("seconds", "words"), [(301, "Signature expired: "), (-301, "Signature not yet current: ")])
def test_a_clock_that_is_further_off_is_told_so(seconds: int, words: str) -> None:
    request = by_botocore()
    signed_at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    refusal = refused(request, signed_at + timedelta(seconds=seconds))

    assert (refusal.error, str(refusal).startswith(words)) == ("InvalidSignatureException", True)


@pytest.mark.parametrize(
    ("service", "region", "words"),
    [
        ("iot", "us-east-1", "scoped to a valid region, not 'us-east-1'"),
        ("iotdata", REGION, "scoped to correct service: 'iot'"),
    ],
)
def test_a_signature_for_elsewhere_is_refused(service: str, region: str, words: str) -> None:
    assert words in str(refused(by_botocore(service=service, region=region)))


@pytest.mark.parametrize("header", ["host", "x-amz-date", "x-amz-security-token"])
def test_the_host_and_aws_s_own_headers_must_be_signed(header: str) -> None:
    request = by_botocore(SESSION)
    authorization = request.headers["authorization"].replace(f"{header};", "").replace(f";{header}", "")

    refusal = refused(replace(request, headers={**request.headers, "authorization": authorization}))

    assert "must be a 'SignedHeader'" in str(refusal)


def test_the_owner_of_a_key_is_known_whether_the_signature_is_valid_or_not() -> None:
    request = replace(by_botocore(SESSION), body=b"changed")

    assert verifier().owner_claimed(request) == "pump-7"


@pytest.mark.parametrize("header", ["", "Credential=", "Bearer x", "AWS4-HMAC-SHA256 Credential=unknown/2026"])
def test_nobody_is_the_owner_of_an_unknown_key(header: str) -> None:
    assert verifier().owner_claimed(HttpRequest("GET", "/", headers={"authorization": header})) == ""


@given(header=st.text(max_size=40) | st.just("AWS4-HMAC-SHA256 ").flatmap(lambda start: st.text().map(start.__add__)))
def test_any_header_is_answered(header: str) -> None:
    assert refused(HttpRequest("GET", "/", headers={"authorization": header})).error.endswith("Exception")
