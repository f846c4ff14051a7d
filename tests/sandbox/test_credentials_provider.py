from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.https import ask, connection
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.control_plane.credentials import NO_ROLE, CredentialsProvider, operation_of
from thingmeter.sandbox.control_plane.keys import AccessKey, KeyRing, new_key, new_session_key
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.testing import ManualClock

PATH = "/role-aliases/thingmeter/credentials"
ASKED = HttpRequest("GET", PATH, headers={"x-amzn-iot-thingname": "pump-7"}, client="pump-7")


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing()


@pytest.fixture
def provider(keys: KeyRing, clock: ManualClock) -> CredentialsProvider:
    return CredentialsProvider(keys, clock)


def refusal(provider: CredentialsProvider, request: HttpRequest) -> tuple[int, str]:
    answer = provider(request)
    return answer.status, json.loads(answer.body)["message"]


def test_a_thing_gets_a_key_that_the_control_plane_knows(provider: CredentialsProvider, keys: KeyRing) -> None:
    issued = json.loads(provider(ASKED).body)["credentials"]

    key = keys.find(issued["accessKeyId"])
    assert key == AccessKey(
        issued["accessKeyId"],
        issued["secretAccessKey"],
        "pump-7",
        issued["sessionToken"],
        datetime(2026, 1, 1, 1, tzinfo=UTC),
    )


def test_a_key_expires_in_an_hour(provider: CredentialsProvider) -> None:
    assert json.loads(provider(ASKED).body)["credentials"]["expiration"] == "2026-01-01T01:00:00Z"


def test_every_key_is_another_one(provider: CredentialsProvider) -> None:
    issued = [json.loads(provider(ASKED).body)["credentials"] for _ in range(2)]

    assert issued[0] != issued[1]


def test_the_name_of_the_thing_may_be_left_out(provider: CredentialsProvider) -> None:
    assert provider(replace(ASKED, headers={})).status == 200


def test_the_name_of_another_thing_is_refused(provider: CredentialsProvider) -> None:
    request = replace(ASKED, client="pump-8")

    assert refusal(provider, request) == (403, "Invalid thing name passed")


def test_nobody_gets_a_key_without_a_certificate(provider: CredentialsProvider) -> None:
    assert refusal(provider, replace(ASKED, client="")) == (403, "Certificate is invalid on this endpoint")


def test_a_thing_whose_policy_does_not_allow_it_is_denied(provider: CredentialsProvider) -> None:
    provider.may_assume = lambda thing: thing != "pump-7"

    assert refusal(provider, ASKED) == (403, "Access Denied")


def test_an_unknown_role_alias_is_not_found(provider: CredentialsProvider) -> None:
    request = replace(ASKED, path="/role-aliases/other/credentials")

    assert refusal(provider, request) == (404, "Role alias does not exist")


def test_a_role_that_cannot_be_assumed_is_told_so(provider: CredentialsProvider) -> None:
    provider.failing = NO_ROLE

    assert refusal(provider, ASKED) == (400, "Unable to assume the role, or the role to assume does not exist")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", PATH), ("GET", "/"), ("GET", "/role-aliases//credentials"), ("GET", f"{PATH}/x")]
)
def test_there_is_nothing_else(provider: CredentialsProvider, method: str, path: str) -> None:
    assert provider(replace(ASKED, method=method, path=path)).status == 404


@pytest.mark.parametrize(
    ("path", "expected"),
    [(PATH, ("AssumeRoleWithCertificate", "thingmeter")), ("/x", ("GET /x", ""))],
)
def test_a_call_is_recorded_with_the_role_alias(path: str, expected: tuple[str, str]) -> None:
    assert operation_of(HttpRequest("GET", path)) == expected


def test_keys_look_like_those_of_aws() -> None:
    lasting, session = new_key("a"), new_session_key("a", datetime(2026, 1, 1, tzinfo=UTC))

    assert (lasting.id[:4], session.id[:4], len(lasting.id), len(lasting.secret)) == ("AKIA", "ASIA", 20, 40)


def test_of_many_issued_keys_the_newest_are_known() -> None:
    ring = KeyRing()
    keys = [AccessKey(f"K{number}", "", "", "t", datetime(2026, 1, 1, tzinfo=UTC)) for number in range(20_001)]

    for key in keys:
        ring.add(key)

    assert (ring.find("K0"), ring.find("K1")) == (None, keys[1])


def test_a_key_does_not_show_its_secrets() -> None:
    key = AccessKey("id", "the secret", "owner", "the token")

    assert "the" not in repr(key)


def test_a_thing_gets_a_key_over_mutual_tls(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.credentials_endpoint, "pump-7") as made:
        got = ask(made, "GET", PATH, x_amzn_iot_thingname="pump-7")

    expiration = datetime.fromisoformat(got.json["credentials"]["expiration"])
    assert (got.status, expiration > datetime.now(UTC) + timedelta(minutes=59)) == (200, True)


def test_a_thing_does_not_get_another_s_key_over_mutual_tls(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.credentials_endpoint, "pump-7") as made:
        got = ask(made, "GET", PATH, x_amzn_iot_thingname="pump-8")

    assert (got.status, got.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


@pytest.mark.needs_aws
def test_awscrt_gets_a_key_with_its_own_http_client(sandbox: Sandbox) -> None:
    from awscrt import http, io  # noqa: PLC0415  # extra aws

    credentials = sandbox.credentials("pump-7")
    options = io.TlsContextOptions.create_client_with_mtls_from_path(
        str(credentials.certificate_file), str(credentials.private_key_file)
    )
    options.override_default_trust_store_from_path(ca_filepath=str(sandbox.ca_file))
    tls = io.ClientTlsContext(options).new_connection_options()
    tls.set_server_name("localhost")
    port = sandbox.ports["credentials"]
    made = http.HttpClientConnection.new("localhost", port, tls_connection_options=tls).result(10)
    headers = http.HttpHeaders([("host", sandbox.credentials_endpoint), ("x-amzn-iot-thingname", "pump-7")])
    body = bytearray()

    stream = made.request(http.HttpRequest("GET", PATH, headers), on_body=lambda chunk, **_: body.extend(chunk))
    stream.activate()
    status = stream.completion_future.result(10)
    made.close().result(10)

    assert (status, "sessionToken" in json.loads(body)["credentials"]) == (200, True)
