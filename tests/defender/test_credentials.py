"""Credentials by role alias: over real mutual TLS, and what every answer of the provider means."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.aws_account import answer, error
from defender.https_server import HttpsServer
from thingmeter.destinations.defender.credentials import Credentials, RenewedCredentials, RoleAlias, issued
from thingmeter.destinations.https import Answer, Https, Request
from thingmeter.errors import Denied, Throttled, Unreachable
from thingmeter.sandbox.authority import Authority
from thingmeter.testing import ManualClock

ROLE = RoleAlias("localhost:8444", "thingmeter", "pump-7")
CLOCK = ManualClock()
NOW = CLOCK.now()


def content(**members: Any) -> dict[str, Any]:
    """What the provider answers, with other members where they are given; a member that is None is left out."""
    issued_ = {
        "accessKeyId": "ASIAEXAMPLE",
        "secretAccessKey": "the-secret-key",
        "sessionToken": "the-session-token",
        "expiration": (NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"credentials": {name: value for name, value in (issued_ | members).items() if value is not None}}


def ask(given_answer: Answer) -> Credentials:
    return issued(ROLE, lambda _request: given_answer, CLOCK)


def test_the_provider_is_asked_with_the_certificate_and_the_things_name(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    thing = authority.issue("pump-7", tmp_path)
    with HttpsServer(authority, tmp_path, lambda _request: answer(200, content())) as server:
        https = Https(
            ca_file=str(authority.ca_file),
            certificate_file=str(thing.certificate_file),
            private_key_file=str(thing.private_key_file),
        )

        issued(RoleAlias(server.place, "thingmeter", "pump-7"), https.exchange, CLOCK)
        https.close()

    asked = server.asked[0]
    assert (asked.line, asked.headers["x-amzn-iot-thingname"], asked.client) == (
        "GET /role-aliases/thingmeter/credentials",
        "pump-7",
        "pump-7",
    )


def test_a_role_alias_stands_in_the_path_as_it_is_spelt() -> None:
    request = RoleAlias("localhost", "team=pumps,a@b_c-d", "pump-7").request

    assert request.url == "https://localhost/role-aliases/team=pumps,a@b_c-d/credentials"


def test_credentials_are_read() -> None:
    assert ask(answer(200, content())) == Credentials(
        "ASIAEXAMPLE", "the-secret-key", "the-session-token", NOW + timedelta(hours=1)
    )


def test_credentials_show_no_secret() -> None:
    shown = repr(ask(answer(200, content())))

    assert "the-secret-key" not in shown
    assert "the-session-token" not in shown


@pytest.mark.parametrize(
    "odd",
    [
        content(accessKeyId=None),
        content(secretAccessKey=""),
        content(secretAccessKey="line\r\nx-header: 1"),
        content(sessionToken=3),
        content(expiration=None),
        content(expiration="soon"),
        content(expiration="2030-01-01T00:00:00"),
        {"credentials": None},
        {},
        [],
    ],
)
def test_an_answer_that_is_not_as_documented_is_no_credentials(odd: object) -> None:
    with pytest.raises(Unreachable, match="something else than credentials"):
        ask(answer(200, odd))


def test_a_page_of_a_proxy_is_no_credentials() -> None:
    with pytest.raises(Unreachable, match="something else than credentials: no JSON"):
        ask(Answer(200, {"content-type": "text/html"}, b"<html>"))


def test_an_odd_answer_shows_no_secret() -> None:
    with pytest.raises(Unreachable) as raised:
        ask(answer(200, content(expiration="the-secret-key")))

    assert "the-secret-key" not in str(raised.value)


def test_credentials_that_have_ended_are_not_used() -> None:
    with pytest.raises(Unreachable, match="ended at 2026-01-01 00:00:00 UTC; is this machine's clock ahead"):
        ask(answer(200, content(expiration="2026-01-01T00:00:00Z")))


def test_credentials_that_have_ended_by_a_wrong_clock_name_the_clock() -> None:
    date = format_datetime(NOW - timedelta(hours=2), usegmt=True)

    with pytest.raises(Unreachable, match="clock is 7200 s ahead"):
        ask(answer(200, content(expiration="2025-12-31T23:00:00Z"), {"date": date}))


def denied(given_answer: Answer) -> str:
    with pytest.raises(Denied) as raised:
        ask(given_answer)
    return str(raised.value)


def test_a_refused_thing_is_told_all_that_has_to_fit() -> None:
    assert denied(error(403, "AccessDeniedException", "Access Denied")) == (
        "localhost:8444 gives thing pump-7 no credentials for role alias thingmeter: 403 AccessDeniedException: "
        "Access Denied; check that the certificate is active and attached to the thing, that its policy allows "
        "iot:AssumeRoleWithCertificate on the role alias, and that the role trusts credentials.iot.amazonaws.com"
    )


def test_a_role_alias_that_is_missing_is_named() -> None:
    assert denied(answer(404, {"message": "Role alias not found"})) == (
        "localhost:8444 gives thing pump-7 no credentials for role alias thingmeter: 404 Not Found: "
        "Role alias not found; create the role alias in this account and region, or correct [aws] role_alias"
    )


def test_the_provider_may_ask_to_wait() -> None:
    with pytest.raises(Throttled):
        ask(error(429, "TooManyRequestsException"))


@pytest.mark.parametrize("passing", [Answer(500), Answer(403, {"content-type": "text/html"}, b"<html>")])
def test_what_the_provider_did_not_decide_is_tried_again(passing: Answer) -> None:
    with pytest.raises(Unreachable) as raised:
        ask(passing)

    assert not isinstance(raised.value, Denied)


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=80)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda tree: json.dumps(tree).encode()),
)
def test_any_answer_is_credentials_or_one_of_the_errors(status: int, body: bytes) -> None:
    try:
        said = repr(ask(Answer(status, {}, body)))
    except (Throttled, Unreachable) as raised:
        said = str(raised)

    assert said.isprintable()


class Source:
    """Issues credentials that end at a time, and counts."""

    def __init__(self, expires: datetime | None) -> None:
        self.expires = expires
        self.asked = 0

    def __call__(self) -> Credentials:
        self.asked += 1
        return Credentials("ASIAEXAMPLE", "secret", expires=self.expires)


def test_credentials_are_asked_for_once_while_they_are_good(clock: ManualClock) -> None:
    source = Source(clock.now() + timedelta(hours=1))
    credentials = RenewedCredentials(source, clock)

    credentials.current()
    clock.advance(3539)
    credentials.current()

    assert source.asked == 1


def test_credentials_are_asked_for_again_shortly_before_their_end(clock: ManualClock) -> None:
    source = Source(clock.now() + timedelta(hours=1))
    credentials = RenewedCredentials(source, clock)

    credentials.current()
    clock.advance(3541)
    credentials.current()

    assert source.asked == 2


def test_credentials_without_an_end_stay(clock: ManualClock) -> None:
    source = Source(None)
    credentials = RenewedCredentials(source, clock)

    credentials.current()
    clock.advance(1e9)
    credentials.current()

    assert source.asked == 1


def test_credentials_are_not_asked_for_before_they_are_needed(clock: ManualClock) -> None:
    source = Source(None)

    RenewedCredentials(source, clock)

    assert source.asked == 0


def test_a_request_for_credentials_carries_nothing_else() -> None:
    requests: list[Request] = []

    def exchange(request: Request) -> Answer:
        requests.append(request)
        return answer(200, content())

    issued(ROLE, exchange, CLOCK)

    assert requests == [
        Request("GET", "https://localhost:8444/role-aliases/thingmeter/credentials", {"x-amzn-iot-thingname": "pump-7"})
    ]
