"""Usage records over HTTPS: what each answer means, the token, and the pause that all its holders keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from destinations.https_peers import Peer, Script, Street, answer, answers, read_request, until_closed
from thingmeter.config.settings import DevRev as DevRevSettings
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.pause import SPREAD, Pause
from thingmeter.destinations.devrev.transport import UsageTransport, account_for
from thingmeter.errors import DeliveryError, Denied, Rejected, Throttled, Unanswered, Unreachable
from thingmeter.testing import ManualClock

PROXY_VARIABLES = ("https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
TOKEN = "s3cret-token"
PAGE = b"<html><body>Sign in</body></html>"
OK = answer(200)


def devrevs(status: int, message: str = "said", **more: float) -> bytes:
    body = json.dumps({"message": message, "type": "x", **more}).encode()
    return answer(status, body, "Content-Type: application/json")


class Line:
    """A transport to one scripted server."""

    def __init__(self, street: Street, folder: Path, clock: ManualClock) -> None:
        self.street = street
        self.clock = clock
        self.pause = Pause(clock)
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        self.scheme = "Bearer"
        self.seen: list[bytes] = []
        self.made: list[UsageTransport] = []

    def to(self, *replies: bytes) -> UsageTransport:
        """Return a transport to a server that gives these answers on one connection."""
        return self.through(answers(*replies))[0]

    def through(self, script: Script) -> tuple[UsageTransport, Peer]:
        peer = self.street.server(script)
        account = Account(peer.url, str(self.token_file), self.scheme, self.street.ca_file)
        self.made.append(UsageTransport(account, self.pause, self.clock))
        return self.made[-1], peer

    def request(self) -> str:
        """Return what is sent, whatever comes of it."""
        requests: list[bytes] = []

        def script(sock: object) -> None:
            requests.append(read_request(sock))  # type: ignore[arg-type]  # a socket
            sock.sendall(OK)  # type: ignore[attr-defined]  # as above

        send(self.through(script)[0])
        return requests[0].decode()


@pytest.fixture
def line(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    street = Street(tmp_path)
    made = Line(street, tmp_path, clock)
    yield made
    for transport in made.made:
        transport.close()
    street.close()


def send(transport: UsageTransport, payload: bytes = b'{"metrics":[]}', timeout_s: float = 10) -> None:
    transport.send(payload, key="p1", timeout_s=timeout_s)


def failure(transport: UsageTransport, timeout_s: float = 10) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        send(transport, timeout_s=timeout_s)
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_is_an_acceptance(line: Line, status: int) -> None:
    send(line.to(answer(status)))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (devrevs(400), Rejected),
        (answer(400), Rejected),
        (devrevs(409), Rejected),
        (devrevs(413), Rejected),
        (answer(413, PAGE, "Content-Type: text/html"), Rejected),
        (devrevs(422), Rejected),
        (devrevs(401), Denied),
        (devrevs(403), Denied),
        (devrevs(429), Throttled),
        (devrevs(408), Unanswered),
        (devrevs(500), Unanswered),
        (devrevs(503), Unanswered),
        (answer(502, PAGE, "Content-Type: text/html"), Unanswered),
        (answer(200, PAGE, "Content-Type: text/html"), Unanswered),
        (answer(400, PAGE, "Content-Type: text/html"), Unreachable),
        (answer(401, PAGE, "Content-Type: text/html"), Unreachable),
        (answer(403, PAGE, "Content-Type: text/html"), Unreachable),
        (answer(407), Unreachable),
        (devrevs(404), Unreachable),
        (devrevs(405), Unreachable),
        (devrevs(410), Unreachable),
        (answer(302, b"", "Location: https://elsewhere.example/"), Unreachable),
        (answer(304), Unreachable),
        (b"HTTP/1.1 200 Fine\r\nContent-Length: 10\r\n\r\n{", Unanswered),
        (b"garbage\r\n\r\n", Unanswered),
        (b"", Unanswered),
        (answer(200, b" " * 1_100_000), Unanswered),
    ],
)
def test_each_answer_has_its_class(line: Line, reply: bytes, kind: type[DeliveryError]) -> None:
    assert type(failure(line.to(reply))) is kind


def test_a_rejection_quotes_devrev(line: Line) -> None:
    error = failure(line.to(devrevs(400, "metrics[0].data_points[0].value: not permitted")))

    assert str(error) == (
        "DevRev answered metrics.devrev.ingest with 400 metrics[0].data_points[0].value: not permitted"
    )


def test_a_refused_token_is_told_with_its_file_and_never_shown(line: Line) -> None:
    error = failure(line.to(devrevs(401)))

    assert str(line.token_file) in str(error)
    assert TOKEN not in str(error)


def test_a_request_carries_what_devrev_asks_for(line: Line) -> None:
    request = line.request().lower()

    assert request.startswith("post /metrics.devrev.ingest http/1.1\r\n")
    assert "\r\nx-devrev-scope: beta\r\n" in request
    assert "\r\ncontent-type: application/json\r\n" in request
    assert f"\r\nauthorization: bearer {TOKEN}\r\n" in request


def test_a_token_without_scheme_stands_bare(line: Line) -> None:
    line.scheme = ""

    assert f"\r\nauthorization: {TOKEN}\r\n" in line.request()


def test_a_new_token_is_used_at_once(line: Line) -> None:
    line.token_file.write_text("another")

    assert "Bearer another\r\n" in line.request()


def test_without_a_token_nothing_is_sent(line: Line) -> None:
    line.token_file.unlink()
    transport, peer = line.through(answers(OK))

    assert isinstance(failure(transport), Denied)
    assert peer.connections == 0


def test_requests_share_a_connection(line: Line) -> None:
    transport, peer = line.through(answers(OK, OK, OK))

    for _ in range(3):
        send(transport)

    assert peer.connections == 1


def test_a_failure_is_followed_by_a_new_connection(line: Line) -> None:
    transport, peer = line.through(answers(b"garbage\r\n\r\n"))
    failure(transport)

    failure(transport)

    assert peer.connections == 2


def test_a_server_that_says_nothing_is_left_in_time(line: Line) -> None:
    transport, _ = line.through(until_closed)

    assert isinstance(failure(transport, timeout_s=0.5), Unanswered)


def test_nobody_there_is_certain(line: Line) -> None:
    transport, peer = line.through(answers(OK))
    peer.close()

    assert type(failure(transport)) is Unreachable


def test_a_closed_transport_sends_nothing(line: Line) -> None:
    transport, peer = line.through(answers(OK))
    transport.close()

    assert type(failure(transport)) is Unreachable
    assert peer.connections == 0


@pytest.mark.parametrize(
    ("reply", "asked_s"),
    [
        (answer(429, b"", "Retry-After: 30"), 30),
        (answer(429, b"", "Retry-After: 7.5"), 7.5),
        (
            answer(429, b"", "Retry-After: Thu, 01 Jan 2026 00:02:00 GMT", "Date: Thu, 01 Jan 2026 00:00:00 GMT"),
            120,
        ),
        (devrevs(429, retry_after=45), 45),
        (answer(429), 60),
        (answer(429, b"", "Retry-After: 999999999"), 3600),
        (answer(429, b"", "Retry-After: soon"), 60),
    ],
)
def test_a_wait_is_understood_in_every_form(line: Line, reply: bytes, asked_s: float) -> None:
    error = failure(line.to(reply))

    assert isinstance(error, Throttled)
    assert asked_s <= error.after_s <= asked_s * (1 + SPREAD)


def test_while_one_call_is_asked_to_wait_no_other_is_made(line: Line) -> None:
    failure(line.to(answer(429, b"", "Retry-After: 30")))
    transport, peer = line.through(answers(OK))

    assert isinstance(failure(transport), Throttled)
    assert peer.connections == 0


def test_a_wait_that_registration_was_asked_for_holds_usage_as_well(line: Line) -> None:
    transport, _ = line.through(answers(OK))

    line.pause.ask(100)

    assert 100 <= transport.hold_s() <= 100 * (1 + SPREAD)


def test_after_the_wait_calls_are_made_again(line: Line) -> None:
    transport = line.to(answer(429, b"", "Retry-After: 30"), OK)
    failure(transport)
    line.clock.advance(30 * (1 + SPREAD))

    send(transport)


def test_an_error_of_the_server_may_ask_to_wait(line: Line) -> None:
    transport = line.to(answer(503, b"", "Retry-After: 30"))

    failure(transport)

    assert transport.hold_s() >= 30


def test_a_shorter_wait_does_not_end_a_longer_one(clock: ManualClock) -> None:
    pause = Pause(clock)
    pause.ask(100)

    pause.ask(1)

    assert pause.wait_s() >= 100


def test_those_who_share_a_token_do_not_come_back_as_one(clock: ManualClock) -> None:
    assert len({Pause(clock).ask(30) for _ in range(50)}) > 40


def test_no_pause_holds_nobody(clock: ManualClock) -> None:
    assert Pause(clock).wait_s() == 0


def test_usage_has_an_account_where_registration_is_off() -> None:
    settings = DevRevSettings(registration="off", endpoint_url="https://devrev.example/", token_file="/token")

    assert account_for(settings) == Account("https://devrev.example", "/token")
