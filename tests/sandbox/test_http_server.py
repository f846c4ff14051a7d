from __future__ import annotations

import http.client
import socket
import ssl
import sys
from pathlib import Path

import pytest

from sandbox.https import ask, connection
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.errors import PortTaken
from thingmeter.sandbox.http.calls import Call
from thingmeter.sandbox.http.faults import HttpFaults

MEBIBYTE = 1 << 20


def last_call(sandbox: Sandbox) -> Call:
    return sandbox.calls.all()[-1]


def test_path_and_query_reach_the_service_as_they_were_on_the_wire(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.devrev_url) as made:
        ask(made, "GET", "/a%3Ab//c/%e2%82?x=%20+&&y")

    request = last_call(sandbox).request
    assert (request.path, request.query) == ("/a%3Ab//c/%e2%82", "x=%20+&&y")


def test_names_of_headers_are_in_lower_case_and_repeated_ones_are_joined(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.devrev_url) as made:
        made.putrequest("GET", "/x")
        made.putheader("X-Tag", "a")
        made.putheader("x-tag", "b c")
        made.endheaders()
        made.getresponse().read()

    assert last_call(sandbox).request.headers["x-tag"] == "a,b c"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_reaches_the_service_as_it_was_on_the_wire(sandbox: Sandbox, encoding: str) -> None:
    with connection(sandbox, sandbox.devrev_url) as made:
        ask(made, "POST", "/x", b"not compressed", content_encoding=encoding)

    assert last_call(sandbox).request.body == b"not compressed"


@pytest.mark.parametrize(("size", "status"), [(MEBIBYTE, 401), (MEBIBYTE + 1, 413)])
def test_a_body_has_a_largest_size(sandbox: Sandbox, size: int, status: int) -> None:
    with connection(sandbox, sandbox.devrev_url) as made:
        assert ask(made, "POST", "/uoms.create", b"x" * size).status == status


def test_several_requests_go_over_one_connection(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.control_plane_url) as made:
        assert [ask(made, "GET", "/custom-metrics").status for _ in range(3)] == [403] * 3


def test_the_name_in_a_client_s_certificate_reaches_the_service(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.credentials_endpoint, "pump-7") as made:
        ask(made, "GET", "/x")

    assert last_call(sandbox).request.client == "pump-7"


def test_a_client_without_a_certificate_is_told_that_one_is_needed(sandbox: Sandbox) -> None:
    with (
        connection(sandbox, sandbox.credentials_endpoint) as made,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        ask(made, "GET", "/role-aliases/thingmeter/credentials")


def test_a_client_that_tls_refuses_is_an_event(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.credentials_endpoint) as made, pytest.raises(ssl.SSLError):
        ask(made, "GET", "/role-aliases/thingmeter/credentials")

    (event,) = sandbox.events.wait(1)
    assert (event.kind, event.detail) == ("refused", "credentials: TLS: peer did not return a certificate")


def test_an_answer_lost_on_the_way_is_that_of_a_call_carried_out(sandbox: Sandbox) -> None:
    sandbox.http_faults["credentials"].kind = "missing"

    with connection(sandbox, sandbox.credentials_endpoint, "pump-7") as made:
        with pytest.raises(http.client.RemoteDisconnected):
            ask(made, "GET", "/role-aliases/thingmeter/credentials")

        assert last_call(sandbox).detail == "carried out, but the connection was closed without an answer"


def test_a_refused_call_is_not_carried_out(sandbox: Sandbox) -> None:
    sandbox.http_faults["control plane"].kind = "refused"

    with connection(sandbox, sandbox.control_plane_url) as made, pytest.raises(http.client.RemoteDisconnected):
        ask(made, "DELETE", "/custom-metric/a")

    assert sandbox.control_plane.log.count() == 0


def test_a_proxy_answers_in_html(sandbox: Sandbox) -> None:
    sandbox.http_faults["devrev"].kind = "html"

    with connection(sandbox, sandbox.devrev_url) as made:
        got = ask(made, "POST", "/uoms.create")

    assert (got.status, got.headers["content-type"], b"<html>" in got.body) == (502, "text/html", True)


def test_any_answer_can_be_given_in_place_of_the_service_s(sandbox: Sandbox) -> None:
    faults = sandbox.http_faults["devrev"]
    faults.kind, faults.status, faults.body, faults.headers = "status", 429, b"slow", {"retry-after": "7"}

    with connection(sandbox, sandbox.devrev_url) as made:
        got = ask(made, "POST", "/uoms.create")

    assert (got.status, got.headers["retry-after"], got.body) == (429, "7", b"slow")


def test_half_an_answer_is_noticed(sandbox: Sandbox) -> None:
    sandbox.http_faults["control plane"].kind = "half"

    with connection(sandbox, sandbox.control_plane_url) as made, pytest.raises(http.client.IncompleteRead):
        ask(made, "GET", "/custom-metrics")


def test_an_answer_can_be_garbage(sandbox: Sandbox) -> None:
    sandbox.http_faults["control plane"].kind = "garbage"

    with connection(sandbox, sandbox.control_plane_url) as made, pytest.raises(http.client.BadStatusLine):
        ask(made, "GET", "/custom-metrics")


def test_an_answer_can_come_late(sandbox: Sandbox) -> None:
    faults = sandbox.http_faults["control plane"]
    faults.kind, faults.delay_s = "late", 60

    with connection(sandbox, sandbox.control_plane_url) as made:
        made.timeout = 0.2
        with pytest.raises(TimeoutError):
            ask(made, "GET", "/custom-metrics")


def test_an_answer_that_comes_late_comes(sandbox: Sandbox) -> None:
    faults = sandbox.http_faults["control plane"]
    faults.kind, faults.delay_s = "late", 0.05

    with connection(sandbox, sandbox.control_plane_url) as made:
        assert ask(made, "GET", "/custom-metrics").status == 403


@pytest.mark.parametrize(
    ("only", "strikes"),
    [("", True), ("/uoms", True), ("/metrics", False), ("uoms.create", True), ("uoms", False)],
)
def test_a_fault_strikes_an_operation_or_what_is_below_a_path(only: str, *, strikes: bool) -> None:
    faults = HttpFaults("html", only)

    assert (faults.take("uoms.create", "/uoms.create") == "html") is strikes


def test_http_faults_end_when_none_remain() -> None:
    faults = HttpFaults("html", remaining=2)

    assert [faults.take("x", "/x") for _ in range(3)] == ["html", "html", "none"]


def test_a_call_that_a_fault_does_not_concern_uses_up_none() -> None:
    faults = HttpFaults("html", "uoms.create", remaining=1)

    faults.take("uoms.list", "/uoms.list")

    assert faults.remaining == 1


def test_a_call_is_recorded_with_what_came_of_it(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.control_plane_url) as made:
        ask(made, "POST", "/custom-metric/cpu%3Aload")

    call = last_call(sandbox)
    assert (call.service, call.operation, call.name, call.status, call.error) == (
        "control plane",
        "CreateCustomMetric",
        "cpu:load",
        403,
        "MissingAuthenticationTokenException",
    )


def test_a_call_to_devrev_is_recorded_with_the_metric_name(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.devrev_url) as made:
        ask(made, "POST", "/uoms.create", b'{"metric_name": "litres"}')

    assert (last_call(sandbox).operation, last_call(sandbox).name) == ("uoms.create", "litres")


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"metric_name": 3}', b"\xff"])
def test_a_body_that_says_no_name_is_recorded_without_one(sandbox: Sandbox, body: bytes) -> None:
    with connection(sandbox, sandbox.devrev_url) as made:
        ask(made, "POST", "/uoms.create", body)

    assert last_call(sandbox).name == ""


def test_services_that_are_down_refuse_connections(sandbox: Sandbox) -> None:
    sandbox.services_down()

    with connection(sandbox, sandbox.control_plane_url) as made, pytest.raises(ConnectionRefusedError):
        ask(made, "GET", "/custom-metrics")


def test_services_that_go_down_cut_open_connections(sandbox: Sandbox) -> None:
    with connection(sandbox, sandbox.control_plane_url) as made:
        ask(made, "GET", "/custom-metrics")

        sandbox.services_down()

        assert made.sock.recv(1) == b""


def test_services_that_go_down_cut_a_call_that_is_being_answered(sandbox: Sandbox) -> None:
    faults = sandbox.http_faults["control plane"]
    faults.kind, faults.delay_s = "late", 600
    with connection(sandbox, sandbox.control_plane_url) as made:
        made.request("GET", "/custom-metrics")
        sandbox.calls.wait(1)

        sandbox.services_down()

        with pytest.raises(http.client.RemoteDisconnected):
            made.getresponse()


def test_services_come_up_on_the_same_ports(sandbox: Sandbox) -> None:
    before = dict(sandbox.ports)
    sandbox.services_down()

    sandbox.services_up()

    with connection(sandbox, sandbox.control_plane_url) as made:
        assert (ask(made, "GET", "/custom-metrics").status, dict(sandbox.ports)) == (403, before)


def test_a_broker_that_is_down_leaves_the_services_up(sandbox: Sandbox) -> None:
    sandbox.broker_down()

    with connection(sandbox, sandbox.control_plane_url) as made:
        assert ask(made, "GET", "/custom-metrics").status == 403


def test_the_ports_of_the_services_stay_the_same_over_restarts(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        before = dict(sandbox.ports)

    with Sandbox(tmp_path) as sandbox:
        assert dict(sandbox.ports) == before


def test_a_service_s_port_that_another_program_took_is_named(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        port = sandbox.ports["devrev"]

    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken, match=f"port {port} .* remove .*json"):
        Sandbox(tmp_path).start()


def test_a_start_that_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        port = sandbox.ports["devrev"]
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken):
        Sandbox(tmp_path).start()

    with Sandbox(tmp_path) as sandbox:
        assert sandbox.ports["devrev"] == port


def test_a_folder_of_an_older_version_gets_the_ports_that_it_lacks(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        port = sandbox.port
    (tmp_path / "ports.json").write_text(f'{{"mqtt": {port}}}\n')

    with Sandbox(tmp_path) as sandbox:
        assert (sandbox.port, all(sandbox.ports.values())) == (port, True)


def test_the_services_show_another_certificate_when_told_to(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.use_server_credentials(sandbox.authority.issue("other", tmp_path, hosts=["elsewhere"]))

    with (
        connection(sandbox, sandbox.control_plane_url) as made,
        pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
    ):
        ask(made, "GET", "/custom-metrics")


def test_the_sandbox_starts_without_the_http_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "thingmeter.sandbox.http.server", raising=False)

    with Sandbox(tmp_path) as sandbox:
        assert sandbox.ports["control plane"]


def test_bytes_that_are_no_tls_are_ignored(sandbox: Sandbox) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.ports["control plane"]), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")

        while plain.recv(4096):
            pass

    with connection(sandbox, sandbox.control_plane_url) as made:
        assert ask(made, "GET", "/custom-metrics").status == 403
