"""Signatures, against those that the AWS SDK for Python makes, and the usual chain of credentials."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.destinations.defender.credentials import Credentials
from thingmeter.destinations.https import Request
from thingmeter.errors import Denied, Unreachable
from thingmeter.testing import ManualClock

pytestmark = pytest.mark.needs_aws
signing = pytest.importorskip("thingmeter.destinations.defender.signing")

AT = ManualClock().now()
TIMESTAMP = AT.strftime("%Y%m%dT%H%M%SZ")
CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session/token==")
URL = "https://iot.eu-west-1.amazonaws.com"

names = st.from_regex(r"[a-zA-Z0-9:_-]{1,128}", fullmatch=True)
requests = st.one_of(
    st.builds(
        lambda method, name, body: Request(
            method, f"{URL}/custom-metric/{quote(name, safe='')}", {"content-type": "application/json"}, body
        ),
        st.sampled_from(["POST", "PATCH"]),
        names,
        st.binary(max_size=200),
    ),
    st.builds(lambda name: Request("GET", f"{URL}/custom-metric/{quote(name, safe='')}"), names),
    st.builds(
        lambda token: Request("GET", f"{URL}/custom-metrics?maxResults=250&nextToken={quote(token, safe='')}"),
        st.text(min_size=1, max_size=40),
    ),
)


def sdk_signature(request: Request, headers: dict[str, str], region: str) -> str:
    """The signature that botocore makes of the same request with the same time."""
    auth = pytest.importorskip("botocore.auth")
    awsrequest = pytest.importorskip("botocore.awsrequest")
    credentials = pytest.importorskip("botocore.credentials")
    caller = credentials.Credentials(
        CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token
    )
    signer = auth.SigV4Auth(caller, "iot", region)
    unsigned = {name: value for name, value in headers.items() if name != "authorization"}
    theirs = awsrequest.AWSRequest(request.method, request.url, headers=unsigned, data=request.body)
    theirs.context["timestamp"] = TIMESTAMP
    return str(signer.signature(signer.string_to_sign(theirs, signer.canonical_request(theirs)), theirs))


@given(request=requests, region=st.sampled_from(["eu-west-1", "us-gov-west-1"]))
def test_a_signature_is_the_one_of_the_sdk(request: Request, region: str) -> None:
    headers = signing.signed(request, CREDENTIALS, region=region, at=AT).headers

    assert headers["authorization"].endswith(f"Signature={sdk_signature(request, headers, region)}")


@given(request=requests)
def test_what_is_signed_is_what_goes_out(request: Request) -> None:
    signed = signing.signed(request, CREDENTIALS, region="eu-west-1", at=AT)

    assert (signed.method, signed.url, signed.body) == (request.method, request.url, request.body)


def test_the_scope_is_the_region_and_the_service() -> None:
    headers = signing.signed(Request("GET", f"{URL}/custom-metrics"), CREDENTIALS, region="eu-west-1", at=AT).headers

    assert f"Credential=AKIDEXAMPLE/{AT:%Y%m%d}/eu-west-1/iot/aws4_request" in headers["authorization"]


def test_the_time_is_the_one_given() -> None:
    headers = signing.signed(Request("GET", f"{URL}/custom-metrics"), CREDENTIALS, region="eu-west-1", at=AT).headers

    assert headers["x-amz-date"] == TIMESTAMP


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://localhost:8443", "localhost:8443"),
        ("https://localhost:443", "localhost"),
        ("https://[::1]:8443", "[::1]:8443"),
    ],
)
def test_the_host_is_signed_as_it_goes_out(url: str, host: str) -> None:
    signed = signing.signed(Request("GET", f"{url}/custom-metrics"), CREDENTIALS, region="eu-west-1", at=AT)

    assert (signed.headers["host"], "host;x-amz-date" in signed.headers["authorization"]) == (host, True)


def test_credentials_without_a_session_send_no_token() -> None:
    lasting = Credentials("AKIDEXAMPLE", "secret")

    headers = signing.signed(Request("GET", f"{URL}/custom-metrics"), lasting, region="eu-west-1", at=AT).headers

    assert "x-amz-security-token" not in headers


def test_the_body_takes_part_in_the_signature() -> None:
    one, other = (
        signing.signed(Request("POST", f"{URL}/custom-metric/a", body=body), CREDENTIALS, region="eu-west-1", at=AT)
        for body in (b"1", b"2")
    )

    assert one.headers["authorization"] != other.headers["authorization"]


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which nothing gives credentials."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return monkeypatch


def test_the_chain_begins_with_the_environment(bare_environment: pytest.MonkeyPatch) -> None:
    bare_environment.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    bare_environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    assert signing.chain_credentials() == Credentials("AKIDEXAMPLE", "secret")


@pytest.mark.usefixtures("bare_environment")
def test_the_chain_reads_a_profile(tmp_path: Path) -> None:
    profile = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\naws_session_token = token\n"
    (tmp_path / "credentials").write_text(profile)

    assert signing.chain_credentials() == Credentials("AKIDEXAMPLE", "secret", "token")


@pytest.mark.usefixtures("bare_environment")
def test_without_any_credentials_the_message_says_how_to_give_them() -> None:
    with pytest.raises(Denied, match=r"no AWS credentials: set role_alias and credentials_endpoint in \[aws\]"):
        signing.chain_credentials()


def chain_failure() -> Unreachable:
    """Return what the chain ends in where it gives nothing; fails for a denial."""
    with pytest.raises(Unreachable) as raised:
        signing.chain_credentials(timeout_s=20)
    assert type(raised.value) is Unreachable
    return raised.value


@pytest.mark.usefixtures("bare_environment")
def test_a_command_of_a_profile_that_fails_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\ncredential_process = /bin/false\n")

    assert str(chain_failure()).startswith(f"no AWS credentials from {tmp_path}/config; or set role_alias")


def test_a_container_that_does_not_answer_is_tried_again_and_named(bare_environment: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    bare_environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{port}/")

    assert "from AWS_CONTAINER_CREDENTIALS_FULL_URI (AWS_" in str(chain_failure())


def test_a_chain_that_takes_too_long_is_tried_again(bare_environment: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        bare_environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{silent.getsockname()[1]}/")

        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
            signing.chain_credentials(timeout_s=0.2)


def test_half_a_key_pair_is_named(bare_environment: pytest.MonkeyPatch) -> None:
    bare_environment.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")

    assert "AWS_ACCESS_KEY_ID (set, but not AWS_SECRET_ACCESS_KEY)" in str(chain_failure())
