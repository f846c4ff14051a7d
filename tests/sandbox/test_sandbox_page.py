from __future__ import annotations

from datetime import UTC, datetime

import pytest

from thingmeter.sandbox.defender.breach import Breach
from thingmeter.sandbox.defender.verdict import Verdict
from thingmeter.sandbox.digest import digest
from thingmeter.sandbox.events import Event
from thingmeter.sandbox.http.calls import Call
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.sandbox.page import Page

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TIME = AT.astimezone().strftime("%H:%M:%S")
REPORT: dict[str, object] = {
    "met": {"ns": {"bi": 1204}, "tp": {"pts": [{"pt": 22}], "t": 1}, "tc": {"ec": {"cs": [], "t": 7}}},
    "cmet": {"cpu": [{"number": 5.26666}], "load": [{"number_list": [1, 2]}], "peers": [{"ip_list": ["192.0.2.1"]}]},
}
PAGE = Page(thing_width=8)


def verdict(error_code: str = "", error_message: str = "", *breaches: Breach) -> Verdict:
    return Verdict(AT, "pump-7", "cbor", b"x" * 412, REPORT, 1795331061, error_code, error_message, breaches)  # type: ignore[arg-type]


def test_an_accepted_report_has_one_line_that_ends_with_what_it_says() -> None:
    assert PAGE.report(verdict()) == (
        f"{TIME}  pump-7       1795331061  cbor       412      3+3  accepted"
        "  cpu 5.267, load 2 values, peers 1 value; tcp 1, connections 7, in 1204 B"
    )


def test_long_and_short_names_read_alike() -> None:
    long = {"metrics": {"listening_udp_ports": {"ports": [], "total": 0}}, "custom_metrics": {"n": [{"number": 3}]}}
    short = {"met": {"up": {"pts": [], "t": 0}}, "cmet": {"n": [{"number": 3}]}}

    assert digest(long) == digest(short) == "n 3; udp 0"  # type: ignore[arg-type]


def test_no_report_says_nothing() -> None:
    assert digest(None) == ""


def test_the_header_stands_over_its_columns() -> None:
    assert PAGE.header() == "time      thing         report_id  format   bytes  metrics  verdict"


def test_a_rejected_report_gives_the_reason_in_words() -> None:
    assert PAGE.report(verdict("InvalidPayload", "it is wrong")).endswith("  REJECTED InvalidPayload: it is wrong")


def test_a_warning_is_not_hidden() -> None:
    warning = Breach("characters", "cmet.a", "holds a space")

    assert PAGE.report(verdict("", "", warning)).endswith("  accepted, but cmet.a: holds a space [characters]")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event(AT, "connected", "pump-7", "keep-alive 30 s"), "pump-7    connected: keep-alive 30 s"),
        (Event(AT, "refused", "", "TLS: no"), "?         refused: TLS: no"),
        (
            Event(AT, "published", "pump-7", "status/pump-7", b"on\x1b[0m"),
            r"pump-7    published: status/pump-7 'on\x1b[0m'",
        ),
    ],
)
def test_an_event_has_one_line(event: Event, words: str) -> None:
    assert PAGE.event(event) == f"{TIME}  {words}"


def call(client: str, name: str, status: int, error: str = "", detail: str = "") -> Call:
    request = HttpRequest("GET", "/")
    return Call(
        AT, "control plane", "CreateCustomMetric", name, client, request, status=status, error=error, detail=detail
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (call("pump-7", "cpu", 200), "pump-7    CreateCustomMetric cpu -> 200"),
        (call("", "", 200), "?         CreateCustomMetric -> 200"),
        (call("pump-7", "cpu", 403, "AccessDenied", "no"), "pump-7    CreateCustomMetric cpu -> 403 AccessDenied: no"),
        (call("pump-7", "cpu", 0, detail="cut"), "pump-7    CreateCustomMetric cpu -> no answer: cut"),
        (call("pump-7", "a\x1b[0m", 200), r"pump-7    CreateCustomMetric a\x1b[0m -> 200"),
    ],
)
def test_a_call_has_one_line(made: Call, words: str) -> None:
    assert PAGE.call(made) == f"{TIME}  {words}"


@pytest.mark.parametrize(("status", "colour"), [(200, "\x1b[2m"), (404, "\x1b[31m"), (0, "\x1b[31m")])
def test_a_call_that_went_wrong_is_red(status: int, colour: str) -> None:
    assert Page(8, colour=True).call(call("pump-7", "cpu", status)).startswith(colour)


def test_there_are_colours_only_where_they_are_wanted() -> None:
    assert ["\x1b" in Page(8, colour=colour).report(verdict()) for colour in (True, False)] == [True, False]
