"""Planning where DevRev refuses the listing: which of the errors of an attempt it is, and in which words."""

from __future__ import annotations

import pytest

from devrev.devrev_service import DevRevService, Reply, error, listing
from devrev.uom_definitions import LITRES
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.errors import Denied, Throttled, Unanswered, Unreachable


def test_the_error_page_of_a_proxy_is_said_to_be_one(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", Reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}))

    with pytest.raises(Unreachable, match=r"a proxy in front of DevRev, not DevRev itself, answered uoms\.list"):
        registrar.plan([LITRES], ())


def test_a_refused_token_is_denied_and_its_file_named(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", error(401, "Token expired"))

    with pytest.raises(Denied, match=r"401 Token expired.*/token \(\[devrev\] token_file\).*put a valid one there"):
        registrar.plan([LITRES], ())


def test_a_token_without_the_right_to_list_is_denied(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", error(403, "Forbidden", "needs uom:read"))

    with pytest.raises(Denied, match=r"uoms.list with 403 Forbidden: needs uom:read.*needs the right"):
        registrar.plan([LITRES], ())


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 422, 451])
def test_any_other_refusal_of_the_listing_is_denied_with_devrevs_words(
    service: DevRevService, registrar: UomRegistrar, status: int
) -> None:
    service.script("list", error(status, "no such thing"))

    with pytest.raises(Denied, match=f"uoms.list with {status} no such thing"):
        registrar.plan([LITRES], ())


def test_a_refused_cursor_is_unreachable(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", listing(cursor="a"), error(400, "cursor expired"))

    with pytest.raises(Unreachable, match="cursor expired") as caught:
        registrar.plan([LITRES], ())
    assert type(caught.value) is Unreachable


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
def test_a_failure_of_devrev_is_unreachable_with_its_words(
    service: DevRevService, registrar: UomRegistrar, status: int
) -> None:
    service.script("list", error(status, "try later"))

    with pytest.raises(Unreachable, match=f"{status} try later") as caught:
        registrar.plan([LITRES], ())
    assert type(caught.value) is Unreachable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_unreachable(service: DevRevService, registrar: UomRegistrar, status: int) -> None:
    service.script("list", Reply(status, b"", {"Location": "https://example.com/"}))

    with pytest.raises(Unreachable, match=f"redirects uoms.list \\({status}\\)"):
        registrar.plan([LITRES], ())
    assert service.calls == ["list"]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_web_page_is_not_devrevs_own(service: DevRevService, registrar: UomRegistrar, status: int) -> None:
    service.script("list", Reply(status, b"<html>Blocked</html>", {"Content-Type": "text/html"}))

    with pytest.raises(Unreachable, match=f"{status} and a web page.*not DevRev itself") as caught:
        registrar.plan([LITRES], ())
    assert type(caught.value) is Unreachable


def test_a_407_is_not_devrevs_own(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", error(407))

    with pytest.raises(
        Unreachable, match=r"a proxy, not DevRev, answered uoms\.list: 407 Proxy Authentication Required"
    ):
        registrar.plan([LITRES], ())


def test_no_answer_is_unanswered(service: DevRevService, registrar: UomRegistrar) -> None:
    service.script("list", Reply())

    with pytest.raises(Unanswered):
        registrar.plan([LITRES], ())


@pytest.mark.parametrize(
    ("reply", "after_s"),
    [
        (error(429, Retry_After="17"), 17),
        (Reply(429, {"type": "too_many_requests", "retry_after": 23}), 23),
        (Reply(429, {"retry_after": 23}, {"Retry-After": "40"}), 40),
        (
            error(429, Retry_After="Thu, 01 Jan 2026 00:05:00 GMT", Date="Thu, 01 Jan 2026 00:03:00 GMT"),
            120,
        ),
        (Reply(429, b"<html>", {"Content-Type": "text/html"}), 60),
    ],
)
def test_a_throttled_attempt_says_how_long_to_wait(
    service: DevRevService, registrar: UomRegistrar, reply: Reply, after_s: float
) -> None:
    service.script("list", reply)

    with pytest.raises(Throttled, match="429") as caught:
        registrar.plan([LITRES], ())
    assert caught.value.after_s == after_s
